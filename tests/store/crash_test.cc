// A process that dies or runs out of disk in the middle of saving. Happy path of each story: a
// child saves numbered batches and says each number once save() came back; the parent ends it by
// SIGKILL at a random moment and opens the file itself. Everything that was said must be there, one
// further batch may be, and no batch in part: what batch n leaves behind is known, so the file is
// compared with it whole. With no room left, save() must come back with an error and the same must
// hold.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/bytes.h"
#include "base/rng.h"
#include "store/group_store.h"
#include "store/host_store.h"
#include "tests/store/child.h"
#include "tests/store/temp_folder.h"

namespace fettle::store {
namespace {

constexpr int kRounds = 12;
constexpr std::uint64_t kSaidPerRoundMax = 60;
constexpr int kChildFailed = 3;

/// The log after a number of batches: each appends up to four entries, and now and then overwrites
/// the last ones first. Its number is the term, and the term of the hard state too.
class Model {
 public:
  raft::Persist next() {
    const std::uint64_t batch = ++batches_;
    Rng rng(batch);
    raft::Persist persist;
    persist.hard = raft::HardState{Term{batch}, "gpu" + std::to_string(batch % 3)};
    if (!entries_.empty() && rng.chance(25)) {
      const std::size_t cut = std::min<std::size_t>(rng.between(1, 3), entries_.size());
      entries_.resize(entries_.size() - cut);
      persist.truncate_from = Index{entries_.size() + 1};
    }
    for (std::uint64_t i = rng.between(1, 4); i > 0; --i) {
      raft::Entry entry{Term{batch}, Index{entries_.size() + 1}, raft::EntryKind::Noop, ""};
      entry.data.assign(rng.between(0, 6000), static_cast<char>(rng.between(0, 255)));
      persist.entries.push_back(entry);
      entries_.push_back(std::move(entry));
    }
    return persist;
  }
  void go_on_to(std::uint64_t batch) {
    while (batches_ < batch) static_cast<void>(next());
  }
  const std::vector<raft::Entry>& entries() const { return entries_; }

