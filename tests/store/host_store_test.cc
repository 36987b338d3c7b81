// Stories of host.db on a real file: the executor's journal, the fence, the count of starts.
#include "store/host_store.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "base/bytes.h"
#include "tests/store/raw_sql.h"
#include "tests/store/temp_folder.h"

namespace fettle::store {
namespace {

using core::JournalEntry;
using core::executor::Journal;

JournalEntry begun(std::uint64_t run, std::uint64_t index) {
  JournalEntry entry;
  entry.key = {.generation = 1, .run = RunId{run}, .step = 0, .attempt = 1, .host = "gpu1"};
  entry.fence = {.generation = 1, .term = Term{1}, .index = Index{index}};
  entry.action = "traffic.isolate";
  entry.resource = "haproxy:/run/haproxy/admin.sock";
  entry.input["server"] = std::string("chat-a");
  return entry;
}

JournalEntry done(std::uint64_t run, std::uint64_t index) {
  JournalEntry entry = begun(run, index);
  entry.result = core::TaskResult{.state = core::TaskState::Done, .text = "maint", .output = {}};
  entry.result->output["found"] = std::string("ready");
  return entry;
}

Journal write(JournalEntry entry, std::uint64_t generation = 1, std::uint64_t term = 1) {
  return {.write = 1, .entry = std::move(entry), .generation = generation, .term = Term{term}};
}

/// Entries are compared by all of their bytes.
std::vector<std::string> all_bytes(const std::vector<JournalEntry>& journal) {
  std::vector<std::string> all;
  for (const JournalEntry& entry : journal) all.push_back(encode(entry));
  return all;
}

class HostStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<HostStore> open() {
    auto opened = HostStore::open(path_);
    EXPECT_TRUE(opened) << opened.error().what;
    return opened ? std::move(*opened) : nullptr;
  }
  void save(const std::vector<Journal>& writes) {
    const Status saved = open()->save(writes);
    ASSERT_TRUE(saved) << saved.error().what;
  }
  LoadedHost load() {
    auto loaded = open()->load();
    EXPECT_TRUE(loaded) << loaded.error().what;
    return loaded.value_or(LoadedHost{});
  }

