#include "store/wal_scan.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

namespace fettle::store {
namespace {

constexpr std::size_t kHeaderBytes = 32;
constexpr std::size_t kFrameHeaderBytes = 24;
constexpr std::size_t kDatabaseHeaderBytes = 100;
constexpr std::uint32_t kMagic = 0x377f0682;  // its lowest bit: checksums read words big-endian
constexpr std::uint32_t kVersion = 3007000;
constexpr std::uint32_t kPageBytesMin = 512;
constexpr std::uint32_t kPageBytesMax = 65536;

std::uint32_t byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint8_t>(bytes[at]);
}
std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
  return byte_at(bytes, at) << 24U | byte_at(bytes, at + 1) << 16U | byte_at(bytes, at + 2) << 8U |
         byte_at(bytes, at + 3);
}
std::uint32_t little_endian(std::string_view bytes, std::size_t at) {
  return byte_at(bytes, at + 3) << 24U | byte_at(bytes, at + 2) << 16U |
         byte_at(bytes, at + 1) << 8U | byte_at(bytes, at);
}

/// The running checksum of walformat.html, "Checksum Algorithm".
struct Checksum {
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  friend bool operator==(const Checksum&, const Checksum&) = default;
};

/// `bytes` has a multiple of eight bytes.
Checksum go_on(Checksum sum, std::string_view bytes, bool big) {
  for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    sum.first += (big ? big_endian(bytes, at) : little_endian(bytes, at)) + sum.second;
    sum.second += (big ? big_endian(bytes, at + 4) : little_endian(bytes, at + 4)) + sum.first;
  }
  return sum;
}

struct Header {
  bool big = false;
  std::uint32_t page_bytes = 0;
  std::string salts;
  Checksum sum;
};

std::optional<Header> parse_header(std::string_view bytes) {
  const std::uint32_t magic = big_endian(bytes, 0);
  if ((magic & ~1U) != kMagic || big_endian(bytes, 4) != kVersion) return std::nullopt;
  Header header;
  header.big = (magic & 1U) != 0;
  header.page_bytes = big_endian(bytes, 8);
  const bool power_of_two = (header.page_bytes & (header.page_bytes - 1)) == 0;
  if (!power_of_two || header.page_bytes < kPageBytesMin || header.page_bytes > kPageBytesMax) {
    return std::nullopt;
  }
  header.salts = bytes.substr(16, 8);
  header.sum = go_on({}, bytes.substr(0, 24), header.big);
  if (header.sum != Checksum{big_endian(bytes, 24), big_endian(bytes, 28)}) return std::nullopt;
  return header;
}

struct Frame {
  std::string_view bytes;

  std::uint32_t page() const { return big_endian(bytes, 0); }
  bool commits() const { return big_endian(bytes, 4) != 0; }
  bool of(const Header& header) const { return bytes.substr(8, 8) == header.salts && page() != 0; }
  Checksum said() const { return {big_endian(bytes, 16), big_endian(bytes, 20)}; }
  Checksum sum(Checksum before, bool big) const {
    return go_on(go_on(before, bytes.substr(0, 8), big), bytes.substr(kFrameHeaderBytes), big);
  }
};

std::unexpected<Error> damaged(const std::string& path, const std::string& what) {
  return fail(Code::Corrupt, path + ": " + what);
}

Result<std::string> read_whole(File& file, std::uint64_t at, std::size_t bytes,
                               const std::string& path) {
  FETTLE_TRY(std::string read, file.read(at, bytes));
  if (read.size() != bytes) return fail(Code::Io, "read " + path + ": it ends too early");
  return read;
}

