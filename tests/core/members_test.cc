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

TEST(Alone, TheGenerationIsAboveWhateverTheHostHasActedFor) {
  EngineStory story = raised();
  constexpr std::uint64_t kSeen = 4;
  story.engine.keep_only(Index{++story.index}, "m1", kSeen);
  EXPECT_EQ(story.engine.state().generation, kSeen + 1);
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

MemberFacts agent(const std::string& name, const std::string& zone = "") {
  return {.name = name, .zone = zone, .incarnation = "i-" + name, .role = MemberRole::Agent};
}

TEST(Agents, AreRemovedByAPersonAndMayComeBackAsOthers) {
  EngineStory story = raised();
  EXPECT_TRUE(story.tell(command::SetFacts{agent("edge")}).ok);
  MemberFacts other = agent("edge");
  other.incarnation = "i-after-its-disk";
  EXPECT_EQ(story.tell(command::SetFacts{other}).code, Code::Conflict);
  EXPECT_TRUE(story.tell(command::RemoveAgent{"edge"}).ok);
  EXPECT_EQ(names(story), (std::vector<std::string>{"m1", "m2", "m3"}));
  EXPECT_TRUE(story.tell(command::SetFacts{other}).ok);
}

TEST(Agents, AreNoVotersAndVotersAreNoAgents) {
  EngineStory story = raised();
  EXPECT_EQ(story.tell(command::RemoveAgent{"m3"}).code, Code::NotFound);
  MemberFacts facts = story.engine.state().members.at("m3");
  facts.role = MemberRole::Agent;
  EXPECT_EQ(story.tell(command::SetFacts{facts}).code, Code::Conflict);
  configure(story, {"m1", "m2"});
  story.tell(command::SetFacts{agent("edge")});
  configure(story, {"m1", "m2", "m3"});
  EXPECT_TRUE(story.engine.state().members.contains("edge")) << "no configuration names it";
}

TEST(Agents, ALostOneThatIsRemovedTroublesNobodyAnyMore) {
  EngineStory story = raised();
  story.tell(command::SetFacts{agent("edge")});
  story.tell(command::MemberLost{"edge", "no link"});
  ASSERT_FALSE(story.last_incident().resolved_at.has_value());
  story.tell(command::RemoveAgent{"edge"});
  EXPECT_TRUE(story.last_incident().resolved_at.has_value());
}

TEST(UpdateMembers, IsWhatItsPartsWouldBeOneByOne) {
  EngineStory one = raised();
  EngineStory many = raised();
  one.tell(command::SetFacts{agent("a1")});
  one.tell(command::SetFacts{agent("a2")});
  one.tell(command::MemberLost{"m3", "no link"});
  many.tell(command::UpdateMembers{
      .facts = {agent("a1"), agent("a2")}, .lost = {{"m3", "no link"}}, .back = {}});
  EXPECT_EQ(names(one), names(many));
  EXPECT_TRUE(many.engine.state().lost.contains("m3"));
  for (const char* node : {"a", "b"}) {
    EXPECT_EQ(one.node(node).observers, many.node(node).observers) << node;
  }
  many.tell(command::UpdateMembers{.facts = {}, .lost = {}, .back = {{"m3"}}});
  EXPECT_TRUE(many.engine.state().lost.empty());
}

TEST(UpdateMembers, LeavesOutWhatDoesNotHold) {
  EngineStory story = raised();
  MemberFacts impostor = agent("m2");
  story.tell(command::UpdateMembers{.facts = {impostor, agent("a1")},
                                    .lost = {{"nobody", ""}, {"m3", ""}, {"m3", ""}},
                                    .back = {{"m1"}}});
  EXPECT_EQ(names(story), (std::vector<std::string>{"a1", "m1", "m2", "m3"}));
  EXPECT_EQ(story.engine.state().members.at("m2").role, MemberRole::Voter);
  EXPECT_EQ(story.engine.state().lost.size(), 1U);
}

TEST(UpdateMembers, NeverTakesTheLastLiveMember) {
  EngineStory story = raised();
  story.tell(command::UpdateMembers{
      .facts = {}, .lost = {{"m1", ""}, {"m2", ""}, {"m3", ""}}, .back = {}});
  EXPECT_EQ(live_members(story.engine.state()), std::vector<std::string>{"m3"});
}

}  // namespace
}  // namespace fettle::core
