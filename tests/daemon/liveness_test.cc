// What a leader commits of the members it reaches and does not, link by link.
#include "daemon/liveness.h"

#include <gtest/gtest.h>

namespace fettle::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class LeaderStory : public testing::Test {
 protected:
  LeaderStory() {
    for (const char* name : {"m1", "m2", "m3"}) state.members[name].name = name;
    for (const char* name : {"m2", "m3"}) liveness.up(name, now);
    liveness.begin_to_lead(now);
  }
  /// What m1 proposes after this time, as words.
  std::vector<std::string> after(core::Duration duration) {
    now = now + duration;
    std::vector<std::string> words;
    for (const core::Command& command : liveness.due(state, "m1", now)) {
      if (const auto* lost = std::get_if<core::command::MemberLost>(&command)) {
        words.push_back("lost " + lost->name);
      }
      if (const auto* back = std::get_if<core::command::MemberBack>(&command)) {
        words.push_back("back " + back->name);
      }
    }
    return words;
  }

  core::State state;
  Liveness liveness;
  core::Time now{seconds(1'000'000).count() * 1'000'000'000};
};

using Words = std::vector<std::string>;

TEST_F(LeaderStory, ALinkThatStaysDownIsALostMember) {
  liveness.down("m3", now);
  EXPECT_EQ(after(Liveness::kLostAfter - milliseconds(1)), Words{});
  EXPECT_EQ(after(milliseconds(1)), Words{"lost m3"});
}

TEST_F(LeaderStory, AShortInterruptionIsNone) {
  liveness.down("m3", now);
  EXPECT_EQ(after(seconds(2)), Words{});
  liveness.up("m3", now);
  EXPECT_EQ(after(seconds(60)), Words{});
}

TEST_F(LeaderStory, WhatWasProposedIsNotRepeatedAtOnceButIfItGotLost) {
  liveness.down("m3", now);
  EXPECT_EQ(after(Liveness::kLostAfter), Words{"lost m3"});
  EXPECT_EQ(after(milliseconds(250)), Words{});
  EXPECT_EQ(after(Liveness::kAgainAfter), Words{"lost m3"});
  state.lost["m3"] = {};
  EXPECT_EQ(after(seconds(60)), Words{});
}

TEST_F(LeaderStory, AMemberIsBackOnceItsLinkHasStoodForAWhile) {
  state.lost["m3"] = {};
  liveness.down("m3", now);
  for (int flaps = 0; flaps < 5; ++flaps) {
    liveness.up("m3", now);
    EXPECT_EQ(after(Liveness::kBackAfter - milliseconds(1)), Words{});
    liveness.down("m3", now);
    EXPECT_EQ(after(milliseconds(100)), Words{});
  }
  liveness.up("m3", now);
  EXPECT_EQ(after(Liveness::kBackAfter), Words{"back m3"});
}

TEST_F(LeaderStory, ANewLeaderGivesEverybodyTheWholeTime) {
  liveness.down("m2", now);
  now = now + seconds(60);
  liveness.begin_to_lead(now);
  EXPECT_EQ(after(Liveness::kLostAfter - milliseconds(1)), Words{});
  EXPECT_EQ(after(milliseconds(1)), Words{"lost m2"});
}

TEST_F(LeaderStory, AMemberThatWasNeverReachedIsLostToo) {
  state.members["m4"].name = "m4";
  EXPECT_EQ(after(Liveness::kLostAfter), Words{"lost m4"});
}

TEST_F(LeaderStory, ALeaderThatWasTakenForLostIsBackAtOnce) {
  state.lost["m1"] = {};
  EXPECT_EQ(after(milliseconds(0)), Words{"back m1"});
}

}  // namespace
}  // namespace fettle::daemon
