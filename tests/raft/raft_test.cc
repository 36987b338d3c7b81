// The rules of Raft, one short story each, told to one server or to a few by hand.
#include "raft/raft.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fettle::raft {
namespace {

using std::chrono::milliseconds;

Entry entry(std::uint64_t term, std::uint64_t index) {
  return {Term{term}, Index{index}, EntryKind::Command, "x"};
}

/// One server `a` whose disk and peers are this test.
class Server {
 public:
  explicit Server(std::vector<ServerId> voters = {"a", "b", "c"}, HardState hard = {},
                  std::vector<Entry> log = {})
      : raft(config(std::move(voters)), std::move(hard), std::move(log), Instant{0}) {}

  Output step(Input input) {
    Output out = raft.step(now, std::move(input));
    if (out.persist) last_batch = out.persist->batch;
    return out;
  }
  Output hears(const ServerId& from, std::uint64_t term, Body body) {
    return step(Received{{from, "a", Term{term}, std::move(body)}});
  }
  Output disk_is_done() { return step(Persisted{last_batch}); }
  Output time_is_up() {
    now = raft.deadline();
    return step(Tick{});
  }
  /// Pre-vote, vote, all granted by b and made durable.
  Output wins() {
    time_is_up();
    hears("b", raft.term().value + 1, VoteReply{true, true});
    disk_is_done();
    return hears("b", raft.term().value, VoteReply{false, true});
  }
  Output acks(const ServerId& from, std::uint64_t match, std::uint64_t round = 0) {
    return hears(from, raft.term().value,
                 AppendReply{.success = true, .match = Index{match}, .round = round});
  }

  static Config config(std::vector<ServerId> voters) {
    Config made;
    made.self = "a";
    made.voters = std::move(voters);
    return made;
  }

