// Elections: one vote a term, pre-votes, and a leader without a majority.
#include <gtest/gtest.h>

#include "tests/raft/one_server.h"

namespace fettle::raft {
namespace {

TEST(Election, ASingleVoterElectsItselfOnceItsVoteIsDurable) {
  OneServer a({"a"});
  a.time_is_up();
  EXPECT_EQ(a.raft.role(), Role::Candidate);
  a.disk_is_done();
  EXPECT_EQ(a.raft.role(), Role::Leader);
  EXPECT_EQ(a.disk_is_done().committed.size(), 1U);
  EXPECT_TRUE(a.raft.leads_surely());
}

TEST(Election, AServerThatWasCutOffDeposesNobodyByItsPreVote) {
  OneServer a;
  a.hears("b", 3, Append{});
  const Output out = a.hears("c", 9, VoteRequest{true, Index{50}, Term{8}});
  ASSERT_TRUE(out.send.empty() || !bodies<VoteReply>(out).front().granted);
  EXPECT_EQ(a.raft.term(), Term{3});
  EXPECT_EQ(a.raft.leader(), "b");
}

TEST(Election, APreVoteMovesNoTermOfItsOwn) {
  OneServer a;
  const Output out = a.time_is_up();
  EXPECT_EQ(a.raft.term(), Term{0});
  EXPECT_EQ(bodies<VoteRequest>(out).size(), 2U);
  EXPECT_FALSE(out.persist.has_value());
}

TEST(Election, AServerWithoutAnyConfigurationGrantsNothingAndShowsItsTrueTerm) {
  OneServer a(Start{});
  const Output pre = a.hears("b", 1, VoteRequest{true, Index{9}, Term{1}});
  ASSERT_EQ(bodies<VoteReply>(pre).size(), 1U);
  EXPECT_FALSE(bodies<VoteReply>(pre).front().granted);
  EXPECT_EQ(pre.send.front().term, Term{0});
  a.hears("b", 4, VoteRequest{false, Index{9}, Term{1}});
  const Output vote = a.disk_is_done();
  ASSERT_EQ(bodies<VoteReply>(vote).size(), 1U);
  EXPECT_FALSE(bodies<VoteReply>(vote).front().granted);
  EXPECT_EQ(vote.send.front().term, Term{4});
  EXPECT_EQ(a.raft.hard_state().vote, "");
}

TEST(Election, APreVoteIsGrantedOnlyOnceWhatWasFoundedIsDurable) {
  OneServer a(Start{});
  a.step(Found{voters({"a", "b", "c"})});
  EXPECT_TRUE(a.hears("b", 1, VoteRequest{true, Index{0}, Term{0}}).send.empty());
  const auto replies = bodies<VoteReply>(a.disk_is_done());
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_TRUE(replies.front().granted);
}

TEST(Election, ARefusalCarriesTheTrueTermAndTheCandidateAdoptsIt) {
  OneServer voter({"a", "b", "c"}, {Term{7}, ""}, {entry(2, 1)});
  const Output refusal = voter.hears("b", 5, VoteRequest{true, Index{9}, Term{4}});
  ASSERT_EQ(refusal.send.size(), 1U);
  EXPECT_EQ(refusal.send.front().term, Term{7});
  EXPECT_FALSE(bodies<VoteReply>(refusal).front().granted);

  OneServer candidate({"a", "b", "c"}, {Term{4}, ""}, {entry(4, 1)});
  candidate.time_is_up();
  candidate.hears("b", 7, VoteReply{true, false});
  EXPECT_EQ(candidate.raft.term(), Term{7});
  candidate.disk_is_done();
  EXPECT_EQ(candidate.time_is_up().send.front().term, Term{8});
}

TEST(Election, AVoteIsWithheldUntilItIsDurable) {
  OneServer a;
  const Output asked = a.hears("b", 1, VoteRequest{false, Index{}, Term{}});
  EXPECT_TRUE(asked.send.empty());
  ASSERT_TRUE(asked.persist && asked.persist->hard);
  EXPECT_EQ(asked.persist->hard->vote, "b");
  const Output done = a.disk_is_done();
  ASSERT_EQ(bodies<VoteReply>(done).size(), 1U);
  EXPECT_TRUE(bodies<VoteReply>(done).front().granted);
}

TEST(Election, OneVoteATermEvenAfterARestart) {
  OneServer a({"a", "b", "c"}, {Term{4}, "b"});
  const Output out = a.hears("c", 4, VoteRequest{false, Index{5}, Term{3}});
  ASSERT_EQ(bodies<VoteReply>(out).size(), 1U);
  EXPECT_FALSE(bodies<VoteReply>(out).front().granted);
}

TEST(Election, AnOlderLogGetsNoVote) {
  OneServer a({"a", "b", "c"}, {Term{3}, ""}, {entry(3, 1)});
  a.hears("b", 5, VoteRequest{false, Index{9}, Term{2}});
  const Output out = a.disk_is_done();
  ASSERT_EQ(bodies<VoteReply>(out).size(), 1U);
  EXPECT_FALSE(bodies<VoteReply>(out).front().granted);
  EXPECT_EQ(a.raft.term(), Term{5});
}

TEST(Election, ALeaderWithoutAMajorityStepsDown) {
  OneServer a;
  a.wins();
  a.disk_is_done();
  for (int i = 0; i < 20 && a.raft.role() == Role::Leader; ++i) a.time_is_up();
  EXPECT_EQ(a.raft.role(), Role::Follower);
  EXPECT_LE(a.now, milliseconds(1000));
}

}  // namespace
}  // namespace fettle::raft
