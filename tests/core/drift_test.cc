// What directors hold beside what the log wants: a person's change is adopted, a restart and a
// director that was out of reach are brought to the wanted state.
#include "core/drift.h"

#include <gtest/gtest.h>

#include "tests/support/engine_story.h"

namespace fettle::core {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using enum ServerAdmin;

/// `a` is down and isolated by Fettle under the director's process 7.
EngineStory isolated_story(std::vector<std::string> hosts = {"m1"}) {
  Spec spec = story_spec({"a", "b"});
  spec.services[0].traffic.hosts = std::move(hosts);
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  return story;
}

EngineStory isolated_alone() {
  EngineStory story = isolated_story();
  story.sees("m1", "7", {{"a", Ready}, {"b", Ready}});
  story.done("7", "ready", "maint");
  story.sees("m1", "7", {{"a", Maint}, {"b", Ready}});
  return story;
}

TEST(Drift, WhatFettleSetIsNoDrift) {
  EngineStory story = isolated_alone();
  EXPECT_EQ(story.node("a").admin, Admin::Isolated);
  EXPECT_EQ(story.node("a").owner, Owner::Fettle);
  EXPECT_EQ(story.performed.size(), 1U);
}

TEST(Drift, APersonWhoPutsTheNodeBackUnderTheSameProcessIsNotOverruled) {
  EngineStory story = isolated_alone();
  story.sees("m1", "7", {{"a", Ready}, {"b", Ready}});
  EXPECT_EQ(story.node("a").admin, Admin::InService);
  EXPECT_EQ(story.node("a").owner, Owner::Person);
  story.pass(minutes(30));
  EXPECT_EQ(story.performed.size(), 1U) << "the node is down, and a person wants it in";
  story.all_say("a", Verdict::Healthy);
  EXPECT_EQ(story.node("a").owner, Owner::Nobody);
  story.all_say("a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.performed.size(), 2U) << "the next fault is Fettle's again";
}

TEST(Drift, APersonWhoTakesANodeOutKeepsItOut) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.sees("m1", "7", {{"a", Ready}, {"b", Ready}});
  story.sees("m1", "7", {{"a", Drain}, {"b", Ready}});
  EXPECT_EQ(story.node("a").admin, Admin::Draining);
  EXPECT_EQ(story.node("a").owner, Owner::Person);
  story.all_say("b", Verdict::Down, Outcome::Refused);
  EXPECT_TRUE(story.performed.empty()) << "b is the last node in service";
  story.sees("m1", "7", {{"a", Ready}, {"b", Ready}});
  EXPECT_EQ(story.node("a").admin, Admin::InService);
  EXPECT_EQ(story.performed.size(), 1U) << "now b may go";
}

TEST(Drift, APersonsChangeEndsTheRunsOnTheNode) {
  Spec spec = story_spec({"a", "b"});
  PlaybookSpec playbook{.name = "heal", .mode = Mode::Enforce};
  playbook.steps = {{.id = "out", .action = "traffic.isolate"},
                    {.id = "wait", .action = "wait.healthy", .timeout = minutes(10)}};
  spec.playbooks.push_back(playbook);
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.done("7", "ready", "maint");
  ASSERT_EQ(story.last_run().state, RunState::Running);
  story.sees("m1", "7", {{"a", Ready}, {"b", Ready}});
  EXPECT_EQ(story.last_run().state, RunState::Cancelled);
  EXPECT_NE(story.last_run().reason.find("external: a person set a to ready"), std::string::npos);
}

TEST(Drift, ARestartedDirectorIsBroughtBackToTheWantedStateAndTheGapIsTold) {
  EngineStory story = isolated_alone();
  story.sees("m1", "8", {{"a", Ready}, {"b", Ready}});
  ASSERT_EQ(story.performed.size(), 2U);
  EXPECT_EQ(story.performed.back().action, "traffic.isolate");
  EXPECT_EQ(story.last_run().playbook.name, "builtin-reassert");
  EXPECT_EQ(story.last_incident().service, "fettle");
  EXPECT_NE(story.last_incident().reason.find("restarted (process 7 → 8)"), std::string::npos);
  const auto relapses = story.node("a").relapses;
  story.done("8", "ready", "maint");
  EXPECT_TRUE(story.last_incident().resolved_at.has_value());
  EXPECT_EQ(story.node("a").owner, Owner::Fettle);
  EXPECT_EQ(story.node("a").relapses, relapses) << "the node did not relapse, its director did";
  story.sees("m1", "8", {{"a", Maint}, {"b", Ready}});
  EXPECT_EQ(story.performed.size(), 2U);
}

TEST(Drift, ARestartThatKeptTheWantedStateNeedsNothing) {
  EngineStory story = isolated_alone();
  story.sees("m1", "8", {{"a", Maint}, {"b", Ready}});
  EXPECT_EQ(story.performed.size(), 1U);
  story.sees("m1", "8", {{"a", Ready}, {"b", Ready}});
  EXPECT_EQ(story.node("a").owner, Owner::Person) << "under process 8 that was a person";
}

TEST(Drift, WhatAPersonIsolatedIsAlsoReassertedAfterARestart) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.tell(command::Isolate{.node = "a", .by = "ann"});
  story.done("7", "ready", "drain");
  story.sees("m1", "8", {{"a", Ready}, {"b", Ready}});
  ASSERT_EQ(story.performed.size(), 2U);
  story.done("8", "ready", "drain");
  EXPECT_EQ(story.node("a").owner, Owner::Person);
}

