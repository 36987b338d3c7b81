// Failover by evidence: the leader's process is known to be dead, so nobody waits for a timer.
#include <gtest/gtest.h>

#include "tests/raft/few_servers.h"

namespace fettle::raft {
namespace {

TEST(Evidence, TheFirstInRankAsksAtOnceTheOthersAfterTheirTurn) {
  OneServer a;
  a.hears("c", 3, Append{});
  a.disk_is_done();
  EXPECT_EQ(bodies<VoteRequest>(a.step(LeaderLost{"c"})).size(), 2U);

  Config config;
  OneServer later(Start{{Term{3}, ""}, snapshot_of(0, 0, voters({"A", "B", "a", "c"})), {}});
  later.hears("c", 3, Append{});
  EXPECT_TRUE(later.step(LeaderLost{"c"}).send.empty());
  EXPECT_EQ(later.raft.deadline(), later.now + 2 * config.evidence_stagger);
}

TEST(Evidence, OfAnotherThanTheLeaderItMeansNothing) {
  OneServer a;
  a.hears("c", 3, Append{});
  EXPECT_TRUE(a.step(LeaderLost{"b"}).send.empty());
  EXPECT_EQ(a.raft.leader(), "c");
}

TEST(Evidence, AGroupHasALeaderAgainBeforeAnyTimer) {
  FewServers group;
  group.campaigns("c");
  group.proposes("c", 2);
  group.passes(milliseconds(60));
  group.dies("c");
  const Instant died = group.now;
  group.tell("b", LeaderLost{"c"});
  group.tell("a", LeaderLost{"c"});
  group.settle();
  EXPECT_EQ(group.leader(), "a");
  EXPECT_EQ(group.now, died);
}

TEST(Evidence, WhoStillHearsTheLeaderGivesNoVote) {
  FewServers group;
  group.campaigns("c");
  group.tell("a", LeaderLost{"c"});  // a broken connection, the leader lives
  group.settle();
  group.passes(milliseconds(1000));
  EXPECT_EQ(group.leader(), "c");
  EXPECT_EQ(group.at("a").leader(), "c");
}

TEST(Evidence, WhoHasTheLongerLogAndKnowsTooCampaignsAtOnce) {
  OneServer a({"A", "a", "c"}, {Term{3}, ""}, {entry(3, 1), entry(3, 2)});
  a.hears("c", 3, Append{.prev_index = Index{2}, .prev_term = Term{3}});
  EXPECT_TRUE(a.step(LeaderLost{"c"}).send.empty());
  const Output out = a.hears("A", 4, VoteRequest{true, Index{1}, Term{3}});
  EXPECT_FALSE(bodies<VoteReply>(out).front().granted);
  EXPECT_EQ(bodies<VoteRequest>(out).size(), 2U);
}

TEST(Evidence, WhoAskedTooEarlyAsksAgainSoon) {
  OneServer a;
  a.hears("c", 3, Append{});
  a.disk_is_done();
  a.step(LeaderLost{"c"});
  a.hears("b", 3, VoteReply{true, false});
  EXPECT_EQ(a.raft.role(), Role::Follower) << "b refused, c is dead";
  EXPECT_LE(a.raft.deadline() - a.now, milliseconds(60));
}

TEST(Evidence, ALeaderThatReturnedAndGrantsCountsAsGranting) {
  OneServer a;
  a.hears("c", 3, Append{});
  a.disk_is_done();
  a.step(LeaderLost{"c"});
  a.hears("c", 4, VoteReply{true, true});
  EXPECT_EQ(a.raft.role(), Role::Candidate);
}

TEST(Evidence, CountsForWhoGaveUpOrAsksAlready) {
  OneServer a;
  a.hears("c", 3, Append{});
  a.disk_is_done();
  a.time_is_up();
  ASSERT_EQ(a.raft.role(), Role::PreCandidate);
  EXPECT_EQ(bodies<VoteRequest>(a.step(LeaderLost{"c"})).size(), 2U);
  EXPECT_TRUE(a.step(LeaderLost{"c"}).send.empty()) << "told twice";

  OneServer b({"A", "B", "a", "c", "d"});
  b.hears("c", 3, Append{});
  b.disk_is_done();
  b.time_is_up();
  for (const char* voter : {"A", "B", "d"}) b.hears(voter, 3, VoteReply{true, false});
  ASSERT_EQ(b.raft.role(), Role::Follower);
  b.step(LeaderLost{"c"});
  EXPECT_EQ(b.raft.deadline() - b.now, 2 * Config{}.evidence_stagger);
}

TEST(Evidence, OfTheLeaderOfAnOlderTermItMeansNothing) {
  OneServer a;
  a.hears("c", 3, Append{});
  a.hears("b", 5, VoteRequest{false, Index{}, Term{}, true});
  ASSERT_EQ(a.raft.term(), Term{5});
  EXPECT_TRUE(bodies<VoteRequest>(a.step(LeaderLost{"c"})).empty());
  EXPECT_GE(a.raft.deadline() - a.now, Config{}.election_timeout);
}

}  // namespace
}  // namespace fettle::raft
