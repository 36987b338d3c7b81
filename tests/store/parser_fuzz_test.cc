// Random and mutated bytes for the two readers that see a disk first: the scan of the write-ahead
// log and the superblock's slots. Whatever they are given they answer, within its bounds (the
// address sanitizer watches in the preset asan); what was changed is never taken for whole.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "store/superblock.h"
#include "store/wal_scan.h"
#include "tests/store/memory_file.h"
#include "tests/store/subject.h"

namespace fettle::store {
namespace {

constexpr int kRandom = 4000;
constexpr int kMutated = 1500;

std::string random_bytes(Rng& rng, std::size_t bytes_max) {
  std::string bytes(rng.between(0, bytes_max), '\0');
  for (char& byte : bytes) byte = static_cast<char>(rng.next());
  return bytes;
}

/// One to four changes: a byte, a cut, a piece that is moved, or bytes put in.
std::string mutate(std::string bytes, Rng& rng) {
  for (std::uint64_t i = rng.between(1, 4); i > 0 && !bytes.empty(); --i) {
    const std::size_t at = rng.between(0, bytes.size() - 1);
    const std::size_t other = rng.between(0, bytes.size() - 1);
    switch (rng.between(0, 4)) {
      case 0:
        bytes.resize(at);
        break;
      case 1:
        bytes.insert(at, random_bytes(rng, 40));
        break;
      case 2:
        bytes.replace(at, 100, bytes.substr(other, 100));
        break;
      default:
        bytes[at] = static_cast<char>(bytes[at] ^ static_cast<char>(rng.between(1, 255)));
    }
  }
  return bytes;
}

/// Files of a store that ran, and was killed.
Image some_store() {
  FaultDisk disk;
  std::unique_ptr<Subject::Opened> open;
  EXPECT_EQ(run(*group_subject(31, 12), disk, &open).error, "");
  return disk.image();
}

void expect_sane(const std::string& bytes, const std::string* database) {
  MemoryFile log(bytes);
  MemoryFile file(database == nullptr ? "" : *database);
  const auto found = scan_wal(log, database == nullptr ? nullptr : &file, "the log");
  if (!found) {
    EXPECT_TRUE(found.error().what.starts_with("the log: ")) << found.error().what;
    return;
  }
  EXPECT_LE(found->bytes, bytes.size());
  EXPECT_LE(found->transactions, found->frames);
}

TEST(WalScanFuzz, RandomBytesAreAnswered) {
  Rng rng(1);
  const std::string magic("\x37\x7f\x06\x82\x00\x2d\xe2\x18\x00\x00\x02\x00", 12);
  for (int i = 0; i < kRandom; ++i) {
    const std::string bytes = random_bytes(rng, 3000);
    const std::string database = random_bytes(rng, 3000);
    expect_sane(bytes, nullptr);
    expect_sane(magic + bytes, &database);
  }
}

TEST(WalScanFuzz, AMutatedLogIsAnsweredAndNeverLonger) {
  const Image image = some_store();
  const std::string whole = *image.find("group.db-wal");
  MemoryFile log(whole);
  const auto before = scan_wal(log, nullptr, "the log");
  ASSERT_TRUE(before) << before.error().what;
  ASSERT_GT(before->frames, 10U);
  Rng rng(2);
  for (int i = 0; i < kMutated; ++i) {
    const std::string bytes = mutate(whole, rng);
    expect_sane(bytes, image.find("group.db"));
    MemoryFile changed(bytes);
    const auto after = scan_wal(changed, nullptr, "the log");
    if (after) {
      EXPECT_LE(after->frames, before->frames);
    }
  }
}

TEST(SuperblockFuzz, RandomBytesAreNoSlot) {
  Rng rng(3);
  for (int i = 0; i < kRandom; ++i) {
    std::string bytes = random_bytes(rng, 600);
    bytes.shrink_to_fit();
    EXPECT_EQ(parse_slot(bytes), std::nullopt);
    EXPECT_EQ(parse_slot("FTTLEBLK" + bytes), std::nullopt);
  }
}

TEST(SuperblockFuzz, AMutatedSlotIsWholeOrNone) {
  Rng rng(4);
  for (int i = 0; i < kRandom; ++i) {
    const Point point{rng.next(), random_bytes(rng, kTipBytesMax)};
    const std::string bytes = encode_slot(point);
    ASSERT_EQ(parse_slot(bytes), point);
    std::string changed = mutate(bytes, rng);
    changed.shrink_to_fit();
    const auto parsed = parse_slot(changed);
    EXPECT_TRUE(!parsed || *parsed == point) << "only what lies behind the record may change";
  }
}

}  // namespace
}  // namespace fettle::store
