// Members come and go with the group's configuration, and one goes on alone when all others are
// lost for good.
#include "core/members.h"

#include <gtest/gtest.h>

#include "core/liveness.h"
#include "tests/support/engine_story.h"

namespace fettle::core {
namespace {

EngineStory raised(Spec spec = story_spec({"a", "b"})) {
  EngineStory story(std::move(spec));
  story.raise();
  story.everything_is_healthy();
  return story;
}

void configure(EngineStory& story, const std::vector<std::string>& servers) {
  story.effects = story.engine.configure(Index{++story.index}, servers).effects;
}

std::vector<std::string> names(const EngineStory& story) {
  std::vector<std::string> all;
  for (const auto& [name, facts] : story.engine.state().members) all.push_back(name);
  return all;
}

TEST(Members, WhoIsAddedIsAMemberUnderWhateverIncarnationItSaysFirst) {
  EngineStory story = raised();
  configure(story, {"m1", "m2", "m3", "m4"});
  EXPECT_EQ(names(story), (std::vector<std::string>{"m1", "m2", "m3", "m4"}));
  MemberFacts facts;
  facts.name = "m4";
  facts.incarnation = "i-new";
  EXPECT_TRUE(story.tell(command::SetFacts{facts}).ok);
  facts.incarnation = "i-other";
  EXPECT_EQ(story.tell(command::SetFacts{facts}).code, Code::Conflict);
}

TEST(Members, WhoIsRemovedObservesNoMoreAndMayComeBackAsAnother) {
  EngineStory story = raised();
  configure(story, {"m1", "m2"});
  EXPECT_EQ(names(story), (std::vector<std::string>{"m1", "m2"}));
  EXPECT_EQ(story.node("a").observers, (std::vector<std::string>{"m1", "m2"}));
  configure(story, {"m1", "m2", "m3"});
  MemberFacts facts;
  facts.name = "m3";
  facts.incarnation = "i-after-its-disk";
  EXPECT_TRUE(story.tell(command::SetFacts{facts}).ok);
}

TEST(Members, ALostMemberThatIsRemovedTroublesNobodyAnyMore) {
  EngineStory story = raised();
  story.tell(command::MemberLost{"m3", "no link"});
  ASSERT_FALSE(story.last_incident().resolved_at.has_value());
  configure(story, {"m1", "m2"});
  EXPECT_TRUE(story.last_incident().resolved_at.has_value());
  EXPECT_TRUE(story.engine.state().lost.empty());
}

TEST(Members, BelowTheLevelThatKnowsThemConfigurationsChangeNothing) {
  EngineStory story(story_spec({"a", "b"}));
  configure(story, {"m1", "m2"});
  EXPECT_EQ(names(story).size(), 3U);
}

TEST(Alone, TheSurvivorIsTheOnlyMemberOfTheNextGeneration) {
  EngineStory story = raised();
  story.tell(command::MemberLost{"m3", "no link"});
  story.engine.keep_only(Index{++story.index}, "m1");
  EXPECT_EQ(story.engine.state().generation, 2U);
  EXPECT_EQ(names(story), std::vector<std::string>{"m1"});
  EXPECT_EQ(story.node("a").observers, std::vector<std::string>{"m1"});
  EXPECT_EQ(live_members(story.engine.state()), std::vector<std::string>{"m1"});
}

TEST(Alone, WhatItsHostHadDoneCountsUnderTheKeyItWasDoneUnder) {
  EngineStory story = raised();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  ASSERT_EQ(story.performed.size(), 1U);
  const Task before = story.performed.front();
  story.engine.keep_only(Index{++story.index}, before.key.host);
  const auto again = story.engine.outstanding();
  ASSERT_FALSE(again.empty());
  const Task& task = std::get<effect::Perform>(again.front()).task;
  EXPECT_EQ(task.key, before.key);
  EXPECT_EQ(task.fence.generation, 2U);
  story.done("7", "ready", "maint");
  EXPECT_EQ(story.node("a").admin, Admin::Isolated);
}

}  // namespace
}  // namespace fettle::core
