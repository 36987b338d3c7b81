#include "store/superblock.h"

#include "base/bytes.h"
#include "base/check.h"

namespace fettle::store {
namespace {

constexpr std::uint64_t kMagic = 0x4b4c42454c545446ULL;  // "FTTLEBLK"
constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kSectorBytes = 512;

std::uint64_t place(std::size_t slot) { return slot * kSlotBytes; }

}  // namespace

std::string encode_slot(const Point& point) {
  FETTLE_ASSERT_MSG(point.tip.size() <= kTipBytesMax, "a tip is larger than its slot");
  Writer writer;
  writer(kMagic, kFormat, point.sequence, point.tip);
  const std::uint64_t sum = stable_hash(writer.bytes());
  writer(sum);
  std::string bytes = writer.take();
  bytes.resize((bytes.size() + kSectorBytes - 1) / kSectorBytes * kSectorBytes, '\0');
  return bytes;
}

std::optional<Point> parse_slot(std::string_view bytes) {
  bytes = bytes.substr(0, kSlotBytes);
  Reader reader(bytes);
  std::uint64_t magic = 0, sum = 0;
  std::uint32_t format = 0;
  Point point;
  reader(magic, format, point.sequence, point.tip, sum);
  if (!reader.ok() || magic != kMagic || format != kFormat || point.tip.size() > kTipBytesMax) {
    return std::nullopt;
  }
  Writer writer;
  writer(magic, format, point.sequence, point.tip);
  if (sum != stable_hash(writer.bytes())) return std::nullopt;
  return point;
}

Result<std::unique_ptr<Superblock>> Superblock::open(Disk& disk, const std::string& path) {
  FETTLE_TRY(auto file, disk.open_locked(path));
  FETTLE_TRY(const std::uint64_t size, file->size());
  std::unique_ptr<Superblock> block(new Superblock(std::move(file)));
  if (size > 0) FETTLE_CHECK(block->read());
  // What is in the page cache only would be lost if it were taken for durable.
  FETTLE_CHECK(block->file_->sync());
  FETTLE_CHECK(disk.sync_folder_of(path));
  return block;
}

Status Superblock::read() {
  for (std::size_t slot = 0; slot < 2; ++slot) {
    FETTLE_TRY(const std::string bytes, file_->read(place(slot), kSlotBytes));
    auto point = parse_slot(bytes);
    if (!point || (newest_ && newest_->sequence >= point->sequence)) continue;
    newest_ = std::move(point);
    durable_ = slot;
  }
  return {};
}

Status Superblock::write(Point point) {
  FETTLE_CHECK(file_->write(place(1 - durable_), encode_slot(point)));
  newest_ = std::move(point);
  dirty_ = true;
  settled_ = false;
  return {};
}

Status Superblock::sync() {
  if (!dirty_) return {};
  FETTLE_CHECK(file_->sync());
  durable_ = 1 - durable_;
  dirty_ = false;
  return {};
}

Status Superblock::settle() {
  if (settled_ || !newest_) return {};
  FETTLE_CHECK(sync());
  FETTLE_CHECK(write(*newest_));
  FETTLE_CHECK(sync());
  settled_ = true;
  return {};
}

}  // namespace fettle::store
