// Timeouts that follow from measured round trips, and what a commit waits for.
#include "raft/timing.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/raft/few_servers.h"

namespace fettle::raft {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RoundTrips, ThreeAreNeededToSayAnything) {
  RoundTrips trips;
  trips.add(milliseconds(1));
  trips.add(milliseconds(1));
  EXPECT_FALSE(trips.typical());
  trips.add(milliseconds(1));
  EXPECT_EQ(trips.typical(), milliseconds(1));
}

TEST(RoundTrips, APeerThatWasStoppedAndAnswersLateIsAsNearAsBefore) {
  RoundTrips trips;
  for (int i = 0; i < 9; ++i) trips.add(microseconds(300 + i));
  for (int i = 0; i < 4; ++i) trips.add(seconds(4));
  EXPECT_LT(trips.typical(), milliseconds(1));
}

TEST(RoundTrips, AWayThatBecameLongerCountsOnceItIsTheRule) {
  RoundTrips trips;
  for (int i = 0; i < 9; ++i) trips.add(milliseconds(1));
  for (int i = 0; i < 5; ++i) trips.add(milliseconds(80));
  EXPECT_EQ(trips.typical(), milliseconds(80));
}

TEST(TimingChooser, WithoutAnyMeasurementItIsTheDefault) {
  TimingChooser chooser(std::nullopt);
  EXPECT_EQ(chooser.look(seconds(1), std::nullopt), Timing{});
}

TEST(TimingChooser, ALocalNetworkHasTheLeast) {
  TimingChooser chooser(std::nullopt);
  const Timing timing = chooser.look(seconds(1), microseconds(400));
  EXPECT_EQ(timing.election_timeout, TimingChooser::kElectionMin);
  EXPECT_EQ(timing.evidence_stagger, milliseconds(20));
}

TEST(TimingChooser, TenRoundTripsToTheFarthestVoterFit) {
  TimingChooser chooser(std::nullopt);
  const Timing timing = chooser.look(seconds(1), milliseconds(110));
  EXPECT_EQ(timing.election_timeout, milliseconds(1200));
  EXPECT_EQ(timing.evidence_stagger, milliseconds(400));
}

TEST(TimingChooser, TheHeartbeatFitsTheLeastTimeoutThatAnotherMayHaveChosen) {
  TimingChooser chooser(std::nullopt);
  EXPECT_EQ(chooser.look(seconds(1), milliseconds(500)).heartbeat * 5, TimingChooser::kElectionMin);
}

TEST(TimingChooser, ThereIsAMost) {
  TimingChooser chooser(std::nullopt);
  EXPECT_EQ(chooser.look(seconds(1), seconds(3)).election_timeout, TimingChooser::kElectionMax);
}

TEST(TimingChooser, ItGrowsAtOnceAndShrinksByOneStepAMinute) {
  TimingChooser chooser(std::nullopt);
  chooser.look(seconds(0), milliseconds(110));
  EXPECT_EQ(chooser.look(seconds(1), milliseconds(1)).election_timeout, milliseconds(1200));
  EXPECT_EQ(chooser.look(seconds(60), milliseconds(1)).election_timeout, milliseconds(1200));
  EXPECT_EQ(chooser.look(seconds(61), milliseconds(1)).election_timeout, milliseconds(800));
  EXPECT_EQ(chooser.look(seconds(62), milliseconds(1)).election_timeout, milliseconds(800));
  EXPECT_EQ(chooser.look(seconds(121), milliseconds(1)).election_timeout, milliseconds(500));
  EXPECT_EQ(chooser.look(seconds(122), milliseconds(200)).election_timeout, milliseconds(2000));
}

TEST(TimingChooser, AWayThatIsLongNowAndThenKeepsItFromShrinking) {
  TimingChooser chooser(std::nullopt);
  for (int s = 0; s < 300; s += 50) chooser.look(seconds(s), milliseconds(s % 100 == 0 ? 110 : 1));
  EXPECT_EQ(chooser.timing().election_timeout, milliseconds(1200));
}

