// Every fault that a disk may have, at every operation of a row of saves, on both stores: what was
// acknowledged is there afterwards, or the store refuses to open and says why; never less in
// silence. Prints how each fault ended. FETTLE_FAULTS=n (default 1) takes n times as many steps and
// random choices.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "store/wal_scan.h"
#include "tests/store/memory_file.h"
#include "tests/store/subject.h"
#include "tests/store/tally.h"

namespace fettle::store {
namespace {

std::uint64_t scale() {
  const char* wanted = std::getenv("FETTLE_FAULTS");
  return wanted == nullptr ? 1 : std::max<std::uint64_t>(1, std::strtoull(wanted, nullptr, 10));
}

constexpr std::uint64_t kGoOnEvery = 32;  // recovered stores that must also go on
constexpr std::size_t kFailuresShown = 5;

class Faults : public ::testing::TestWithParam<const char*> {
 protected:
  static std::unique_ptr<Subject> subject(std::uint64_t seed, std::size_t steps) {
    return std::string(GetParam()) == "group" ? group_subject(seed, steps)
                                              : host_subject(seed, steps);
  }
  struct Case {
    std::string fault;
    std::size_t acknowledged = 0;
    bool may_refuse = false;  // else only recovery will do
    std::string where;
  };
  /// Judges what is on the disk and counts it.
  void count(const Case& one, const Subject& subject, FaultDisk& disk) {
    const bool go_on = !one.may_refuse && ++judged_ % kGoOnEvery == 0;
    count(one, subject, judge(subject, disk, one.acknowledged, go_on));
  }
  void count(const Case& one, const Subject& subject, const Verdict& verdict) {
    tally_.add(std::string(subject.name()) + ": " + one.fault, verdict);
    const bool wrong = verdict.judgement == Judgement::Lost ||
                       (verdict.judgement == Judgement::Refused && !one.may_refuse);
    if (wrong && ++failures_ <= kFailuresShown) {
      ADD_FAILURE() << one.fault << ", " << one.where << ", after " << one.acknowledged
                    << " acknowledged steps: " << verdict.why;
    }
  }
  /// The process starts again on a kernel that still runs: what it finds then counts as
  /// acknowledged, and a power loss must leave it.
  void start_again_then_lose_power(const Case& one, const Subject& subject, const FaultDisk& before,
                                   std::uint64_t seed);
  void TearDown() override {
    tally_.print();
    EXPECT_EQ(failures_, 0U);
  }

