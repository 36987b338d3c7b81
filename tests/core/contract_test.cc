// What the contract says of each key of the language that the engine obeys, a story each.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/limits.h"
#include "tests/support/engine_story.h"

namespace fettle::core {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

PlaybookSpec playbook(const std::string& name, std::vector<StepSpec> steps) {
  return {.name = name, .mode = Mode::Enforce, .steps = std::move(steps)};
}

StepSpec out(OnFailure on_failure = OnFailure::Escalate) {
  return {.id = "out", .action = "traffic.isolate", .on_failure = on_failure};
}

StepSpec wait() { return {.id = "wait", .action = "wait.healthy", .timeout = minutes(1)}; }

TEST(MinHealthy, GuardsOnlyActsThatLowerTheHealthyNodesInService) {
  Spec spec = story_spec({"a", "b", "c"});
  spec.services[0].min_healthy = 2;
  spec.services[0].max_isolated = 2;
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.performed.size(), 1U) << "a is down: its isolation costs no healthy node";
  story.done("7", "ready", "maint");
  const ClientAnswer answer = story.tell(command::Isolate{.node = "b", .by = "ann"});
  EXPECT_FALSE(answer.ok);
  EXPECT_EQ(answer.text, "min_healthy: only 2 healthy in service, at least 2 must stay");
}

TEST(Builtin, FalseLeavesADownNodeInServiceAndAlerts) {
  Spec spec = story_spec({"a", "b"});
  spec.services[0].builtin = false;
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  EXPECT_TRUE(story.performed.empty());
  EXPECT_EQ(story.outbox(), std::vector<std::string>{"test/1/firing/1"});
}

TEST(Traffic, AServiceWithoutItIsWatchedAndAlertedOnly) {
  Spec spec = story_spec({"a", "b"});
  spec.services[0].traffic = {};
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  EXPECT_TRUE(story.performed.empty());
  EXPECT_EQ(story.outbox().size(), 1U);
  EXPECT_FALSE(story.tell(command::Isolate{.node = "a", .by = "ann"}).ok);
  story.all_say("a", Verdict::Healthy);
  EXPECT_TRUE(story.last_incident().resolved_at.has_value());
}

/// Who acts of playbooks that stand in this order in a spec's files.
std::string chosen_of(std::vector<PlaybookSpec> playbooks) {
  Spec spec = story_spec({"a", "b"});
  for (std::uint32_t i = 0; i < playbooks.size(); ++i) playbooks[i].position = i;
  spec.playbooks = std::move(playbooks);
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  return story.last_run().playbook.name;
}

TEST(Priority, TheHighestActsThenFileThenOrder) {
  PlaybookSpec first = playbook("first", {out()});
  PlaybookSpec second = playbook("second", {out()});
  first.file = second.file = "b.yaml";
  EXPECT_EQ(chosen_of({first, second}), "first") << "the order in the file";
  second.file = "a.yaml";
  EXPECT_EQ(chosen_of({first, second}), "second") << "the file's name";
  first.priority = 5;
  EXPECT_EQ(chosen_of({second, first}), "first") << "the priority";
}

TEST(Breaker, ThreeFailedRunsWithinAnHourHoldThePlaybookForTheRest) {
  Spec spec = story_spec({"a", "b"});
  spec.playbooks = {playbook("heal", {out(OnFailure::Abort)})};
  spec.services[0].builtin = false;
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  for (std::size_t failed = 1; failed <= kBreakerFailures; ++failed) {
    ASSERT_EQ(story.performed.size(), failed);
    story.answers(TaskState::Failed, "no");
    story.pass(minutes(3));
  }
  EXPECT_EQ(story.performed.size(), kBreakerFailures);
  EXPECT_NE(story.last_incident().blocked_by[0].find("the breaker of heal is open"),
            std::string::npos);
  story.pass(minutes(60));
  EXPECT_EQ(story.performed.size(), kBreakerFailures + 1) << "half open: one more try";
}