  TempFolder folder_;
  const std::string path_ = folder_.file("host.db");
};

TEST_F(HostStoreTest, AnEmptyOneHoldsTheFirstFence) {
  const LoadedHost loaded = load();
  EXPECT_EQ(loaded.generation, 1U);
  EXPECT_EQ(loaded.term, Term{0});
  EXPECT_TRUE(loaded.journal.empty());
}

TEST_F(HostStoreTest, WhatWasJournaledIsLoadedInTheOrderOfItsFence) {
  save({write(begun(3, 30)), write(begun(1, 10)), write(done(2, 20))});
  EXPECT_EQ(all_bytes(load().journal), all_bytes({begun(1, 10), done(2, 20), begun(3, 30)}));
}

TEST_F(HostStoreTest, ALaterWriteOfAKeyReplacesTheEarlierOne) {
  save({write(begun(1, 10)), write(begun(2, 20))});
  save({write(done(1, 10))});
  EXPECT_EQ(all_bytes(load().journal), all_bytes({done(1, 10), begun(2, 20)}));
}

TEST_F(HostStoreTest, OneSaveMayBeginAndEndTheSameKey) {
  save({write(begun(1, 10)), write(done(1, 10))});
  EXPECT_EQ(all_bytes(load().journal), all_bytes({done(1, 10)}));
}

TEST_F(HostStoreTest, AttemptsAndHostsAreKeysOfTheirOwn) {
  JournalEntry again = begun(1, 11);
  again.key.attempt = 2;
  JournalEntry elsewhere = begun(1, 12);
  elsewhere.key.host = "gpu2";
  save({write(begun(1, 10)), write(again), write(elsewhere)});
  EXPECT_EQ(all_bytes(load().journal), all_bytes({begun(1, 10), again, elsewhere}));
}

TEST_F(HostStoreTest, TheFenceMovesWithEveryWriteAndWithoutOne) {
  save({write(begun(1, 10), 1, 7)});
  EXPECT_EQ(load().term, Term{7});
  save({Journal{.write = 2, .entry = std::nullopt, .generation = 2, .term = Term{3}}});
  const LoadedHost loaded = load();
  EXPECT_EQ(loaded.generation, 2U);
  EXPECT_EQ(loaded.term, Term{3});
  EXPECT_EQ(loaded.journal.size(), 1U);
}

TEST_F(HostStoreTest, AFenceAloneInASaveHidesNoEntryBehindIt) {
  const Journal fence{.write = 1, .entry = std::nullopt, .generation = 1, .term = Term{2}};
  save({fence, write(begun(1, 10), 1, 2)});
  EXPECT_EQ(load().journal.size(), 1U);
}

TEST_F(HostStoreTest, ForgettingKeepsWhatStandsAtTheIndexOrAbove) {
  save({write(done(1, 10)), write(done(2, 20)), write(begun(3, 30))});
  ASSERT_TRUE(open()->forget_below(Index{20}));
  EXPECT_EQ(all_bytes(load().journal), all_bytes({done(2, 20), begun(3, 30)}));
  ASSERT_TRUE(open()->forget_below(Index{0}));
  EXPECT_EQ(load().journal.size(), 2U);
  ASSERT_TRUE(open()->forget_below(Index{1000}));
  EXPECT_TRUE(load().journal.empty());
}

TEST_F(HostStoreTest, StartsAreCountedOverReopening) {
  for (std::uint64_t start = 1; start <= 5; ++start) {
    const auto counted = open()->count_start();
    ASSERT_TRUE(counted) << counted.error().what;
    EXPECT_EQ(*counted, start);
  }
  save({write(begun(1, 10), 4, 4)});
  EXPECT_EQ(open()->count_start().value_or(0), 6U) << "the fence's writes leave the count alone";
  EXPECT_EQ(load().generation, 4U) << "and the count leaves the fence alone";
}

TEST_F(HostStoreTest, AFlippedByteOfAnEntryIsSaidWithItsKey) {
  save({write(begun(1, 10)), write(done(2, 20))});
  std::ifstream in(path_, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const std::size_t at = bytes.find("maint");
  ASSERT_NE(at, std::string::npos);
  std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(at));
  file.put('M');
  file.close();
  const auto loaded = open()->load();
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, Code::Corrupt);
  EXPECT_EQ(loaded.error().what, path_ + ": the journal entry 1/2/0/1@gpu1 is damaged");
}

TEST_F(HostStoreTest, AnEntryThatIsGoneIsNoticed) {
  save({write(begun(1, 10)), write(done(2, 20))});
  raw_sql(path_, "DELETE FROM journal WHERE ix = 10");
  const auto loaded = open()->load();
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().what, path_ + ": 2 journal entries should be there, 1 are");
}

TEST_F(HostStoreTest, AnOlderCopyOfTheFileIsRefusedWithWhatIsMissing) {
  save({write(begun(1, 10))});
  const std::string copy = folder_.file("copy");
  std::filesystem::copy_file(path_, copy);
  save({write(begun(2, 20), 1, 7)});
  std::filesystem::copy_file(copy, path_, std::filesystem::copy_options::overwrite_existing);
  const auto opened = HostStore::open(path_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::Corrupt);
  EXPECT_EQ(opened.error().what,
            path_ +
                ": transactions 3..3 are missing: fence 1/7 and journal entry 2 were"
                " acknowledged, fence 1/1 and journal entry 1 are there");
}

TEST_F(HostStoreTest, ASecondOpenerIsRefused) {
  const auto first = open();
  ASSERT_TRUE(first);
  const auto second = HostStore::open(path_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::Conflict);
  EXPECT_EQ(second.error().what, path_ + " is in use by another process");
}

}  // namespace
}  // namespace fettle::store