 private:
  std::uint64_t batches_ = 0;
  std::vector<raft::Entry> entries_;
};

/// In the child: saves batch after batch behind `batch`, and says each.
int save_without_end(const std::string& path, std::uint64_t batch, const Child::Say& say) {
  auto store = GroupStore::open(path);
  if (!store) return kChildFailed;
  Model model;
  model.go_on_to(batch);
  while ((*store)->save({model.next()})) {
    if (!say(++batch)) return 0;
  }
  return kChildFailed;
}

/// The number of the last batch in the file, after everything was compared.
std::uint64_t expect_whole_batches(const std::string& path, std::uint64_t said) {
  auto store = GroupStore::open(path);
  EXPECT_TRUE(store) << store.error().what;
  if (!store) return said;
  const auto loaded = (*store)->load();
  EXPECT_TRUE(loaded) << loaded.error().what;
  if (!loaded) return said;
  const std::uint64_t batch = loaded->hard.term.value;
  EXPECT_GE(batch, said) << "a batch that was acknowledged is lost";
  EXPECT_LE(batch, said + 1);
  Model model;
  model.go_on_to(batch);
  EXPECT_TRUE(loaded->entries == model.entries()) << "torn after batch " << batch;
  return batch;
}

TEST(AKilledProcess, LosesNothingItAcknowledgedAndLeavesNothingTorn) {
  const TempFolder folder;
  const std::string path = folder.file("group.db");
  Rng rng(11);
  std::uint64_t batch = 0;
  for (int round = 0; round < kRounds && !::testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    Child child([&](const Child::Say& say) { return save_without_end(path, batch, say); });
    std::uint64_t said = batch;
    for (std::uint64_t wanted = batch + rng.between(1, kSaidPerRoundMax); said < wanted;) {
      const auto heard = child.hear();
      ASSERT_TRUE(heard) << "the child ended by itself";
      said = *heard;
    }
    child.kill_now();
    while (const auto heard = child.hear()) said = *heard;
    batch = expect_whole_batches(path, said);
  }
  EXPECT_GE(batch, static_cast<std::uint64_t>(kRounds));
}

/// Batch n begins run n and ends run n - 1.
std::vector<core::executor::Journal> journal_batch(std::uint64_t batch) {
  const auto write = [&](std::uint64_t run, bool done) {
    core::JournalEntry entry;
    entry.key = {.generation = 1, .run = RunId{run}, .step = 0, .attempt = 1, .host = "gpu1"};
    entry.fence = {.generation = 1, .term = Term{batch}, .index = Index{run}};
    entry.action = "traffic.isolate";
    entry.resource = std::string(500, 'r');
    if (done)
      entry.result =
          core::TaskResult{.state = core::TaskState::Done, .text = "maint", .output = {}};
    return core::executor::Journal{
        .write = batch, .entry = entry, .generation = 1, .term = Term{batch}};
  };
  if (batch == 1) return {write(1, false)};
  return {write(batch, false), write(batch - 1, true)};
}

void expect_whole_journal(const std::string& path, std::uint64_t said) {
  auto store = HostStore::open(path);
  ASSERT_TRUE(store) << store.error().what;
  const auto loaded = (*store)->load();
  ASSERT_TRUE(loaded) << loaded.error().what;
  const std::uint64_t batch = loaded->term.value;
  EXPECT_GE(batch, said);
  EXPECT_LE(batch, said + 1);
  ASSERT_EQ(loaded->journal.size(), batch);
  for (std::uint64_t run = 1; run <= batch; ++run) {
    EXPECT_EQ(loaded->journal[run - 1].key.run, RunId{run});
    EXPECT_EQ(loaded->journal[run - 1].result.has_value(), run < batch) << "run " << run;
  }
}

TEST(AKilledProcess, LeavesItsJournalWhole) {
  const TempFolder folder;
  Rng rng(12);
  for (int round = 0; round < kRounds && !::testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const std::string path = folder.file("host" + std::to_string(round) + ".db");
    Child child([&](const Child::Say& say) {
      auto store = HostStore::open(path);
      if (!store) return kChildFailed;
      for (std::uint64_t batch = 1; (*store)->save(journal_batch(batch)); ++batch) {
        if (!say(batch)) return 0;
      }
      return kChildFailed;
    });
    std::uint64_t said = 0;
    for (const std::uint64_t wanted = rng.between(1, kSaidPerRoundMax); said < wanted;) {
      const auto heard = child.hear();
      ASSERT_TRUE(heard) << "the child ended by itself";
      said = *heard;
    }
    child.kill_now();
    while (const auto heard = child.hear()) said = *heard;
    expect_whole_journal(path, said);
  }
}

/// In the child: no file may grow beyond `bytes_max`, and that is an error, not a signal.
bool limit_files(std::uint64_t bytes_max) {
  const rlimit limit{bytes_max, bytes_max};
  return signal(SIGXFSZ, SIG_IGN) != SIG_ERR && setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

/// Saves until there is no room; exit status: the error's code, or kNeverFull.
constexpr int kNeverFull = 100;
int save_until_full(const std::string& path, std::uint64_t bytes_max, const Child::Say& say) {
  if (!limit_files(bytes_max)) return kNeverFull;
  auto store = GroupStore::open(path);
  if (!store) return kNeverFull;
  Model model;
  constexpr std::uint64_t kBatchesMax = 5000;
  for (std::uint64_t batch = 1; batch < kBatchesMax; ++batch) {
    const Status saved = (*store)->save({model.next()});
    if (!saved)
      return saved.error().what.starts_with(path) ? static_cast<int>(saved.error().code)
                                                  : kNeverFull;
    if (!say(batch)) return kNeverFull;
  }
  return kNeverFull;
}

/// The first limit is met by the write-ahead log, the second by the file that it is copied into.
TEST(AFullDisk, IsAnErrorAndWhatWasSavedBeforeSurvives) {
  constexpr std::uint64_t kKiB = 1024;
  for (const std::uint64_t bytes_max : {300 * kKiB, 4600 * kKiB}) {
    SCOPED_TRACE(bytes_max);
    const TempFolder folder;
    const std::string path = folder.file("group.db");
    Child child([&](const Child::Say& say) { return save_until_full(path, bytes_max, say); });
    std::uint64_t said = 0;
    while (const auto heard = child.hear()) said = *heard;
    EXPECT_EQ(child.wait_for_exit(), static_cast<int>(Code::Io));
    EXPECT_GT(said, 10U);
    const std::uint64_t batch = expect_whole_batches(path, said);

    auto store = GroupStore::open(path);
    ASSERT_TRUE(store) << store.error().what;
    Model model;
    model.go_on_to(batch);
    EXPECT_TRUE((*store)->save({model.next()})) << "with room again it goes on";
  }
}

}  // namespace
}  // namespace fettle::store
