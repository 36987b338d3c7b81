// The log in memory after compaction, and which configuration was in force where.
#include <gtest/gtest.h>

#include "tests/raft/one_server.h"

namespace fettle::raft {
namespace {

std::vector<Entry> entries(std::uint64_t from, std::uint64_t to) {
  std::vector<Entry> made;
  for (std::uint64_t i = from; i <= to; ++i) made.push_back(entry(1, i));
  return made;
}

TEST(Log, AfterCompactionTheTermAtItsBaseIsStillKnown) {
  Log log(Index{}, Term{}, entries(1, 9));
  log.compact_to(Index{6});
  EXPECT_EQ(log.base(), Index{6});
  EXPECT_TRUE(log.matches(Index{6}, Term{1}));
  EXPECT_EQ(log.term_at(Index{5}), std::nullopt);
  EXPECT_EQ(log.slice(Index{7}, 1000).size(), 3U);
}

TEST(Log, ATailFromBeforeTheSnapshotDoesNotKnowTheTermAtItsBase) {
  const Log log(Index{5}, Term{1}, entries(4, 8));
  EXPECT_EQ(log.base(), Index{3});
  EXPECT_EQ(log.term_at(Index{3}), std::nullopt);
  EXPECT_EQ(log.term_at(Index{4}), Term{1});
  EXPECT_EQ(log.last_index(), Index{8});
}

TEST(Log, WithoutEntriesItEndsWithItsSnapshot) {
  const Log log(Index{5}, Term{2}, {});
  EXPECT_EQ(log.last_index(), Index{5});
  EXPECT_EQ(log.last_term(), Term{2});
  EXPECT_FALSE(log.up_to_date(Index{9}, Term{1}));
}

TEST(ConfigurationHistory, KnowsWhatWasInForceAtAnIndex) {
  ConfigurationHistory history;
  history.reset(Index{}, voters({"a"}));
  history.add(Index{4}, voters({"a", "b"}));
  history.add(Index{9}, voters({"a", "b", "c"}));
  EXPECT_EQ(history.as_of(Index{3}).configuration, voters({"a"}));
  EXPECT_EQ(history.as_of(Index{4}).index, Index{4});
  EXPECT_EQ(history.newest().index, Index{9});
  EXPECT_TRUE(history.truncate_from(Index{9}));
  EXPECT_EQ(history.newest().configuration, voters({"a", "b"}));
  EXPECT_FALSE(history.truncate_from(Index{5}));
}

TEST(ConfigurationHistory, CompactionKeepsTheOneInForceAtItsIndex) {
  ConfigurationHistory history;
  history.reset(Index{}, voters({"a"}));
  history.add(Index{4}, voters({"a", "b"}));
  history.add(Index{9}, voters({"a", "b", "c"}));
  history.compact_to(Index{6});
  EXPECT_EQ(history.as_of(Index{6}).configuration, voters({"a", "b"}));
  EXPECT_EQ(history.newest().index, Index{9});
}

}  // namespace
}  // namespace fettle::raft
