// Membership: one change at a time, what a learner counts for, and a leader that removes itself.
#include <gtest/gtest.h>

#include "tests/raft/few_servers.h"

namespace fettle::raft {
namespace {

Server joins(const ServerId& id, bool promote = true) {
  return {.id = id, .voter = false, .info = "", .promote = promote};
}

TEST(Membership, ANewServerLearnsAndIsMadeAVoterOnceItHasCaughtUp) {
  FewServers group;
  group.campaigns("a");
  group.proposes("a", 20);
  group.comes("d");
  const Output out = group.tell("a", AddServer{7, joins("d")});
  ASSERT_EQ(out.accepted.size(), 1U);
  EXPECT_EQ(out.accepted.front().token, 7U);
  group.settle();
  group.passes(milliseconds(200));
  EXPECT_TRUE(group.at("d").is_self_voter());
  EXPECT_EQ(group.applied("d"), group.at("a").commit_index());
  EXPECT_EQ(group.at("c").configuration(), voters({"a", "b", "c", "d"}));
}

TEST(Membership, ASilentLearnerIsNotPromoted) {
  FewServers group;
  group.campaigns("a");
  group.tell("a", AddServer{1, joins("d")});
  group.passes(milliseconds(5000));
  EXPECT_FALSE(is_voter(group.at("a").configuration(), "d"));
}

TEST(Membership, APromotionWaitsUntilAMajorityOfTheNewVotersAnswers) {
  OneServer a;
  a.leads_surely();
  a.step(AddServer{1, joins("d")});
  a.disk_is_done();
  a.acks("b", 2);
  a.now += Config{}.election_timeout;
  a.acks("d", 2);
  EXPECT_FALSE(a.raft.progress().at("d").caught_up) << "that round took too long";
  a.acks("d", 2);
  ASSERT_TRUE(a.raft.progress().at("d").caught_up);
  EXPECT_FALSE(is_voter(a.raft.configuration(), "d")) << "b is silent, c was never heard";
  a.acks("c", 2);
  EXPECT_TRUE(is_voter(a.raft.configuration(), "d")) << "a, c and d of four";
}

TEST(Membership, AVoterThatNeverAnsweredThisLeaderCountsAsMissing) {
  OneServer a;
  a.leads_surely();
  const Output refused = a.step(RemoveServer{1, "b"});
  ASSERT_EQ(refused.rejected.size(), 1U);
  EXPECT_EQ(refused.rejected.front().code, Code::Refused);
  EXPECT_NE(refused.rejected.front().why.find("c has not answered"), std::string::npos);
  EXPECT_EQ(a.step(RemoveServer{2, "c"}).accepted.size(), 1U);
}

TEST(Membership, ALearnerMayBeAddedWhoeverIsSilent) {
  OneServer a;
  a.leads_surely();
  a.now += 2 * Config{}.election_timeout;
  EXPECT_EQ(a.step(AddServer{1, joins("d")}).accepted.size(), 1U);
}

TEST(Membership, ALearnerThatHoldsNothingIsNotPromoted) {
  OneServer a({"a", "b"});
  a.leads_surely();
  a.step(AddServer{1, joins("d", false)});
  a.disk_is_done();
  a.acks("b", 2);
  a.hears("d", a.raft.term().value, AppendReply{.match = Index{1}});
  const Output early = a.step(PromoteServer{2, "d"});
  ASSERT_EQ(early.rejected.size(), 1U);
  EXPECT_EQ(early.rejected.front().why, "d holds nothing of the log yet");
  a.acks("d", 1);
  EXPECT_EQ(a.step(PromoteServer{3, "d"}).accepted.size(), 1U);
}

TEST(Membership, ALearnerCountsInNoMajority) {
  OneServer a({"a", "b"});
  a.leads_surely();
  a.step(AddServer{1, joins("d", false)});
  a.disk_is_done();
  EXPECT_TRUE(a.acks("d", 2).committed.empty());
  a.step(Read{1});
  const std::uint64_t round = 9;
  EXPECT_TRUE(a.acks("d", 2, round).reads.empty());
  EXPECT_EQ(a.acks("b", 2).committed.size(), 1U);
}

TEST(Membership, NoChangeBeforeAnEntryOfTheOwnTermIsCommitted) {
  OneServer a({"a", "b", "c"}, {Term{1}, ""}, {entry(1, 1)});
  a.wins();
  const Output out = a.step(AddServer{4, joins("d")});
  ASSERT_EQ(out.rejected.size(), 1U);
  EXPECT_EQ(out.rejected.front().code, Code::Busy);
  EXPECT_NE(out.rejected.front().why.find("own term"), std::string::npos);
}

TEST(Membership, NoChangeWhileAnotherIsNotCommitted) {
  OneServer a;
  a.leads_surely();
  a.step(AddServer{1, joins("d")});
  const Output out = a.step(RemoveServer{2, "b"});
  ASSERT_EQ(out.rejected.size(), 1U);
  EXPECT_EQ(out.rejected.front().code, Code::Busy);
  EXPECT_EQ(a.raft.configuration().servers.size(), 4U);
}

TEST(Membership, AChangeThatCannotBeIsRefusedWithItsReason) {
  OneServer a;
  a.leads_surely();
  EXPECT_EQ(a.step(AddServer{1, joins("b")}).rejected.front().code, Code::Conflict);
  EXPECT_EQ(a.step(RemoveServer{2, "z"}).rejected.front().code, Code::NotFound);
  EXPECT_EQ(a.step(PromoteServer{3, "b"}).rejected.front().code, Code::Conflict);
  EXPECT_EQ(a.step(AddServer{4, joins("")}).rejected.front().code, Code::Invalid);
  OneServer alone(std::vector<ServerId>{"a"});
  alone.time_is_up();
  alone.disk_is_done();
  alone.disk_is_done();
  EXPECT_EQ(alone.step(RemoveServer{5, "a"}).rejected.front().code, Code::Invalid);
  EXPECT_EQ(OneServer().step(RemoveServer{6, "a"}).rejected.front().code, Code::NotLeader);
}

TEST(Membership, ATruncatedConfigurationIsForgottenWithItsEntry) {
  OneServer a({"a", "b", "c"}, {Term{1}, ""},
              {entry(1, 1), configuration_entry(1, 2, voters({"a", "b", "c", "d"}))});
  EXPECT_EQ(a.raft.configuration_index(), Index{2});
  const Output out = a.hears(
      "c", 2, Append{.prev_index = Index{1}, .prev_term = Term{1}, .entries = {entry(2, 2)}});
  EXPECT_TRUE(out.configuration_changed);
  EXPECT_EQ(a.raft.configuration(), voters({"a", "b", "c"}));
  EXPECT_EQ(a.raft.configuration_index(), Index{0});
}

TEST(Membership, AnUncommittedConfigurationIsStillUncommittedAfterARestart) {
  OneServer a({"a", "b", "c"}, {Term{1}, ""},
              {entry(1, 1), configuration_entry(1, 2, voters({"a", "b", "c", "d"}))});
  a.time_is_up();
  a.hears("b", 2, VoteReply{true, true});
  EXPECT_EQ(a.raft.role(), Role::PreCandidate) << "two of four are no majority";
  a.hears("c", 2, VoteReply{true, true});
  a.disk_is_done();
  a.hears("b", 2, VoteReply{false, true});
  a.hears("c", 2, VoteReply{false, true});
  ASSERT_EQ(a.raft.role(), Role::Leader);
  EXPECT_FALSE(a.step(RemoveServer{1, "b"}).rejected.empty());
}

TEST(Membership, ALeaderThatRemovesItselfCountsTheOthersAloneThenHandsOver) {
  FewServers group;
  group.campaigns("a");
  group.proposes("a", 3);
  group.silent = {"c"};
  group.tell("a", RemoveServer{1, "a"});
  group.settle();
  EXPECT_EQ(group.at("a").role(), Role::Leader) << "b alone is no majority of b and c";
  group.silent.clear();
  group.passes(milliseconds(70));
  EXPECT_EQ(group.at("a").role(), Role::Follower);
  EXPECT_NE(group.leader(), "");
  EXPECT_NE(group.leader(), "a");
  EXPECT_EQ(group.at("b").configuration(), voters({"b", "c"}));
}

TEST(Membership, WhoRemovedItselfUncommittedIsStillThereToElect) {
  FewServers group;
  group.campaigns("a");
  group.proposes("a", 3);
  group.silent = {"a"};
  group.tell("a", RemoveServer{1, "a"});  // nobody else has it
  group.passes(milliseconds(400));
  ASSERT_EQ(group.at("a").role(), Role::Follower);
  group.silent.clear();
  group.dies(group.leader().empty() ? "b" : group.leader());
  group.passes(milliseconds(3000));
  EXPECT_NE(group.leader(), "") << "two of three live";
}

TEST(Membership, ARemovedServerDisruptsNobody) {
  FewServers group;
  group.campaigns("a");
  group.lost = [](const Message& message) { return message.to == "c"; };
  group.tell("a", RemoveServer{1, "c"});
  group.settle();
  const Term term = group.at("a").term();
  group.passes(milliseconds(5000));
  EXPECT_TRUE(group.at("c").is_self_voter()) << "it never heard of its removal";
  EXPECT_EQ(group.leader(), "a");
  EXPECT_EQ(group.at("a").term(), term);
}

TEST(Membership, AServerThatDoesNotKnowOfItsPromotionVotes) {
  OneServer a(Start{{Term{1}, ""},
                    snapshot_of(1, 3, {.servers = {joins("a", true), {.id = "b", .info = ""}}}),
                    {}});
  ASSERT_FALSE(a.raft.is_self_voter());
  a.hears("c", 2, VoteRequest{false, Index{5}, Term{1}});
  const auto replies = bodies<VoteReply>(a.disk_is_done());
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_TRUE(replies.front().granted);
}

TEST(Membership, AServerWithoutAnyConfigurationNeverCampaigns) {
  OneServer a(Start{});
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(a.time_is_up().send.empty());
  EXPECT_EQ(a.raft.role(), Role::Follower);
  EXPECT_EQ(a.raft.term(), Term{0});
}

TEST(Membership, AServerWithoutAnyConfigurationAgreesNowhereAndIsSentTheFirst) {
  FewServers group({"a", "b"});
  group.campaigns("a");
  group.comes("d");
  group.tell("a", AddServer{1, joins("d", false)});
  group.settle();
  group.passes(milliseconds(200));
  ASSERT_NE(group.at("d").snapshot(), nullptr);
  EXPECT_EQ(group.at("d").snapshot()->meta.configuration, voters({"a", "b"}));
  EXPECT_EQ(group.at("d").log().base(), Index{0});
  EXPECT_EQ(group.applied("d"), group.at("a").commit_index());
}

}  // namespace
}  // namespace fettle::raft
