// Stories of group.db on a real file: what was saved is there, in order; what is damaged is said.
#include "store/group_store.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "tests/store/child.h"
#include "tests/store/temp_folder.h"

namespace fettle::store {
namespace {

raft::Entry entry(std::uint64_t term, std::uint64_t index, std::string data = "") {
  return {Term{term}, Index{index}, raft::EntryKind::Noop, std::move(data)};
}

raft::Persist append(std::vector<raft::Entry> entries) {
  raft::Persist persist;
  persist.entries = std::move(entries);
  return persist;
}

class GroupStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<GroupStore> open() {
    auto opened = GroupStore::open(path_);
    EXPECT_TRUE(opened) << opened.error().what;
    return opened ? std::move(*opened) : nullptr;
  }
  void save(const std::vector<raft::Persist>& batches) {
    const Status saved = open()->save(batches);
    ASSERT_TRUE(saved) << saved.error().what;
  }
  LoadedGroup load() {
    auto loaded = open()->load();
    EXPECT_TRUE(loaded) << loaded.error().what;
    return loaded.value_or(LoadedGroup{});
  }
  Error load_error() {
    auto loaded = open()->load();
    EXPECT_FALSE(loaded);
    return loaded ? Error{} : loaded.error();
  }
  std::string bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  TempFolder folder_;
  const std::string path_ = folder_.file("group.db");
};

TEST_F(GroupStoreTest, AnEmptyOneHoldsNothing) {
  const LoadedGroup loaded = load();
  EXPECT_EQ(loaded.hard, raft::HardState{});
  EXPECT_TRUE(loaded.entries.empty());
}

TEST_F(GroupStoreTest, WhatWasSavedIsLoadedInOrderAfterReopening) {
  std::vector<raft::Entry> entries;
  for (std::uint64_t i = 1; i <= 300; ++i) {
    entries.push_back(entry(1 + i / 100, i, std::string(i * 7 % 5000, static_cast<char>(i))));
  }
  save({append({entries.begin(), entries.begin() + 1}),
        append({entries.begin() + 1, entries.begin() + 200})});
  save({append({entries.begin() + 200, entries.end()})});
  EXPECT_EQ(load().entries, entries);
}

TEST_F(GroupStoreTest, AConflictingSuffixGivesWayToTheNewOne) {
  save({append({entry(1, 1, "a"), entry(1, 2, "b"), entry(2, 3, "old"), entry(2, 4, "old"),
                entry(2, 5, "old")})});
  raft::Persist overwrite = append({entry(3, 3, "new"), entry(3, 4, "new")});
  overwrite.truncate_from = Index{3};
  save({overwrite});
  EXPECT_EQ(load().entries, (std::vector<raft::Entry>{entry(1, 1, "a"), entry(1, 2, "b"),
                                                      entry(3, 3, "new"), entry(3, 4, "new")}));
}

TEST_F(GroupStoreTest, OneSaveMayHoldABatchAndWhatOverwritesIt) {
  raft::Persist overwrite = append({entry(2, 2, "new")});
  overwrite.truncate_from = Index{2};
  save({append({entry(1, 1), entry(1, 2, "old"), entry(1, 3, "old")}), overwrite});
  EXPECT_EQ(load().entries, (std::vector<raft::Entry>{entry(1, 1), entry(2, 2, "new")}));
}

TEST_F(GroupStoreTest, TheNewestTermAndVoteStand) {
  raft::Persist first, second;
  first.hard = raft::HardState{Term{4}, "gpu1"};
  second.hard = raft::HardState{Term{5}, ""};
  save({first});
  EXPECT_EQ(load().hard, (raft::HardState{Term{4}, "gpu1"}));
  save({first, second});
  EXPECT_EQ(load().hard, (raft::HardState{Term{5}, ""}));
  save({append({entry(5, 1)})});
  EXPECT_EQ(load().hard, (raft::HardState{Term{5}, ""})) << "a batch without one leaves it alone";
}

TEST_F(GroupStoreTest, LargeNumbersComeBackWhole) {
  raft::Persist persist;
  persist.hard = raft::HardState{Term{~std::uint64_t{0}}, "v"};
  save({persist});
  EXPECT_EQ(load().hard.term, Term{~std::uint64_t{0}});
}

TEST_F(GroupStoreTest, ASaveThatFailsLeavesNothingOfIt) {
  save({append({entry(1, 1, "a")})});
  auto store = open();
  raft::Persist vote;
  vote.hard = raft::HardState{Term{9}, "gpu9"};
  const Status saved = store->save({vote, append({entry(1, 2, "b"), entry(1, 1, "taken")})});
  ASSERT_FALSE(saved);
  EXPECT_NE(saved.error().what.find("append entry 1"), std::string::npos) << saved.error().what;
  const auto loaded = store->load();
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->entries, (std::vector<raft::Entry>{entry(1, 1, "a")}));
  EXPECT_EQ(loaded->hard, raft::HardState{});
}

TEST_F(GroupStoreTest, ASnapshotComesBackWithTheTailOfTheLogThatIsLeft) {
  save({append({entry(1, 1), entry(1, 2), entry(1, 3), entry(1, 4)})});
  auto snapshot = std::make_shared<raft::Snapshot>();
  snapshot->meta = {Index{3}, Term{1}, {.servers = {{.id = "a", .info = "a:1"}}}, Index{2}};
  snapshot->data = std::string("bytes\0of the machine", 20);
  raft::Persist taken;
  taken.snapshot = snapshot;
  taken.compact_to = Index{1};
  save({taken});
  const LoadedGroup loaded = load();
  ASSERT_NE(loaded.snapshot, nullptr);
  EXPECT_EQ(loaded.snapshot->meta, snapshot->meta);
  EXPECT_EQ(loaded.snapshot->data, snapshot->data);
  EXPECT_EQ(loaded.entries, (std::vector<raft::Entry>{entry(1, 2), entry(1, 3), entry(1, 4)}));
}