TEST(Drift, ALookFromBeforeTheActProvesNothing) {
  EngineStory story = isolated_story();
  const Index before{story.index};
  story.done("7", "ready", "maint");
  story.tell(command::ReportDirectors{
      "m1", {{"chat", {"7", {{"a", Ready}, {"b", Ready}}, "", Index{before.value - 1}}}}});
  EXPECT_EQ(story.node("a").owner, Owner::Fettle) << "it was still ready when the host looked";
  EXPECT_EQ(story.node("a").admin, Admin::Isolated);
}

TEST(Drift, OnlyWhatTheLogDoesNotHoldYetIsProposed) {
  EngineStory story = isolated_alone();
  command::ReportDirectors same{
      "m1", {{"chat", {"7", {{"a", Maint}, {"b", Ready}}, "", Index{story.index}}}}};
  EXPECT_TRUE(news_of(story.engine.state(), same).views.empty());
  same.views.at("chat").servers["b"] = Drain;
  EXPECT_EQ(news_of(story.engine.state(), same).views.size(), 1U);
}

TEST(SeveralDirectors, AnUnreachableOneIsLeftPendingWithAnAlertAndBroughtThereFirst) {
  EngineStory story = isolated_story({"m1", "m2"});
  ASSERT_EQ(story.performed.size(), 2U);
  story.host_answers("m1", TaskState::Done,
                     {{"pid", std::string("7")}, {"set", std::string("maint")}});
  EXPECT_EQ(story.node("a").admin, Admin::InService) << "m2 has not answered yet";
  story.host_answers("m2", TaskState::Unreachable);
  EXPECT_EQ(story.node("a").admin, Admin::Isolated);
  EXPECT_EQ(story.node("a").pending_hosts, std::set<std::string>{"m2"});
  EXPECT_EQ(story.last_incident().service, "fettle");
  EXPECT_EQ(story.last_run().state, RunState::Succeeded);
  story.cannot_see("m2", "no such socket");
  EXPECT_EQ(story.performed.size(), 2U);
  story.sees("m2", "9", {{"a", Ready}, {"b", Ready}});
  ASSERT_EQ(story.performed.size(), 3U);
  EXPECT_EQ(story.performed.back().key.host, "m2");
  story.host_answers("m2", TaskState::Done,
                     {{"pid", std::string("9")}, {"set", std::string("maint")}});
  EXPECT_TRUE(story.node("a").pending_hosts.empty());
  story.sees("m2", "9", {{"a", Maint}, {"b", Ready}});
  EXPECT_TRUE(story.last_incident().resolved_at.has_value());
}

