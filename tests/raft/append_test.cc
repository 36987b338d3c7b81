// Replication: what an ack names, what is committed, where a probe goes.
#include <gtest/gtest.h>

#include "tests/raft/one_server.h"

namespace fettle::raft {
namespace {

TEST(Append, AnAckNamesNoMoreThanWhatItsMessageHeld) {
  OneServer a({"a", "b", "c"}, {Term{2}, ""}, {entry(1, 1), entry(1, 2), entry(1, 3)});
  const Output out = a.hears("b", 2, Append{.prev_index = Index{1}, .prev_term = Term{1}});
  ASSERT_EQ(bodies<AppendReply>(out).size(), 1U);
  EXPECT_TRUE(bodies<AppendReply>(out).front().success);
  EXPECT_EQ(bodies<AppendReply>(out).front().match, Index{1});
}

TEST(Append, WhatIsProposedTogetherIsWrittenOnceAndSentInOneMessageToEachPeer) {
  OneServer a({"a", "b", "c"});
  a.wins();
  a.disk_is_done();
  a.acks("b", 1);
  a.acks("c", 1);
  const Output out = a.step(ProposeAll{{{7, "x"}, {8, "y"}, {9, "z"}}});
  ASSERT_TRUE(out.persist.has_value());
  EXPECT_EQ(out.persist->entries.size(), 3U);
  ASSERT_EQ(bodies<Append>(out).size(), 2U);
  EXPECT_EQ(bodies<Append>(out).front().entries.size(), 3U);
  ASSERT_EQ(out.accepted.size(), 3U);
  EXPECT_EQ(out.accepted.back().token, 9U);
  EXPECT_EQ(out.accepted.back().index, Index{4});
}

TEST(Append, WhoDoesNotLeadRefusesEachProposalByItsOwnToken) {
  OneServer a({"a", "b", "c"});
  const Output out = a.step(ProposeAll{{{7, "x"}, {8, "y"}}});
  ASSERT_EQ(out.rejected.size(), 2U);
  EXPECT_EQ(out.rejected.front().token, 7U);
  EXPECT_EQ(out.rejected.back().code, Code::NotLeader);
}

TEST(Append, AnEntryOfAnOlderTermIsNotCommittedByCounting) {
  OneServer a({"a", "b", "c"}, {Term{2}, ""}, {entry(1, 1), entry(2, 2)});
  a.wins();
  a.disk_is_done();
  EXPECT_TRUE(a.acks("b", 2).committed.empty());
  EXPECT_EQ(a.raft.commit_index(), Index{0});
  EXPECT_EQ(a.acks("b", 3).committed.size(), 3U);
}

TEST(Append, AnAckNamesNoMoreThanWhatWasTakenOfAMalformedMessage) {
  OneServer a;
  const Append gap{
      .prev_index = Index{0}, .commit = Index{3}, .entries = {entry(1, 1), entry(1, 3)}};
  EXPECT_EQ(a.hears("b", 1, gap).committed.size(), 1U);
  EXPECT_EQ(bodies<AppendReply>(a.disk_is_done()).front().match, Index{1});
  EXPECT_EQ(a.raft.log().last_index(), Index{1});

  Entry unreadable = entry(1, 3);
  unreadable.kind = EntryKind::Configuration;
  const Append more{.prev_index = Index{1},
                    .prev_term = Term{1},
                    .commit = Index{3},
                    .entries = {entry(1, 2), unreadable}};
  EXPECT_EQ(a.hears("b", 1, more).committed.size(), 1U);
  EXPECT_EQ(bodies<AppendReply>(a.disk_is_done()).front().match, Index{2});
}

TEST(Append, AFollowerThatAnswersItsProbeAfterTheCommitIsToldOfItAtOnce) {
  OneServer a;
  a.wins();
  a.disk_is_done();
  a.acks("b", 1);
  ASSERT_EQ(a.raft.commit_index(), Index{1});
  const auto told = bodies_to<Append>("c", a.acks("c", 1));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told.front().commit, Index{1});
  EXPECT_TRUE(a.acks("c", 1).send.empty()) << "once";
}

TEST(Append, ACompletionOfAWriteThatWasReplacedMakesNothingDurable) {
  OneServer a({"a", "b", "c"}, {Term{1}, ""});
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

TEST(Append, AMajorityOfFollowersCommitsBeforeTheLeadersOwnDisk) {
  OneServer a;
  a.wins();
  EXPECT_TRUE(a.acks("b", 1).committed.empty());
  EXPECT_EQ(a.acks("c", 1).committed.size(), 1U);
  EXPECT_EQ(a.raft.durable_index(), Index{0});
}

TEST(Append, AnAppendBelowTheCommitIndexIsAnsweredWithTheCommitIndex) {
  OneServer a({"a", "b", "c"}, {Term{1}, ""}, {entry(1, 1), entry(1, 2)});
  a.hears("b", 1, Append{.prev_index = Index{2}, .prev_term = Term{1}, .commit = Index{2}});
  const Output out = a.hears("b", 1, Append{.prev_index = Index{1}, .prev_term = Term{9}});
  ASSERT_EQ(bodies<AppendReply>(out).size(), 1U);
  EXPECT_TRUE(bodies<AppendReply>(out).front().success);
  EXPECT_EQ(bodies<AppendReply>(out).front().match, Index{2});
}

TEST(Append, ARefusedProbeGoesBackToWhereTheLogsMayAgree) {
  OneServer a({"a", "b", "c"}, {Term{4}, ""},
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

TEST(Append, ARefusalToAnOlderProbeChangesNothing) {
  OneServer a({"a", "b", "c"}, {Term{4}, ""}, {entry(1, 1), entry(4, 2), entry(4, 3)});
  a.wins();
  const Index before = a.raft.progress().at("b").next;
  a.hears("b", a.raft.term().value, AppendReply{.match = Index{1}});
  EXPECT_EQ(a.raft.progress().at("b").next, before);
}

}  // namespace
}  // namespace fettle::raft
