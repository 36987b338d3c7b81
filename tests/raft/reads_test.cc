// ReadIndex.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/raft/one_server.h"

namespace fettle::raft {
namespace {

TEST(Reads, AReadWaitsForAnEntryOfTheTermAndForARoundOfAMajority) {
  OneServer a;
  a.wins();
  a.disk_is_done();
  EXPECT_TRUE(a.step(Read{1}).reads.empty());
  const Output committed = a.acks("b", 1);
  EXPECT_TRUE(committed.reads.empty());
  const auto heartbeats = bodies<Append>(committed);
  ASSERT_FALSE(heartbeats.empty());
  const std::uint64_t round = std::ranges::max(heartbeats, {}, &Append::round).round;
  EXPECT_GT(round, 0U);
  EXPECT_TRUE(a.acks("c", 1, round - 1).reads.empty());
  const Output confirmed = a.acks("c", 1, round);
  ASSERT_EQ(confirmed.reads.size(), 1U);
  EXPECT_TRUE(confirmed.reads.front().ok);
  EXPECT_EQ(confirmed.reads.front().index, Index{1});
}

TEST(Reads, AReadOfADeposedLeaderFails) {
  OneServer a;
  a.wins();
  a.disk_is_done();
  a.acks("b", 1);
  a.step(Read{1});
  const Output out = a.hears("c", 9, Append{});
  ASSERT_EQ(out.reads.size(), 1U);
  EXPECT_FALSE(out.reads.front().ok);
}

}  // namespace
}  // namespace fettle::raft
