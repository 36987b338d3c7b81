// The leader's table of who reaches which agent, as voters tell it.
#include "daemon/reach.h"

#include <gtest/gtest.h>

namespace fettle::daemon {
namespace {

using Names = std::vector<std::string>;

core::MemberFacts agent(const std::string& name) {
  return {.name = name, .role = core::MemberRole::Agent};
}

class LeaderOfAgents : public testing::Test {
 protected:
  LeaderOfAgents() { reach.begin(Term{7}); }
  Reach reach;
};

TEST_F(LeaderOfAgents, AnAgentIsReachedAsLongAsOneVoterReachesIt) {
  EXPECT_EQ(reach.linked("m2", {agent("a1")}, true).up, Names{"a1"});
  EXPECT_EQ(reach.linked("m3", {agent("a1")}, true).moved, Names{"a1"});
  EXPECT_EQ(reach.unlinked("m2", {"a1"}).moved, Names{"a1"});
  EXPECT_EQ(reach.via("a1"), "m3");
  EXPECT_EQ(reach.lost("m3").down, Names{"a1"});
  EXPECT_EQ(reach.via("a1"), "");
  EXPECT_TRUE(reach.facts().empty());
}

TEST_F(LeaderOfAgents, AWholeTableTakesThePlaceOfWhatTheVoterToldBefore) {
  reach.linked("m2", {agent("a1"), agent("a2")}, true);
  const Reach::News news = reach.linked("m2", {agent("a2"), agent("a3")}, true);
  EXPECT_EQ(news.up, Names{"a3"});
  EXPECT_EQ(news.down, Names{"a1"});
  EXPECT_TRUE(reach.has("m2", "a2"));
}

TEST_F(LeaderOfAgents, AVoterStandsOnlyForAgentsThatItSaidItHas) {
  reach.linked("m2", {agent("a1")}, false);
  EXPECT_TRUE(reach.has("m2", "a1"));
  EXPECT_FALSE(reach.has("m3", "a1"));
  EXPECT_FALSE(reach.has("m2", "m3"));
}

TEST_F(LeaderOfAgents, WhatIsSaidTwiceIsNoNews) {
  reach.linked("m2", {agent("a1")}, false);
  const Reach::News news = reach.linked("m2", {agent("a1")}, false);
  EXPECT_TRUE(news.up.empty() && news.down.empty() && news.moved.empty());
  EXPECT_TRUE(reach.unlinked("m2", {"a9"}).down.empty());
}

TEST_F(LeaderOfAgents, AnotherTermBeginsWithAnEmptyTable) {
  reach.linked("m2", {agent("a1")}, true);
  reach.begin(Term{7});
  EXPECT_TRUE(reach.has("m2", "a1"));
  reach.begin(Term{8});
  EXPECT_FALSE(reach.has("m2", "a1"));
}

}  // namespace
}  // namespace fettle::daemon
