// A leader that is slow for long hands over, once in a while.
#include "daemon/limping.h"

#include <gtest/gtest.h>

namespace fettle::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr core::Duration kTimeout = milliseconds(300);
constexpr core::Duration kSlow = milliseconds(151);
constexpr core::Duration kFine = milliseconds(150);

core::Time at(core::Duration since_start) { return core::Time{} + since_start; }

TEST(Limping, FiveSlowSecondsHandTheLeadershipOver) {
  Limping leader;
  for (int s = 0; s < 5; ++s) EXPECT_FALSE(leader.look(at(seconds(s)), kSlow, kTimeout)) << s;
  EXPECT_TRUE(leader.look(at(seconds(5)), kSlow, kTimeout));
}

TEST(Limping, OneGoodLookBeginsAnew) {
  Limping leader;
  EXPECT_FALSE(leader.look(at(seconds(0)), kSlow, kTimeout));
  EXPECT_FALSE(leader.look(at(seconds(4)), kFine, kTimeout));
  EXPECT_FALSE(leader.look(at(seconds(5)), kSlow, kTimeout));
  EXPECT_FALSE(leader.look(at(seconds(9)), kSlow, kTimeout));
  EXPECT_TRUE(leader.look(at(seconds(10)), kSlow, kTimeout));
}

TEST(Limping, ItHandsOverAtMostOnceInTenMinutes) {
  Limping leader;
  leader.look(at(seconds(0)), kSlow, kTimeout);
  EXPECT_TRUE(leader.look(at(seconds(5)), kSlow, kTimeout));
  for (int s = 6; s < 600; ++s) ASSERT_FALSE(leader.look(at(seconds(s)), kSlow, kTimeout)) << s;
  EXPECT_TRUE(leader.look(at(minutes(10) + seconds(5)), kSlow, kTimeout));
}

TEST(Limping, WhatItSawBeforeAnotherLedDoesNotCount) {
  Limping leader;
  leader.look(at(seconds(0)), kSlow, kTimeout);
  leader.forget();
  EXPECT_FALSE(leader.look(at(seconds(9)), kSlow, kTimeout));
}

}  // namespace
}  // namespace fettle::daemon