TEST(TimingChooser, WhatAPersonSetStays) {
  TimingChooser chooser(
      Timing{.election_timeout = milliseconds(50), .heartbeat = milliseconds(10)});
  const Timing timing = chooser.look(seconds(1), milliseconds(110));
  EXPECT_EQ(timing.election_timeout, milliseconds(50));
  EXPECT_EQ(timing.heartbeat, milliseconds(10));
  EXPECT_EQ(timing.evidence_stagger, milliseconds(400)) << "nobody sets this one";
}

TEST(QuorumRoundTrip, OfThreeItIsTheNearerOfTheOthers) {
  EXPECT_EQ(quorum_round_trip(true, {milliseconds(30), milliseconds(1)}), milliseconds(1));
  EXPECT_EQ(quorum_round_trip(true, {milliseconds(30), milliseconds(30)}), milliseconds(30));
}

TEST(QuorumRoundTrip, OfFiveItIsTheSecondNearest) {
  const auto ms = [](int n) { return std::optional<Instant>(milliseconds(n)); };
  EXPECT_EQ(quorum_round_trip(true, {ms(90), ms(7), ms(2), ms(40)}), milliseconds(7));
}

TEST(QuorumRoundTrip, AVoterThatDoesNotAnswerStillCountsInTheMajority) {
  EXPECT_EQ(quorum_round_trip(true, {std::nullopt, milliseconds(30)}), milliseconds(30));
  EXPECT_FALSE(quorum_round_trip(true, {std::nullopt, std::nullopt}));
}

TEST(QuorumRoundTrip, ALeaderThatIsNoVoterAnyMoreWaitsForTheOthers) {
  EXPECT_EQ(quorum_round_trip(false, {milliseconds(30), milliseconds(1)}), milliseconds(30));
}

TEST(QuorumRoundTrip, ALoneVoterWaitsForNobody) {
  EXPECT_EQ(quorum_round_trip(true, {}), Instant{0});
}

TEST(Retime, ServersWithDifferentTimeoutsElectAndKeepALeader) {
  FewServers group;
  group.tell("a", Retime{{.election_timeout = seconds(5)}});
  group.tell("c", Retime{{.election_timeout = seconds(2)}});
  group.passes(seconds(3));
  const ServerId leader = group.leader();
  ASSERT_NE(leader, "");
  const Term term = group.at(leader).term();
  group.passes(seconds(60));
  EXPECT_EQ(group.leader(), leader);
  EXPECT_EQ(group.at(leader).term(), term);
}

TEST(Retime, ALeaderWithALongTimeoutIsFollowedByOneWithTheShortest) {
  FewServers group;
  group.campaigns("a");
  group.tell("a", Retime{{.election_timeout = TimingChooser::kElectionMax}});
  const Term term = group.at("a").term();
  group.passes(seconds(60));
  EXPECT_EQ(group.leader(), "a");
  EXPECT_EQ(group.at("b").term(), term);
}

TEST(Retime, ACutOffLeaderWithALongTimeoutServesNoReadWhileAnotherLeads) {
  FewServers group;
  group.campaigns("a");
  group.tell("a", Retime{{.election_timeout = TimingChooser::kElectionMax}});
  group.silent = {"a"};
  group.passes(seconds(3));
  ASSERT_EQ(group.at("a").role(), Role::Leader) << "it has not noticed yet";
  ASSERT_TRUE(group.at("b").leads_surely() || group.at("c").leads_surely());
  EXPECT_TRUE(group.tell("a", Read{7}).reads.empty()) << "no majority answers";
  group.passes(seconds(5));
  EXPECT_EQ(group.at("a").role(), Role::Follower);
  const auto failed = [](const Output& out) {
    return std::ranges::any_of(out.reads, [](const ReadDone& read) { return !read.ok; });
  };
  EXPECT_TRUE(std::ranges::any_of(group.told, failed));
}

}  // namespace
}  // namespace fettle::raft