/// The breaker of `heal` is open: `a` stays dead, and its runs waited for its health in vain.
EngineStory with_an_open_breaker(std::vector<PlaybookSpec> others = {}) {
  Spec spec = story_spec({"a", "b", "c", "d"});
  spec.services[0].max_isolated = 2;
  StepSpec healed = wait();
  healed.timeout = seconds(10);
  spec.playbooks = {playbook("heal", {out(), healed})};
  for (PlaybookSpec& other : others) {
    other.position = static_cast<std::uint32_t>(spec.playbooks.size());
    spec.playbooks.push_back(std::move(other));
  }
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  for (int i = 0; i < 30; ++i) {
    if (!is_over(story.last_run().state) && story.last_run().step == 0) {
      story.done("7", "ready", "maint");
    }
    story.pass(seconds(11));
  }
  EXPECT_EQ(story.last_incident().blocked_by,
            std::vector<std::string>{"the breaker of heal is open: 3 failed runs within 1h"});
  return story;
}

TEST(Breaker, LeavesTheIsolationOfAnotherNodeToTheReflex) {
  EngineStory story = with_an_open_breaker();
  story.all_say("d", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.last_run().node, "d");
  EXPECT_EQ(story.last_run().playbook.name, "builtin-isolate");
  EXPECT_EQ(text_option(story.performed.back().input, "server"), "d");
}

TEST(Breaker, LeavesNothingToAPlaybookOfLowerPriority) {
  const StepSpec tell{
      .id = "tell",
      .action = "notify.send",
      .input = {{"receiver", std::string("oncall")}, {"text", std::string("${node.name}")}}};
  EngineStory story = with_an_open_breaker({playbook("tell", {tell})});
  story.all_say("d", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.last_run().playbook.name, "builtin-isolate");
}

TEST(Breaker, GivesNoLeaveForWhatAPersonCancelled) {
  EngineStory story = with_an_open_breaker();
  story.pass(std::chrono::hours(1));  // half open: a's fourth run
  story.all_say("d", Verdict::Down, Outcome::Refused);
  ASSERT_EQ(story.last_run().node, "d");
  story.tell(command::Cancel{.run = story.last_run().id, .by = "ann"});
  story.answers(TaskState::Cancelled, "not begun");
  for (int i = 0; i < 60; ++i) {  // a's runs fail on
    story.pass(seconds(11));
  }
  ASSERT_TRUE(breaker_hold(story.engine.state(), "heal", "d"));
  const auto of_d = [](const Task& task) { return text_option(task.input, "server") == "d"; };
  EXPECT_EQ(std::ranges::count_if(story.performed, of_d), 1) << "what ann cancelled, and no more";
  EXPECT_EQ(story.node("d").admin, Admin::InService);
}

TEST(OnFailure, ContinueGoesOnWithTheNextStep) {
  Spec spec = story_spec({"a", "b"});
  spec.playbooks = {playbook("heal", {out(OnFailure::Continue), wait()})};
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.answers(TaskState::Failed, "no");
  EXPECT_EQ(story.last_run().steps[0].state, StepState::Failed);
  EXPECT_EQ(story.last_run().steps[1].state, StepState::Waiting);
}

TEST(OnFailure, AbortEndsTheRunWithoutAFurtherAlertEscalateTellsSomebody) {
  for (const OnFailure on_failure : {OnFailure::Abort, OnFailure::Escalate}) {
    Spec spec = story_spec({"a", "b"});
    spec.playbooks = {playbook("heal", {out(on_failure), wait()})};
    EngineStory story(std::move(spec));
    story.everything_is_healthy();
    story.all_say("a", Verdict::Down, Outcome::Refused);
    story.answers(TaskState::Failed, "no");
    EXPECT_EQ(story.last_run().state, RunState::Failed);
    EXPECT_EQ(story.last_run().steps[1].state, StepState::Skipped);
    EXPECT_EQ(story.outbox().size(), on_failure == OnFailure::Abort ? 1U : 2U);
  }
}