/// True if the database holds what the frames behind a wrong header say, up to the last end of a
/// transaction among those with the salts of the first. Their checksums hang on the header's.
Result<bool> is_copied(File& log, std::uint64_t log_bytes, File& database,
                       const std::string& path) {
  FETTLE_TRY(const std::string head, database.read(0, kDatabaseHeaderBytes));
  if (head.size() != kDatabaseHeaderBytes) return false;
  const std::uint64_t said = byte_at(head, 16) << 8U | byte_at(head, 17);
  const std::uint64_t page_bytes = said == 1 ? kPageBytesMax : said;
  if (page_bytes < kPageBytesMin) return false;
  std::map<std::uint32_t, std::string> open, pages;
  std::string salts;
  const std::uint64_t frame_bytes = kFrameHeaderBytes + page_bytes;
  for (std::uint64_t at = kHeaderBytes; at + frame_bytes <= log_bytes; at += frame_bytes) {
    FETTLE_TRY(const std::string bytes, read_whole(log, at, frame_bytes, path));
    const Frame frame{bytes};
    if (salts.empty()) salts = bytes.substr(8, 8);
    if (bytes.substr(8, 8) != salts || frame.page() == 0) break;
    open[frame.page()] = bytes.substr(kFrameHeaderBytes);
    if (!frame.commits()) continue;
    open.merge(pages);  // the newer of two stays
    pages = std::exchange(open, {});
  }
  for (const auto& [page, content] : pages) {
    FETTLE_TRY(const std::string held, database.read((page - 1) * page_bytes, page_bytes));
    if (held != content) return false;
  }
  return true;
}

}  // namespace

Result<WalScan> scan_wal(File& log, File* database, const std::string& path) {
  WalScan scan;
  FETTLE_TRY(const std::uint64_t size, log.size());
  if (size < kHeaderBytes) return scan;
  FETTLE_TRY(const std::string head, read_whole(log, 0, kHeaderBytes, path));
  const std::optional<Header> header = parse_header(head);
  if (!header && size == kHeaderBytes) return scan;
  if (!header) {
    bool copied = false;
    if (database != nullptr) {
      FETTLE_TRY(copied, is_copied(log, size, *database, path));
    }
    if (copied) return scan;
    return damaged(path, "its header at byte 0 is damaged, and the " +
                             std::to_string(size - kHeaderBytes) +
                             " bytes of frames behind it are not all in the database");
  }
  const std::uint64_t frame_bytes = kFrameHeaderBytes + header->page_bytes;
  const std::uint64_t count = (size - kHeaderBytes) / frame_bytes;
  Checksum sum = header->sum;
  std::optional<std::uint64_t> wrong;  // the first, counted from 1
  std::uint64_t ends_behind = 0;       // of transactions, behind the wrong one
  for (std::uint64_t number = 1; number <= count; ++number) {
    const std::uint64_t offset = kHeaderBytes + (number - 1) * frame_bytes;
    FETTLE_TRY(const std::string bytes, read_whole(log, offset, frame_bytes, path));
    const Frame frame{bytes};
    if (!wrong) {
      sum = frame.sum(sum, header->big);
      if (!frame.of(*header) || sum != frame.said()) wrong = number;
    }
    if (!frame.of(*header) || !frame.commits()) continue;
    if (!wrong) {
      scan.frames = number;
      ++scan.transactions;
      scan.bytes = offset + frame_bytes;
    } else if (++ends_behind == 2) {
      return damaged(path, "frame " + std::to_string(*wrong) + " at byte " +
                               std::to_string(kHeaderBytes + (*wrong - 1) * frame_bytes) +
                               " is damaged, and later transactions follow it, up to frame " +
                               std::to_string(number) + " or further");
    }
  }
  return scan;
}

Status make_durable(File& log, std::uint64_t bytes, const std::string& path) {
  if (bytes == 0) return {};
  constexpr std::uint64_t kAtOnce = 256U * 1024;
  for (std::uint64_t at = 0; at < bytes; at += kAtOnce) {
    FETTLE_TRY(const std::string content, read_whole(log, at, std::min(kAtOnce, bytes - at), path));
    FETTLE_CHECK(log.write(at, content));
  }
  return log.sync();
}

}  // namespace fettle::store
