// MemoryFile: a File whose every read is answered in a block of exactly its size, so that a reader
// that goes beyond it is caught by the address sanitizer; and logs made for the scan.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "store/disk.h"

namespace fettle::store {

class MemoryFile final : public File {
 public:
  explicit MemoryFile(std::string content) : content_(std::move(content)) {}

  Result<std::string> read(std::uint64_t offset, std::size_t bytes) override {
    std::string out = offset < content_.size() ? content_.substr(offset, bytes) : std::string();
    out.shrink_to_fit();
    return out;
  }
  Status write(std::uint64_t offset, std::string_view bytes) override {
    content_.resize(std::max<std::size_t>(content_.size(), offset + bytes.size()));
    content_.replace(offset, bytes.size(), bytes);
    return {};
  }
  Status sync() override { return {}; }
  Result<std::uint64_t> size() override { return content_.size(); }

 private:
  std::string content_;
};

/// The log of a little-endian host as a big-endian one would have written it.
inline std::string big_endian_wal(std::string wal) {
  const auto word = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
      value = value << 8U | static_cast<std::uint8_t>(wal[at + i]);
    return value;
  };
  const auto put = [&](std::size_t at, std::uint32_t value) {
    for (std::size_t i = 4; i-- > 0; value >>= 8U) wal[at + i] = static_cast<char>(value & 0xffU);
  };
  std::uint32_t first = 0, second = 0;
  const auto sum = [&](std::size_t from, std::size_t bytes) {
    for (std::size_t at = from; at < from + bytes; at += 8) {
      first += word(at) + second;
      second += word(at + 4) + first;
    }
  };
  put(0, word(0) | 1U);
  sum(0, 24);
  put(24, first);
  put(28, second);
  const std::size_t page = word(8);
  for (std::size_t at = 32; at + 24 + page <= wal.size(); at += 24 + page) {
    sum(at, 8);
    sum(at + 24, page);
    put(at + 16, first);
    put(at + 20, second);
  }
  return wal;
}

}  // namespace fettle::store
