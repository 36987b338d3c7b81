// A leader that is slow for long hands over, once in a while.
#include "daemon/limping.h"

#include <gtest/gtest.h>

namespace fettle::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr core::Duration kPatience = Limping::patience_of(milliseconds(300));
constexpr core::Duration kSlow = milliseconds(151);
constexpr core::Duration kFine = milliseconds(150);

constexpr core::Duration kNoLag{0};

core::Time at(core::Duration since_start) { return core::Time{} + since_start; }

TEST(Limping, FiveSlowSecondsHandTheLeadershipOver) {
  Limping leader;
  for (int s = 0; s < 5; ++s)
    EXPECT_FALSE(leader.look(at(seconds(s)), kNoLag, kSlow, kPatience)) << s;
  EXPECT_TRUE(leader.look(at(seconds(5)), kNoLag, kSlow, kPatience));
}

TEST(Limping, OneGoodLookBeginsAnew) {
  Limping leader;
  EXPECT_FALSE(leader.look(at(seconds(0)), kNoLag, kSlow, kPatience));
  EXPECT_FALSE(leader.look(at(seconds(4)), kNoLag, kFine, kPatience));
  EXPECT_FALSE(leader.look(at(seconds(5)), kNoLag, kSlow, kPatience));
  EXPECT_FALSE(leader.look(at(seconds(9)), kNoLag, kSlow, kPatience));
  EXPECT_TRUE(leader.look(at(seconds(10)), kNoLag, kSlow, kPatience));
}

TEST(Limping, ItHandsOverAtMostOnceInTenMinutes) {
  Limping leader;
  leader.look(at(seconds(0)), kNoLag, kSlow, kPatience);
  EXPECT_TRUE(leader.look(at(seconds(5)), kNoLag, kSlow, kPatience));
  for (int s = 6; s < 605; ++s)
    ASSERT_FALSE(leader.look(at(seconds(s)), kNoLag, kSlow, kPatience)) << s;
  EXPECT_TRUE(leader.look(at(minutes(10) + seconds(5)), kNoLag, kSlow, kPatience));
}

TEST(Limping, WhatItSawBeforeAnotherLedDoesNotCount) {
  Limping leader;
  leader.look(at(seconds(0)), kNoLag, kSlow, kPatience);
  leader.forget();
  EXPECT_FALSE(leader.look(at(seconds(9)), kNoLag, kSlow, kPatience));
}

TEST(Limping, ALoopThatLagsIsSlowWhateverTheDiskDoes) {
  Limping leader;
  EXPECT_FALSE(leader.look(at(seconds(0)), kSlow, kFine, kPatience));
  EXPECT_TRUE(leader.look(at(seconds(5)), kSlow, kFine, kPatience));
  EXPECT_FALSE(leader.look(at(minutes(11)), kSlow, std::nullopt, kPatience));
  EXPECT_FALSE(leader.look(at(minutes(11) + seconds(3)), kNoLag, std::nullopt, kPatience));
  EXPECT_FALSE(leader.look(at(minutes(11) + seconds(6)), kSlow, std::nullopt, kPatience));
}

TEST(Limping, WithoutAWriteTheDiskIsNotGood) {
  Limping leader;
  for (int s = 0; s < 5; ++s) {
    EXPECT_FALSE(leader.look(at(seconds(s)), kNoLag, kSlow, kPatience));
    EXPECT_FALSE(leader.look(at(seconds(s) + milliseconds(500)), kNoLag, std::nullopt, kPatience));
  }
  EXPECT_TRUE(leader.look(at(seconds(5)), kNoLag, kSlow, kPatience));
}

TEST(Limping, SlowWritesFarApartAreNoStreak) {
  Limping leader;
  for (int s = 0; s < 60; s += 6) {
    EXPECT_FALSE(leader.look(at(seconds(s)), kNoLag, kSlow, kPatience)) << s;
    EXPECT_FALSE(leader.look(at(seconds(s + 5)), kNoLag, std::nullopt, kPatience)) << s;
  }
}

}  // namespace
}  // namespace fettle::daemon
