// Stories of a step that acts on a member: where it runs, what may forbid it, and what is tried
// again. A program is not idempotent: once it may have run, only its own word lets it run again.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/codec.h"
#include "tests/support/engine_story.h"

namespace fettle::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* kHeal = "/usr/local/lib/fettle/heal";

StepSpec heal_step(std::vector<std::string> arguments = {"${node.name}"}) {
  StepSpec step{.id = "heal", .action = "exec.run", .timeout = minutes(1)};
  arguments.insert(arguments.begin(), kHeal);
  step.input["command"] = std::move(arguments);
  return step;
}

Spec heal_spec(StepSpec step, Mode mode = Mode::Enforce) {
  Spec spec = story_spec({"a", "b"});
  for (NodeSpec& node : spec.services[0].nodes) node.host = "m2";
  PlaybookSpec playbook;
  playbook.name = "heal";
  playbook.mode = mode;
  playbook.steps = {std::move(step)};
  spec.playbooks.push_back(playbook);
  return spec;
}

/// Everything is healthy, and m2 and m3 let heal be run; then `a` falls.
EngineStory after_the_fall(Spec spec, const std::vector<std::string>& allowing = {"m2", "m3"}) {
  EngineStory story(std::move(spec));
  for (const std::string& name : allowing) {
    MemberFacts facts = story.engine.state().members.at(name);
    facts.allow["exec"] = {"/usr/local/lib/fettle/*"};
    story.tell(command::SetFacts{facts});
  }
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  return story;
}

TEST(ExecRun, RunsOnceAtTheNodesHostWithItsFieldsFilledIn) {
  EngineStory story =
      after_the_fall(heal_spec(heal_step({"${node.name}", "why: ${incident.reason}"})));
  ASSERT_EQ(story.performed.size(), 1U);
  const Task& task = story.performed[0];
  EXPECT_EQ(task.action, "exec.run");
  EXPECT_EQ(task.key.host, "m2");
  EXPECT_EQ(task.resource, "exec:a");
  EXPECT_FALSE(task.idempotent);
  EXPECT_EQ(task.remaining, minutes(1));
  EXPECT_EQ(list_option(task.input, "command"),
            (std::vector<std::string>{kHeal, "a", "why: 2 of 3 observers: refused"}));
  EXPECT_EQ(text_option(task.input, "node"), "a");
  EXPECT_EQ(text_option(task.input, "service"), "chat");
  EXPECT_EQ(text_option(task.input, "step"), "heal");
  story.answers(TaskState::Done, "exit code 0");
  EXPECT_EQ(story.last_run().state, RunState::Succeeded);
  EXPECT_EQ(story.node("a").admin, Admin::InService) << "the traffic is not its business";
}

TEST(ExecRun, GoesWhereTheStepSays) {
  StepSpec step = heal_step();
  step.on = "m3";
  EngineStory story = after_the_fall(heal_spec(step));
  ASSERT_EQ(story.performed.size(), 1U);
  EXPECT_EQ(story.performed[0].key.host, "m3");
}

TEST(ExecRun, FailsAtOnceWhereThereIsNoSuchMember) {
  StepSpec step = heal_step();
  step.on = "gpu9";
  EngineStory story = after_the_fall(heal_spec(step));
  EXPECT_TRUE(story.performed.empty());
  EXPECT_EQ(story.last_run().state, RunState::Failed);
  EXPECT_EQ(story.last_run().reason, "no host: gpu9 is no member of this group");
}

TEST(ExecRun, FailsAtOnceWhereNobodyIsNamed) {
  Spec spec = heal_spec(heal_step());
  spec.services[0].nodes[0].host.clear();
  EngineStory story = after_the_fall(std::move(spec));
  EXPECT_TRUE(story.performed.empty());
  EXPECT_EQ(story.last_run().reason, "no host: a names none, and neither does `on`");
}

TEST(ExecRun, IsNotEvenSentToAHostWhoseCommittedListDoesNotHoldTheProgram) {
  EngineStory story = after_the_fall(heal_spec(heal_step()), {"m3"});
  EXPECT_TRUE(story.performed.empty());
  EXPECT_EQ(story.last_run().reason,
            "the allow-list of m2 (allow.exec) does not hold /usr/local/lib/fettle/heal");
}

TEST(ExecRun, DoesNotGetAroundTheListByDots) {
  StepSpec step = heal_step();
  step.input["command"] = std::vector<std::string>{"/usr/local/lib/fettle/.."};
  EngineStory story = after_the_fall(heal_spec(step));
  EXPECT_TRUE(story.performed.empty());
}