TEST_F(GroupStoreTest, AnInstalledSnapshotReplacesTheWholeLog) {
  save({append({entry(1, 1), entry(1, 2)})});
  auto snapshot = std::make_shared<raft::Snapshot>();
  snapshot->meta = {Index{9}, Term{3}, {}, Index{0}};
  raft::Persist installed;
  installed.truncate_from = Index{1};
  installed.snapshot = snapshot;
  installed.compact_to = Index{9};
  save({installed, append({entry(3, 10)})});
  EXPECT_EQ(load().entries, (std::vector<raft::Entry>{entry(3, 10)}));
}

TEST_F(GroupStoreTest, FactsAreKeptByName) {
  EXPECT_EQ(open()->meta("incarnation").value(), std::nullopt);
  ASSERT_TRUE(open()->set_meta("incarnation", "one"));
  ASSERT_TRUE(open()->set_meta("incarnation", std::string("t\0wo", 4)));
  EXPECT_EQ(open()->meta("incarnation").value(), std::string("t\0wo", 4));
  EXPECT_EQ(open()->meta("another").value(), std::nullopt);
}

TEST_F(GroupStoreTest, AFlippedByteOfAnEntryIsSaidWithItsIndex) {
  const std::string mark = "the seventeenth entry says this";
  std::vector<raft::Entry> entries;
  for (std::uint64_t i = 1; i <= 40; ++i) entries.push_back(entry(1, i, i == 17 ? mark : "entry"));
  save({append(entries)});
  const std::size_t at = bytes().find(mark);
  ASSERT_NE(at, std::string::npos) << "closing wrote everything into the file itself";
  std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(at + 4));
  file.put('S');
  file.close();
  const Error error = load_error();
  EXPECT_EQ(error.code, Code::Corrupt);
  EXPECT_EQ(error.what, "group.db: entry 17 is damaged");
}

TEST_F(GroupStoreTest, AGapIsSaidWithItsIndex) {
  save({append({entry(1, 1), entry(1, 2), entry(1, 3), entry(1, 4)})});
  ASSERT_TRUE((*Database::open(path_, "", 1))->run("DELETE FROM entry WHERE ix = 3"));
  const Error error = load_error();
  EXPECT_EQ(error.code, Code::Corrupt);
  EXPECT_EQ(error.what, "group.db: entry 3 is missing");
}

TEST_F(GroupStoreTest, AnEntryInAnothersPlaceIsDamaged) {
  save({append({entry(1, 1, "a"), entry(1, 2, "b")})});
  ASSERT_TRUE((*Database::open(path_, "", 1))
                  ->run("UPDATE entry SET bytes = (SELECT bytes FROM entry WHERE ix = 1),"
                        " sum = (SELECT sum FROM entry WHERE ix = 1) WHERE ix = 2"));
  EXPECT_EQ(load_error().what, "group.db: entry 2 is damaged");
}

TEST_F(GroupStoreTest, ASecondOpenerIsRefused) {
  const auto first = open();
  ASSERT_TRUE(first);
  const auto second = GroupStore::open(path_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::Conflict);
  EXPECT_EQ(second.error().what, path_ + " is in use by another process");
  EXPECT_TRUE(first->save({append({entry(1, 1)})})) << "the first one goes on";
}

TEST_F(GroupStoreTest, ASecondProcessIsRefusedUntilTheFirstIsGone) {
  Child holder([&](const Child::Say& say) {
    const auto held = GroupStore::open(path_);
    say(held ? 1 : 0);
    pause();
    return 0;
  });
  ASSERT_EQ(holder.hear(), 1U);
  const auto second = GroupStore::open(path_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::Conflict);
  EXPECT_EQ(second.error().what, path_ + " is in use by another process");
  holder.kill_now();
  EXPECT_TRUE(GroupStore::open(path_));
}

TEST_F(GroupStoreTest, AFileOfAnotherFormatIsRefusedUntouched) {
  save({append({entry(1, 1)})});
  ASSERT_TRUE((*Database::open(path_, "", 1))->run("PRAGMA user_version=2"));
  const auto opened = GroupStore::open(path_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::Invalid);
  EXPECT_EQ(opened.error().what, path_ + " has format 2, this program 1");
}

TEST_F(GroupStoreTest, AFileThatIsNoDatabaseIsCorrupt) {
  std::ofstream(path_) << std::string(5000, 'x');
  const auto opened = GroupStore::open(path_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::Corrupt);
  EXPECT_NE(opened.error().what.find(path_), std::string::npos) << opened.error().what;
}

TEST_F(GroupStoreTest, AFolderThatIsNotThereIsAnErrorThatNamesTheFile) {
  const auto opened = GroupStore::open(folder_.file("none/group.db"));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::Io);
  EXPECT_NE(opened.error().what.find("none/group.db"), std::string::npos) << opened.error().what;
}

TEST_F(GroupStoreTest, TheWriteAheadLogDoesNotGrowWithoutEnd) {
  const auto store = open();
  std::uintmax_t largest = 0;
  for (std::uint64_t i = 1; i <= 600; ++i) {
    ASSERT_TRUE(store->save({append({entry(1, i, std::string(50'000, 'x'))})}));
    largest = std::max(largest, std::filesystem::file_size(path_ + "-wal"));
  }
  constexpr std::uintmax_t kMiB = 1024U * 1024;
  EXPECT_GT(std::filesystem::file_size(path_), 20 * kMiB);
  EXPECT_LT(largest, 6 * kMiB);
}

}  // namespace
}  // namespace fettle::store