TEST(SeveralDirectors, NothingIsAskedOfAHostThatIsNotBackYetThoughItsDirectorIsSeen) {
  EngineStory story = isolated_story({"m1", "m2"});
  story.raise();
  story.host_answers("m1", TaskState::Done, {{"pid", "7"}, {"set", "maint"}});
  story.host_answers("m2", TaskState::Unreachable);
  story.tell(command::MemberLost{"m2", "no link"});
  story.sees("m2", "9", {{"a", Ready}, {"b", Ready}});
  EXPECT_NE(story.last_run().playbook.name, "builtin-reassert");
  story.tell(command::MemberBack{"m2"});
  ASSERT_EQ(story.last_run().playbook.name, "builtin-reassert");
  EXPECT_EQ(story.performed.back().key.host, "m2");
}

TEST(SeveralDirectors, WhatAPersonPutsBackAtOneFettleUndoesAtTheOthersOnceTheNodeIsWell) {
  EngineStory story = isolated_story({"m1", "m2"});
  for (const char* host : {"m1", "m2"}) {
    story.host_answers(host, TaskState::Done, {{"pid", "7"}, {"found", "ready"}, {"set", "maint"}});
  }
  ASSERT_EQ(story.node("a").admin, Admin::Isolated);
  story.sees("m2", "7", {{"a", Ready}, {"b", Ready}});
  EXPECT_EQ(story.node("a").admin, Admin::InService);
  EXPECT_EQ(story.node("a").pending_hosts, std::set<std::string>{"m1"});
  story.sees("m1", "7", {{"a", Maint}, {"b", Ready}});
  EXPECT_EQ(story.performed.size(), 2U) << "what is down is not put back";
  story.all_say("a", Verdict::Healthy);
  ASSERT_EQ(story.performed.size(), 3U);
  EXPECT_EQ(story.performed.back().action, "traffic.restore");
  EXPECT_EQ(story.performed.back().key.host, "m1");
  story.host_answers("m1", TaskState::Done, {{"pid", "7"}, {"found", "maint"}, {"set", "ready"}});
  EXPECT_TRUE(story.node("a").pending_hosts.empty());
}

TEST(SeveralDirectors, OneThatReturnsInTheWantedStateNeedsNoAct) {
  EngineStory story = isolated_story({"m1", "m2"});
  story.host_answers("m1", TaskState::Done);
  story.pass(seconds(8));
  ASSERT_EQ(story.node("a").admin, Admin::Isolated) << "m2 never answered";
  story.sees("m2", "9", {{"a", Maint}, {"b", Ready}});
  EXPECT_TRUE(story.node("a").pending_hosts.empty());
  EXPECT_EQ(story.performed.size(), 2U);
}

TEST(SeveralDirectors, NoneInReachIsAFailure) {
  EngineStory story = isolated_story({"m1", "m2"});
  for (int attempt = 0; attempt < 3; ++attempt) {
    story.host_answers("m1", TaskState::Unreachable);
    story.host_answers("m2", TaskState::Unreachable);
    story.pass(seconds(2));
  }
  EXPECT_EQ(story.last_run().state, RunState::Failed);
  EXPECT_EQ(story.node("a").admin, Admin::InService);
}

TEST(SeveralDirectors, OneThatSaysNoIsNoAbsence) {
  EngineStory story = isolated_story({"m1", "m2"});
  story.host_answers("m1", TaskState::Done);
  story.host_answers("m2", TaskState::Refused);
  EXPECT_EQ(story.node("a").admin, Admin::InService);
  EXPECT_TRUE(story.node("a").isolation_in_doubt) << "m1 did it: limits count it";
}

}  // namespace
}  // namespace fettle::core
