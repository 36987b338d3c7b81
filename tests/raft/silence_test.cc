// Failover by silence: the leader hangs or is cut off, so only timers tell. How long that takes,
// and that whoever can win does, whoever else asks.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/raft/timed_servers.h"

namespace fettle::raft {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

constexpr std::uint64_t kSeeds = 1000;
const Instant kTimeout = Config{}.election_timeout;

bool elects(TimedServers& group, Instant within) {
  return group.runs(within, [&] { return !group.leader().empty(); });
}

/// A settled group loses its leader at some moment between two heartbeats. Returns who it was.
ServerId loses_its_leader(TimedServers& group, std::uint64_t seed) {
  elects(group, seconds(10));
  const Instant heartbeat = Config{}.heartbeat;
  Rng rng(seed);
  const auto late = rng.between(0, static_cast<std::uint64_t>(heartbeat / microseconds(1)));
  group.passes(2 * heartbeat + microseconds(late));
  const ServerId leader = group.leader();
  group.silent.insert(leader);
  group.campaigns = 0;
  return leader;
}

struct Failovers {
  std::vector<Instant> took;  // ascending
  std::size_t campaigns = 0;
};

Failovers failovers(std::size_t voters) {
  Failovers all;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    TimedServers group(voters, seed);
    loses_its_leader(group, seed);
    const Instant began = group.now;
    EXPECT_TRUE(elects(group, seconds(60)));
    all.took.push_back(group.now - began);
    all.campaigns += group.campaigns;
  }
  std::ranges::sort(all.took);
  return all;
}

class Silence : public testing::TestWithParam<std::size_t> {};

TEST_P(Silence, IsOverLittleLaterThanTheElectionTimeout) {
  const Failovers all = failovers(GetParam());
  EXPECT_LE(all.took[kSeeds / 2], kTimeout * 115 / 100);
  EXPECT_LE(all.took[kSeeds * 99 / 100], kTimeout * 140 / 100);
  EXPECT_LE(all.took.back(), kTimeout * 5 / 2);
  EXPECT_LE(all.campaigns, kSeeds * 102 / 100) << "votes were split";
}

INSTANTIATE_TEST_SUITE_P(Voters, Silence, testing::Values(3, 5));

/// a, of five, whose leader z is silent.
OneServer without_leader() {
  OneServer a({"A", "a", "b", "c", "z"}, {Term{3}, ""});
  a.hears("z", 3, Append{});
  a.disk_is_done();
  return a;
}

bool grants(OneServer& a, const ServerId& asks, VoteRequest request = {.pre = true}) {
  return bodies<VoteReply>(a.hears(asks, 4, request)).at(0).granted;
}

TEST(Duel, WhoAsksItselfGivesItsPreVoteOnlyToWhoComesFirst) {
  OneServer a = without_leader();
  a.time_is_up();
  EXPECT_FALSE(grants(a, "b"));
  EXPECT_EQ(a.raft.role(), Role::PreCandidate);
  EXPECT_TRUE(grants(a, "A"));
  EXPECT_EQ(a.raft.role(), Role::Follower);
  a.hears("b", 4, VoteReply{true, true});
  a.hears("c", 4, VoteReply{true, true});
  EXPECT_EQ(a.raft.term(), Term{3}) << "what comes later counts no more";
}

TEST(Duel, TheNewerLogComesFirstWhateverItsName) {
  OneServer a = without_leader();
  a.time_is_up();
  EXPECT_TRUE(grants(a, "b", {.pre = true, .last_index = Index{1}, .last_term = Term{3}}));
  EXPECT_EQ(a.raft.role(), Role::Follower);
}

TEST(Duel, APreVoteIsHeldForOneAtATimeButNotForLong) {
  OneServer a = without_leader();
  a.now += kTimeout;
  EXPECT_TRUE(grants(a, "c"));
  EXPECT_GE(a.raft.deadline() - a.now, Config{}.election_spread()) << "nor does it ask itself";
  EXPECT_TRUE(grants(a, "b")) << "comes before c";
  EXPECT_FALSE(grants(a, "c"));
  a.now += Config{}.election_spread();
  EXPECT_TRUE(grants(a, "c"));
}

TEST(Duel, WhoGaveUpHoldsItsPreVoteNoLonger) {
  OneServer a = without_leader();
  a.time_is_up();
  a.hears("A", 3, VoteReply{true, false});
  ASSERT_EQ(a.raft.role(), Role::PreCandidate);
  a.hears("b", 3, VoteReply{true, false});
  ASSERT_EQ(a.raft.role(), Role::Follower) << "two refused, one is silent";
  EXPECT_TRUE(grants(a, "c"));
}

TEST(Duel, IsOverIfWhoComesFirstDies) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    TimedServers group(5, seed);
    const ServerId first = loses_its_leader(group, seed) == "a" ? "b" : "a";
    group.runs(seconds(10), [&] { return group.at(first).role() != Role::Follower; });
    group.passes(microseconds(700));  // whoever hears it grants
    group.silent.insert(first);
    EXPECT_TRUE(elects(group, 3 * kTimeout)) << "seed " << seed;
  }
}

TEST(Duel, WhoIsHeardButHearsNobodyKeepsNobodyFromWinning) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    TimedServers group(5, seed);
    const ServerId deaf = loses_its_leader(group, seed) == "a" ? "b" : "a";
    group.lost = [&](const Message& message) { return message.to == deaf; };
    EXPECT_TRUE(elects(group, 5 * kTimeout)) << "seed " << seed;
  }
}

/// Of five two are gone, and of the three that are left only b reaches both others: only b can win,
/// and comes after a, which asks for ever.
TEST(Duel, TheOnlyOneThatCanWinDoesThoughAnotherComesFirst) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    TimedServers group(5, seed);
    group.silent = {"d", "e"};
    group.lost = [](const Message& message) {
      const auto is = [&](const char* from, const char* to) {
        return message.from == from && message.to == to;
      };
      return is("a", "c") || is("c", "a");
    };
    EXPECT_TRUE(elects(group, 20 * kTimeout)) << "seed " << seed;
    EXPECT_EQ(group.leader(), "b");
  }
}

/// Another heard the leader a little later, and hears it still.
TEST(EarlyAsking, IsRepeatedSoon) {
  OneServer a = without_leader();
  a.time_is_up();
  a.hears("b", 3, VoteReply{true, false});
  a.hears("c", 3, VoteReply{true, false});
  EXPECT_EQ(a.raft.deadline() - a.now, 6 * Config{}.evidence_stagger) << "of five, rank 1";
}

TEST(EarlyAsking, IsNotRepeatedForEverByWhoAloneDoesNotHearTheLeader) {
  OneServer a = without_leader();
  int asked = 0;
  for (; a.now < seconds(10); ++asked) {
    a.time_is_up();
    a.hears("b", 3, VoteReply{true, false});
    a.hears("c", 3, VoteReply{true, false});
  }
  EXPECT_LE(asked, 5 + seconds(10) / kTimeout);
}

}  // namespace
}  // namespace fettle::raft