TEST(ExecRun, ThatSaidNoIsTriedAgainAsOftenAsItsStepSays) {
  StepSpec step = heal_step();
  step.retry = {.count = 1, .delay = seconds(30)};
  EngineStory story = after_the_fall(heal_spec(step));
  story.answers(TaskState::Failed, "exit code 1: busy");
  story.pass(seconds(29));
  EXPECT_EQ(story.performed.size(), 1U);
  story.pass(seconds(1));
  ASSERT_EQ(story.performed.size(), 2U);
  EXPECT_EQ(story.performed[1].key.attempt, 2U);
  story.answers(TaskState::Failed, "exit code 1: busy");
  EXPECT_EQ(story.performed.size(), 2U);
  EXPECT_EQ(story.last_run().state, RunState::Failed);
  EXPECT_EQ(story.last_run().reason, "m2: exit code 1: busy");
}

TEST(ExecRun, InDoubtIsNeverTriedAgainWhateverItsStepSays) {
  StepSpec step = heal_step();
  step.retry = {.count = 5, .delay = milliseconds(1)};
  EngineStory story = after_the_fall(heal_spec(step));
  story.answers(TaskState::InDoubt, "killed at its deadline");
  story.pass(seconds(1));
  EXPECT_EQ(story.performed.size(), 1U);
  EXPECT_EQ(story.last_run().state, RunState::Failed);
  EXPECT_EQ(story.last_run().steps[0].state, StepState::Failed);
  EXPECT_FALSE(story.outbox().empty()) << "a person is told";
  story.pass(minutes(90));
  EXPECT_EQ(story.performed.size(), 1U) << "no later run does it again either";
  EXPECT_NE(story.last_incident().blocked_by[0].find("ended in doubt"), std::string::npos);
}

TEST(ExecRun, OfAHostThatNeverAnsweredIsInDoubtToo) {
  StepSpec step = heal_step();
  step.retry = {.count = 5, .delay = milliseconds(1)};
  EngineStory story = after_the_fall(heal_spec(step));
  story.pass(minutes(1));
  EXPECT_EQ(story.last_run().state, RunState::Running) << "not before the margin";
  story.pass(seconds(3));
  EXPECT_EQ(story.last_run().state, RunState::Failed);
  EXPECT_EQ(story.performed.size(), 1U);
}

TEST(ExecRun, InDoubtGoesOnWhereTheStepSaysSo) {
  StepSpec step = heal_step();
  step.on_failure = OnFailure::Continue;
  Spec spec = heal_spec(step);
  spec.playbooks[0].steps.push_back({.id = "back", .action = "wait.healthy"});
  EngineStory story = after_the_fall(std::move(spec));
  story.answers(TaskState::InDoubt, "killed at its deadline");
  EXPECT_EQ(story.last_run().steps[1].state, StepState::Waiting);
}

TEST(ExecRun, InObserveModeIsOnlyWrittenDown) {
  Spec spec = heal_spec(heal_step(), Mode::Observe);
  spec.services[0].builtin = false;
  EngineStory story = after_the_fall(std::move(spec));
  EXPECT_TRUE(story.performed.empty());
  EXPECT_EQ(story.last_run().steps[0].state, StepState::Would);
  EXPECT_EQ(story.last_run().steps[0].reason, "observe: would do exec.run on a");
}

TEST(ExecRun, IsTheSameTaskForTheNextLeader) {
  EngineStory story = after_the_fall(heal_spec(heal_step()));
  const auto restored = decode<State>(encode(story.engine.state()));
  ASSERT_TRUE(restored.has_value());
  EXPECT_EQ(encode(*restored), encode(story.engine.state()));
  bool open = false;
  for (const Effect& effect : story.engine.outstanding()) {
    const auto* perform = std::get_if<effect::Perform>(&effect);
    if (perform != nullptr) open = perform->task.key == story.performed[0].key;
  }
  EXPECT_TRUE(open);
}

TEST(ExecRun, InDoubtIsNotRunAgainWhileTheReflexFailsForHours) {
  Spec spec = heal_spec(heal_step());
  spec.playbooks[0].steps.push_back({.id = "out", .action = "traffic.isolate"});
  EngineStory story = after_the_fall(std::move(spec));
  story.answers(TaskState::InDoubt, "its keeper died");
  std::set<RunId> runs;
  for (int second = 0; second < 3 * 3600; second += 5) {
    if (story.performed.back().action == "traffic.isolate" && !is_over(story.last_run().state)) {
      story.answers(TaskState::Unreachable, "no such socket");
    }
    runs.insert(story.last_run().id);
    story.pass(seconds(5));
  }
  EXPECT_GT(runs.size(), kIncidentRunsMax);
  EXPECT_EQ(std::ranges::count(story.performed, "exec.run", &Task::action), 1);
}

}  // namespace
}  // namespace fettle::core