  Instant now{0};
  Raft raft;
  std::uint64_t last_batch = 0;
};

template <typename T>
std::vector<T> bodies(const Output& out) {
  std::vector<T> found;
  for (const Message& message : out.send) {
    if (const auto* body = std::get_if<T>(&message.body)) found.push_back(*body);
  }
  return found;
}

TEST(Raft, ASingleVoterElectsItselfOnceItsVoteIsDurable) {
  Server a({"a"});
  a.time_is_up();
  EXPECT_EQ(a.raft.role(), Role::Candidate);
  a.disk_is_done();
  EXPECT_EQ(a.raft.role(), Role::Leader);
  EXPECT_EQ(a.disk_is_done().committed.size(), 1U);
  EXPECT_TRUE(a.raft.leads_surely());
}

TEST(Raft, AServerThatWasCutOffDeposesNobodyByItsPreVote) {
  Server a;
  a.hears("b", 3, Append{});
  const Output out = a.hears("c", 9, VoteRequest{true, Index{50}, Term{8}});
  ASSERT_TRUE(out.send.empty() || !bodies<VoteReply>(out).front().granted);
  EXPECT_EQ(a.raft.term(), Term{3});
  EXPECT_EQ(a.raft.leader(), "b");
}

TEST(Raft, APreVoteMovesNoTermOfItsOwn) {
  Server a;
  const Output out = a.time_is_up();
  EXPECT_EQ(a.raft.term(), Term{0});
  EXPECT_EQ(bodies<VoteRequest>(out).size(), 2U);
  EXPECT_FALSE(out.persist.has_value());
}

TEST(Raft, ARefusalCarriesTheTrueTermAndTheCandidateAdoptsIt) {
  Server voter({"a", "b", "c"}, {Term{7}, ""}, {entry(2, 1)});
  const Output refusal = voter.hears("b", 5, VoteRequest{true, Index{9}, Term{4}});
  ASSERT_EQ(refusal.send.size(), 1U);
  EXPECT_EQ(refusal.send.front().term, Term{7});
  EXPECT_FALSE(bodies<VoteReply>(refusal).front().granted);

  Server candidate({"a", "b", "c"}, {Term{4}, ""}, {entry(4, 1)});
  candidate.time_is_up();
  candidate.hears("b", 7, VoteReply{true, false});
  EXPECT_EQ(candidate.raft.term(), Term{7});
  candidate.disk_is_done();
  EXPECT_EQ(candidate.time_is_up().send.front().term, Term{8});
}

TEST(Raft, AVoteIsWithheldUntilItIsDurable) {
  Server a;
  const Output asked = a.hears("b", 1, VoteRequest{false, Index{}, Term{}});
  EXPECT_TRUE(asked.send.empty());
  ASSERT_TRUE(asked.persist && asked.persist->hard);
  EXPECT_EQ(asked.persist->hard->vote, "b");
  const Output done = a.disk_is_done();
  ASSERT_EQ(bodies<VoteReply>(done).size(), 1U);
  EXPECT_TRUE(bodies<VoteReply>(done).front().granted);
}

TEST(Raft, OneVoteATermEvenAfterARestart) {
  Server a({"a", "b", "c"}, {Term{4}, "b"});
  const Output out = a.hears("c", 4, VoteRequest{false, Index{5}, Term{3}});
  ASSERT_EQ(bodies<VoteReply>(out).size(), 1U);
  EXPECT_FALSE(bodies<VoteReply>(out).front().granted);
}

TEST(Raft, AnOlderLogGetsNoVote) {
  Server a({"a", "b", "c"}, {Term{3}, ""}, {entry(3, 1)});
  a.hears("b", 5, VoteRequest{false, Index{9}, Term{2}});
  const Output out = a.disk_is_done();
  ASSERT_EQ(bodies<VoteReply>(out).size(), 1U);
  EXPECT_FALSE(bodies<VoteReply>(out).front().granted);
  EXPECT_EQ(a.raft.term(), Term{5});
}

TEST(Raft, AnAckNamesNoMoreThanWhatItsMessageHeld) {
  Server a({"a", "b", "c"}, {Term{2}, ""}, {entry(1, 1), entry(1, 2), entry(1, 3)});
  const Output out = a.hears("b", 2, Append{.prev_index = Index{1}, .prev_term = Term{1}});
  ASSERT_EQ(bodies<AppendReply>(out).size(), 1U);
  EXPECT_TRUE(bodies<AppendReply>(out).front().success);
  EXPECT_EQ(bodies<AppendReply>(out).front().match, Index{1});
}

TEST(Raft, AnEntryOfAnOlderTermIsNotCommittedByCounting) {
  Server a({"a", "b", "c"}, {Term{2}, ""}, {entry(1, 1), entry(2, 2)});
  a.wins();
  a.disk_is_done();
  EXPECT_TRUE(a.acks("b", 2).committed.empty());
  EXPECT_EQ(a.raft.commit_index(), Index{0});
  EXPECT_EQ(a.acks("b", 3).committed.size(), 3U);
}

TEST(Raft, ACompletionOfAWriteThatWasReplacedMakesNothingDurable) {
  Server a({"a", "b", "c"}, {Term{1}, ""});
  Append first{.prev_index = Index{0}, .entries = {entry(1, 1)}};
  a.hears("b", 1, first);
  const std::uint64_t replaced = a.last_batch;
  Append second{.prev_index = Index{0}, .entries = {entry(2, 1)}};
  const Output cut = a.hears("c", 2, second);
  ASSERT_TRUE(cut.persist && cut.persist->truncate_from);
  a.step(Persisted{replaced});
  EXPECT_EQ(a.raft.durable_index(), Index{0});
  EXPECT_EQ(bodies<AppendReply>(a.disk_is_done()).size(), 1U);
  EXPECT_EQ(a.raft.durable_index(), Index{1});
}

TEST(Raft, AMajorityOfFollowersCommitsBeforeTheLeadersOwnDisk) {
  Server a;
  a.wins();
  EXPECT_TRUE(a.acks("b", 1).committed.empty());
  EXPECT_EQ(a.acks("c", 1).committed.size(), 1U);
  EXPECT_EQ(a.raft.durable_index(), Index{0});
}

TEST(Raft, ALeaderWithoutAMajorityStepsDown) {
  Server a;
  a.wins();
  a.disk_is_done();
  for (int i = 0; i < 20 && a.raft.role() == Role::Leader; ++i) a.time_is_up();
  EXPECT_EQ(a.raft.role(), Role::Follower);
  EXPECT_LE(a.now, milliseconds(1000));
}

TEST(Raft, AReadWaitsForAnEntryOfTheTermAndForARoundOfAMajority) {
  Server a;
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

TEST(Raft, AReadOfADeposedLeaderFails) {
  Server a;
  a.wins();
  a.disk_is_done();
  a.acks("b", 1);
  a.step(Read{1});
  const Output out = a.hears("c", 9, Append{});
  ASSERT_EQ(out.reads.size(), 1U);
  EXPECT_FALSE(out.reads.front().ok);
}

TEST(Raft, AnAppendBelowTheCommitIndexIsAnsweredWithTheCommitIndex) {
  Server a({"a", "b", "c"}, {Term{1}, ""}, {entry(1, 1), entry(1, 2)});
  a.hears("b", 1, Append{.prev_index = Index{2}, .prev_term = Term{1}, .commit = Index{2}});
  const Output out = a.hears("b", 1, Append{.prev_index = Index{1}, .prev_term = Term{9}});
  ASSERT_EQ(bodies<AppendReply>(out).size(), 1U);
  EXPECT_TRUE(bodies<AppendReply>(out).front().success);
  EXPECT_EQ(bodies<AppendReply>(out).front().match, Index{2});
}

TEST(Raft, ARefusedProbeGoesBackToWhereTheLogsMayAgree) {
  Server a({"a", "b", "c"}, {Term{4}, ""},
           {entry(1, 1), entry(1, 2), entry(4, 3), entry(4, 4), entry(4, 5)});
  a.wins();
  const Output out =
      a.hears("b", a.raft.term().value,
              AppendReply{.match = Index{5}, .hint_index = Index{5}, .hint_term = Term{2}});
  const auto probes = bodies<Append>(out);
  ASSERT_EQ(probes.size(), 1U);
  EXPECT_EQ(probes.front().prev_index, Index{2});
  EXPECT_EQ(probes.front().prev_term, Term{1});
}

TEST(Raft, ARefusalToAnOlderProbeChangesNothing) {
  Server a({"a", "b", "c"}, {Term{4}, ""}, {entry(1, 1), entry(4, 2), entry(4, 3)});
  a.wins();
  const Index before = a.raft.progress().at("b").next;
  a.hears("b", a.raft.term().value, AppendReply{.match = Index{1}});
  EXPECT_EQ(a.raft.progress().at("b").next, before);
}

}  // namespace
}  // namespace fettle::raft
