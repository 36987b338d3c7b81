// Leadership transfer.
#include <gtest/gtest.h>

#include "tests/raft/few_servers.h"

namespace fettle::raft {
namespace {

TEST(Transfer, TheTargetTakesOverAtOnceThoughOthersHearTheirLeader) {
  FewServers group;
  group.campaigns("a");
  group.proposes("a", 3);
  const Instant began = group.now;
  group.tell("a", Transfer{5, "c"});
  group.settle();
  EXPECT_EQ(group.leader(), "c");
  EXPECT_EQ(group.now, began);
  std::vector<Transferred> answers;
  for (const Output& out : group.told) {
    answers.insert(answers.end(), out.transfers.begin(), out.transfers.end());
  }
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers.front().token, 5U);
  EXPECT_TRUE(answers.front().ok);
}

TEST(Transfer, WithoutATargetTheNewestVoterTakesOver) {
  FewServers group;
  group.campaigns("a");
  group.silent = {"b"};
  group.proposes("a", 3);
  group.silent.clear();
  group.tell("a", Transfer{1, ""});
  group.settle();
  EXPECT_EQ(group.leader(), "c");
}

TEST(Transfer, ATargetThatIsBehindIsBroughtUpToDateFirst) {
  OneServer a;
  a.leads_surely();
  a.step(Propose{1, "x"});
  a.acks("c", 1);
  EXPECT_TRUE(bodies<TimeoutNow>(a.step(Transfer{2, "c"})).empty());
  EXPECT_EQ(bodies_to<TimeoutNow>("c", a.acks("c", 2)).size(), 1U);
}

TEST(Transfer, NoProposalsMeanwhile) {
  OneServer a;
  a.leads_surely();
  a.step(Transfer{1, "b"});
  const Output out = a.step(Propose{2, "x"});
  ASSERT_EQ(out.rejected.size(), 1U);
  EXPECT_EQ(out.rejected.front().code, Code::Busy);
  EXPECT_NE(out.rejected.front().why.find("transferred"), std::string::npos);
}

TEST(Transfer, ItIsGivenUpAfterAnElectionTimeoutAndProposalsFlowAgain) {
  OneServer a;
  a.leads_surely();
  const Instant began = a.now;
  a.step(Transfer{3, "c"});
  std::vector<Transferred> answers;
  while (answers.empty() && a.now < began + milliseconds(1000)) {
    answers = a.time_is_up().transfers;
    if (a.raft.role() == Role::Leader) a.acks("b", a.raft.log().last_index().value);
  }
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_FALSE(answers.front().ok);
  EXPECT_EQ(answers.front().code, Code::Timeout);
  EXPECT_LE(a.now - began, milliseconds(300));
  EXPECT_EQ(a.step(Propose{4, "x"}).accepted.size(), 1U);
}

TEST(Transfer, OneVoteATermForATransferTooEvenThoughItIsAskedToHurry) {
  OneServer a({"a", "b", "c"}, {Term{4}, "b"});
  const Output out = a.hears("c", 4, VoteRequest{false, Index{5}, Term{3}, true});
  ASSERT_EQ(bodies<VoteReply>(out).size(), 1U);
  EXPECT_FALSE(bodies<VoteReply>(out).front().granted);
}

TEST(Transfer, OneThatCannotBeIsRefusedWithItsReason) {
  OneServer a;
  EXPECT_EQ(a.step(Transfer{1, "b"}).transfers.front().code, Code::NotLeader);
  a.leads_surely();
  EXPECT_EQ(a.step(Transfer{2, "z"}).transfers.front().code, Code::NotFound);
  EXPECT_EQ(a.step(Transfer{3, "a"}).transfers.front().code, Code::Conflict);
  a.step(Transfer{4, "b"});
  EXPECT_EQ(a.step(Transfer{5, "c"}).transfers.front().code, Code::Busy);
}

TEST(Transfer, AnOldRequestToTakeOverIsIgnored) {
  OneServer a({"a", "b", "c"}, {Term{4}, ""});
  EXPECT_TRUE(a.hears("b", 3, TimeoutNow{}).send.empty());
  EXPECT_EQ(a.raft.term(), Term{4});
}

}  // namespace
}  // namespace fettle::raft