  Tally tally_;
  std::uint64_t judged_ = 0;
  std::uint64_t failures_ = 0;
};

std::string at_op(std::size_t op) { return "after operation " + std::to_string(op); }

/// What a power loss may keep of `platter`, judged: nothing, everything, each operation alone, and
/// random sectors of them.
template <typename Judge>
void each_power_loss(const Platter& platter, std::uint64_t seed, std::uint64_t draws,
                     const Judge& judged) {
  judged(platter.after_power_loss([](std::size_t, std::size_t) { return false; }), "nothing");
  if (platter.unsynced() == 0) return;
  judged(platter.after_power_loss([](std::size_t, std::size_t) { return true; }), "everything");
  for (std::size_t one = 0; one < platter.unsynced(); ++one) {
    judged(platter.after_power_loss([one](std::size_t op, std::size_t) { return op == one; }),
           "one alone");
  }
  Rng rng(seed);
  for (std::uint64_t i = 0; i < draws; ++i) {
    judged(platter.after_power_loss([&rng](std::size_t, std::size_t) { return rng.chance(50); }),
           "random sectors");
  }
}

void Faults::start_again_then_lose_power(const Case& one, const Subject& subject,
                                         const FaultDisk& before, std::uint64_t seed) {
  FaultDisk again({}, before.image(), before.platter());
  auto opened = subject.open(again);
  const auto loaded = opened ? (*opened)->load() : Result<std::string>(fail(Code::Io, ""));
  if (!loaded) return count(one, subject, Verdict{Judgement::Lost, "does not start again"});
  Platter platter = before.platter();
  for (const Op& op : again.ops()) {  // and while it starts
    platter.take(op);
    FaultDisk nothing({}, platter.after_power_loss([](auto, auto) { return false; }));
    count(one, subject, nothing);
    FaultDisk all({}, platter.after_power_loss([](auto, auto) { return true; }));
    count(one, subject, all);
  }
  std::size_t found = one.acknowledged;
  if (found < subject.steps() && *loaded != subject.state(found)) ++found;
  each_power_loss(again.platter(), seed, 1, [&](const Image& image, const std::string&) {
    FaultDisk disk({}, image);
    count({one.fault, found, one.may_refuse, one.where}, subject, disk);
  });
}

TEST_P(Faults, APowerLossAfterAnyOperationIsRecovered) {
  const auto row = subject(21, 26 * scale());
  FaultDisk live;
  std::unique_ptr<Subject::Opened> open;
  const Ran ran = run(*row, live, &open);
  ASSERT_EQ(ran.error, "");
  Platter platter;
  std::size_t acknowledged = 0;
  for (std::size_t op = 0; op < live.ops().size(); ++op) {
    platter.take(live.ops()[op]);
    while (acknowledged < ran.marks.size() && ran.marks[acknowledged] <= op + 1) ++acknowledged;
    each_power_loss(platter, op, 3 * scale(), [&](const Image& image, const std::string& kept) {
      FaultDisk disk({}, image);
      count({"power loss, keeps " + kept, acknowledged, false, at_op(op)}, *row, disk);
    });
  }
  EXPECT_EQ(acknowledged, row->steps());
}

/// What one crash left behind in the log must not be taken for damage, or for a transaction, after
/// the next.
TEST_P(Faults, OnePowerLossAfterTheOtherIsRecovered) {
  const auto row = subject(28, 20);
  constexpr std::uint64_t kChains = 40, kLosses = 6, kOpsMax = 50;
  for (std::uint64_t chain = 0; chain < kChains * scale(); ++chain) {
    Rng rng(chain);
    Image image;
    std::size_t done = 0;
    for (std::uint64_t loss = 0; loss < kLosses; ++loss) {
      FaultDisk live({}, image);
      std::unique_ptr<Subject::Opened> open;
      const Ran ran = run_from(*row, live, open, done);
      ASSERT_EQ(ran.error, "") << "chain " << chain << ", loss " << loss;
      if (live.ops().empty()) break;
      const std::size_t ops = rng.between(1, std::min<std::uint64_t>(kOpsMax, live.ops().size()));
      Platter platter(image);
      for (std::size_t op = 0; op < ops; ++op) platter.take(live.ops()[op]);
      const auto acknowledged = static_cast<std::size_t>(
          std::ranges::count_if(ran.marks, [ops](std::size_t mark) { return mark <= ops; }));
      image = platter.after_power_loss([&rng](auto, auto) { return rng.chance(70); });
      FaultDisk disk({}, image);
      const Verdict verdict = judge(*row, disk, done + acknowledged, false);
      count({"power loss after power loss", done + acknowledged, false,
             "chain " + std::to_string(chain) + ", loss " + std::to_string(loss)},
            *row, verdict);
      if (verdict.judgement != Judgement::Recovered) break;
      done = verdict.steps;
    }
  }
}

TEST_P(Faults, AKilledProcessLosesNothing) {
  const auto row = subject(22, 40 * scale());
  FaultDisk live;
  std::unique_ptr<Subject::Opened> open;
  const Ran ran = run(*row, live, &open);
  ASSERT_EQ(ran.error, "");
  Image image;
  std::size_t acknowledged = 0;
  for (std::size_t op = 0; op < live.ops().size(); ++op) {
    apply(image, live.ops()[op], [](std::size_t) { return true; });
    while (acknowledged < ran.marks.size() && ran.marks[acknowledged] <= op + 1) ++acknowledged;
    FaultDisk disk({}, image);
    count({"killed", acknowledged, false, at_op(op)}, *row, disk);
  }
}

struct Kind {
  Fault fault;
  const char* name;
};
constexpr Kind kWriting[] = {{Fault::WriteError, "EIO on a write"},
                             {Fault::ShortWrite, "a short write"},
                             {Fault::NoSpace, "ENOSPC"},
                             {Fault::SyncError, "EIO on a sync, its pages dropped"},
                             {Fault::SyncHidden, "EIO on a sync, its pages readable, not written"}};

TEST_P(Faults, AFailedWriteOrSyncIsSaidAndNothingIsLost) {
  const auto row = subject(23, 14 * scale());
  for (const Kind& kind : kWriting) {
    for (std::uint64_t nth = 1;; ++nth) {
      FaultDisk live({.fault = kind.fault, .nth = nth});
      std::unique_ptr<Subject::Opened> open;
      const Ran ran = run(*row, live, &open);
      if (!live.struck()) break;
      const std::string where = "number " + std::to_string(nth);
      ASSERT_TRUE(!ran.error.empty() || ran.struck_closing)
          << kind.name << ", " << where << " was not said";
      const bool of_sync = kind.fault == Fault::SyncError || kind.fault == Fault::SyncHidden;
      open.reset();  // a member ends at once; here it even closes in order
      // Making a new file, SQLite takes back what it began; behind that nothing is tried again.
      if (of_sync && !ran.struck_closing && ran.acknowledged() > 0) {
        ASSERT_EQ(live.changes_since(), 0U) << "tried again after " << kind.name << ", " << where;
      }
      FaultDisk again({}, live.image());
      count({kind.name, ran.acknowledged(), false, where}, *row, again);
      const Case then{std::string(kind.name) + ", then a power loss", ran.acknowledged(), false,
                      where};
      each_power_loss(live.platter(), nth, 1, [&](const Image& image, const std::string&) {
        FaultDisk disk({}, image);
        count(then, *row, disk);
      });
      if (!of_sync) continue;
      start_again_then_lose_power({std::string(kind.name) + ", a new start, then a power loss",
                                   ran.acknowledged(), false, where},
                                  *row, live, nth);
    }
  }
}

/// A disk as it was when the process was killed after the whole row, and one closed in order.
std::vector<std::pair<std::string, Image>> at_rest(const Subject& row) {
  FaultDisk live;
  std::unique_ptr<Subject::Opened> open;
  EXPECT_EQ(run(row, live, &open).error, "");
  Image killed = live.image();
  open.reset();
  return {{"killed", std::move(killed)}, {"closed", live.image()}};
}

/// Bits to flip: every byte of what is small and matters, and random ones of the rest.
std::vector<std::uint64_t> bits_of(const std::string& content, std::uint64_t seed) {
  constexpr std::uint64_t kHeadBytes = 128, kRandom = 700;
  const std::uint64_t stride = scale() > 1 ? 1 : 3;
  std::vector<std::uint64_t> bits;
  Rng rng(seed);
  for (std::uint64_t byte = 0; byte < std::min<std::uint64_t>(kHeadBytes, content.size()); ++byte) {
    for (std::uint64_t bit = 0; bit < 8; bit += stride) bits.push_back(byte * 8 + bit);
  }
  for (std::uint64_t i = 0; i < kRandom * scale() && !content.empty(); ++i) {
    bits.push_back(rng.between(0, content.size() * 8 - 1));
  }
  return bits;
}

Image flipped(Image image, const std::string& name, std::uint64_t bit) {
  char& byte = (*image.find(name))[bit / 8];
  byte = static_cast<char>(static_cast<unsigned>(byte) ^ (1U << (bit % 8)));
  return image;
}

TEST_P(Faults, AFlippedBitAnywhereIsRecoveredOrRefused) {
  const auto row = subject(24, 40);
  for (const auto& [how, image] : at_rest(*row)) {
    for (const auto& [name, inode] : image.names) {
      for (const std::uint64_t bit : bits_of(image.inodes.at(inode), 5)) {
        FaultDisk disk({}, flipped(image, name, bit));
        count({"a flipped bit in " + name + ", " + how, row->steps(), true,
               "bit " + std::to_string(bit)},
              *row, disk);
      }
    }
  }
}

TEST_P(Faults, ACutOrMissingFileIsRecoveredOrRefused) {
  const auto row = subject(25, 40);
  for (const auto& [how, image] : at_rest(*row)) {
    for (const auto& [name, inode] : image.names) {
      Image missing = image;
      missing.names.erase(name);
      FaultDisk without({}, missing);
      count({"a missing " + name + ", " + how, row->steps(), true, name}, *row, without);
      const std::uint64_t size = image.inodes.at(inode).size();
      for (std::uint64_t i = 0; i < 64 * scale() && size > 0; ++i) {
        Image cut = image;
        cut.find(name)->resize(Rng(i).between(0, size - 1));
        const std::string left = std::to_string(cut.find(name)->size()) + " bytes are left";
        FaultDisk disk({}, cut);
        count({"a shortened " + name + ", " + how, row->steps(), true, left}, *row, disk);
      }
    }
  }
}

TEST_P(Faults, AReadThatFailsOrEndsEarlyIsRefusedOrRecovered) {
  const auto row = subject(26, 30);
  for (const auto& [how, image] : at_rest(*row)) {
    for (const Kind& kind : {Kind{Fault::ReadError, "EIO on a read"},
                             Kind{Fault::ShortRead, "a read that ends early"}}) {
      for (std::uint64_t nth = 1;; ++nth) {
        FaultDisk disk({.fault = kind.fault, .nth = nth}, image);
        const std::string where = "read " + std::to_string(nth) + ", " + how;
        const Verdict verdict = judge(*row, disk, row->steps(), false);
        if (!disk.struck()) break;
        count({kind.name, row->steps(), true, where}, *row, verdict);
        FaultDisk again({}, disk.image());
        count({std::string(kind.name) + ", then a start without", row->steps(), false, where}, *row,
              again);
      }
    }
  }
}

/// The limit of what one superblock can notice, counted and not judged: power is lost before its
/// newest slot is durable, and the end of the log is lost with it.
TEST_P(Faults, APowerLossThatTakesTheLastTransactionToo) {
  const auto row = subject(27, 40);
  FaultDisk live;
  std::unique_ptr<Subject::Opened> open;
  const Ran ran = run(*row, live, &open);
  ASSERT_EQ(ran.error, "");
  const bool synced = std::string(GetParam()) == "host";
  Platter platter;
  std::size_t acknowledged = 0, lost = 0;
  for (std::size_t op = 0; op < live.ops().size(); ++op) {
    platter.take(live.ops()[op]);
    if (acknowledged == ran.marks.size() || ran.marks[acknowledged] != op + 1) continue;
    ++acknowledged;
    Image image = platter.after_power_loss([](auto, auto) { return false; });
    std::string* log = image.find(row->path() + "-wal");
    if (log == nullptr) continue;
    MemoryFile file(*log);
    const auto scanned = scan_wal(file, nullptr, "log");
    ASSERT_TRUE(scanned);
    if (scanned->frames == 0) continue;
    (*log)[scanned->bytes - 1] = static_cast<char>((*log)[scanned->bytes - 1] ^ 1);
    FaultDisk disk({}, image);
    const Verdict verdict = judge(*row, disk, acknowledged, false);
    tally_.add(std::string(row->name()) + ": two faults: power loss, and the last transaction",
               verdict);
    if (verdict.judgement == Judgement::Lost) ++lost;
  }
  if (synced) {
    EXPECT_EQ(lost, 0U) << "its superblock is durable before anything is acknowledged";
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, Faults, ::testing::Values("group", "host"),
                         [](const auto& of) { return std::string(of.param); });

}  // namespace
}  // namespace fettle::store