TEST(Notify, ToAnotherReceiverItIsAnAlertOfItsOwn) {
  Spec spec = story_spec({"a", "b"});
  spec.receivers.push_back({.name = "boss", .kind = "webhook"});
  StepSpec tell{.id = "tell", .action = "notify.send"};
  tell.input = {{"receiver", std::string("boss")},
                {"severity", std::string("info")},
                {"text", std::string("${node.name} fell: ${incident.reason}")}};
  spec.playbooks = {playbook("heal", {tell, out()})};
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  const Alert& notice = story.engine.state().outbox.at("test/1/notice-1-tell/1");
  EXPECT_EQ(notice.receiver, "boss");
  EXPECT_EQ(notice.text, "a fell: 2 of 3 observers: refused");
}

TEST(Revision, ARunKeepsTheOneItStartedWith) {
  Spec spec = story_spec({"a", "b"});
  spec.playbooks = {playbook("heal", {out(), wait()})};
  EngineStory story(spec);
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  spec.playbooks[0].steps.pop_back();
  ASSERT_TRUE(story.tell(command::ApplySpec{.spec = spec, .by = "ann"}).ok);
  story.done("7", "ready", "maint");
  EXPECT_EQ(story.last_run().steps.size(), 2U);
  EXPECT_EQ(story.last_run().steps[1].state, StepState::Waiting);
}

TEST(SpecChange, ANodeThatFettleHoldsIsolatedCannotBeRemoved) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.done("7", "ready", "maint");
  const ClientAnswer answer =
      story.tell(command::ApplySpec{.spec = story_spec({"b"}), .removal = command::Removal::Prune});
  EXPECT_EQ(answer.code, Code::Conflict);
  EXPECT_EQ(story.engine.state().revision, 1U);
}

TEST(SpecChange, ForcedANodeThatFettleHoldsIsolatedIsAbandonedAsItIs) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.done("7", "ready", "maint");
  const command::ApplySpec forced{.spec = story_spec({"b"}), .removal = command::Removal::Abandon};
  EXPECT_EQ(level_of(forced), kLevel2);
  EXPECT_EQ(story.tell(forced).code, Code::Refused) << "the group is not at that level yet";
  story.raise();
  EXPECT_TRUE(story.tell(forced).ok);
  EXPECT_FALSE(story.engine.state().nodes.contains("a"));
  EXPECT_EQ(story.performed.size(), 1U) << "its director is left alone";
  EXPECT_TRUE(story.last_incident().resolved_at.has_value());
}

TEST(Relapse, EachOneLengthensTheHoldDown) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  for (int relapses = 0; relapses < 3; ++relapses) {
    story.all_say("a", Verdict::Down, Outcome::Refused);
    story.done("7", "ready", "maint");
    story.all_say("a", Verdict::Healthy);
    const Duration held = hold_down_until(story.node("a")) - story.now;
    EXPECT_EQ(held, relapses == 0 ? seconds(0) : kHoldDown * (1 << (relapses - 1)));
    story.pass(held + seconds(1));
    ASSERT_EQ(story.performed.back().action, "traffic.restore");
    story.done("7", "maint", "ready");
  }
}

TEST(Unknown, NeverActs) {
  EngineStory story(story_spec({"a", "b"}));
  story.says("m1", "a", Verdict::Down, Outcome::Refused);
  story.pass(minutes(30));
  EXPECT_EQ(story.node("a").verdict, Verdict::Unknown);
  EXPECT_TRUE(story.performed.empty());
}

TEST(SeveralFaults, FurtherClassesJoinTheOpenIncident) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Degraded, Outcome::Slow);
  story.all_say("a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.engine.state().incidents.size(), 1U);
  EXPECT_EQ(story.last_incident().verdict, Verdict::Down);
}

}  // namespace
}  // namespace fettle::core
