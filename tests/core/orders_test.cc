// What a person orders of runs, and what does not wait for other runs.
#include <gtest/gtest.h>

#include "core/troubles.h"
#include "tests/support/engine_story.h"

namespace fettle::core {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

PlaybookSpec waits_for(const std::string& name, Verdict verdict) {
  PlaybookSpec playbook{.name = name, .mode = Mode::Enforce};
  playbook.trigger.verdict = verdict;
  playbook.steps = {{.id = "wait", .action = "wait.healthy", .timeout = minutes(30)}};
  return playbook;
}

TEST(Reflex, IsolationDoesNotWaitForAnotherRunOfTheNode) {
  Spec spec = story_spec({"a", "b"});
  spec.playbooks.push_back(waits_for("nurse", Verdict::Degraded));
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Degraded, Outcome::Slow);
  ASSERT_EQ(story.last_run().playbook.name, "nurse");
  story.all_say("a", Verdict::Down, Outcome::Refused);
  ASSERT_EQ(story.performed.size(), 1U) << "the nurse still waits, the isolation does not";
  EXPECT_EQ(story.performed.back().action, "traffic.isolate");
}

TEST(Reflex, TheStepsAfterTheIsolationDoWaitForTheOlderRun) {
  Spec spec = story_spec({"a", "b"});
  spec.playbooks.push_back(waits_for("nurse", Verdict::Degraded));
  PlaybookSpec heal{.name = "heal", .mode = Mode::Enforce};
  heal.steps = {{.id = "out", .action = "traffic.isolate"},
                {.id = "wait", .action = "wait.healthy", .timeout = minutes(1)}};
  spec.playbooks.push_back(heal);
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Degraded, Outcome::Slow);
  const RunId nurse = story.last_run().id;
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.done("7", "ready", "maint");
  EXPECT_EQ(story.last_run().steps[1].state, StepState::Pending);
  story.tell(command::Cancel{.run = nurse, .by = "ann"});
  EXPECT_EQ(story.last_run().steps[1].state, StepState::Waiting);
}

TEST(Cancel, APersonStopsARunAndFettleDoesNotStartItAgain) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  const RunId run = story.last_run().id;
  EXPECT_EQ(story.tell(command::Cancel{.run = run, .by = "ann", .reason = "no"}).text,
            "run 1 is being cancelled");
  ASSERT_EQ(story.effects_of<effect::Cancel>().size(), 1U);
  story.answers(TaskState::Cancelled);
  EXPECT_EQ(story.engine.state().runs.at(run).state, RunState::Cancelled);
  story.pass(minutes(5));
  EXPECT_EQ(story.performed.size(), 1U);
  EXPECT_EQ(story.last_incident().blocked_by[0], "run 1 was cancelled by ann: no");
  EXPECT_FALSE(story.tell(command::Cancel{.run = run, .by = "ann"}).ok);
  EXPECT_EQ(story.tell(command::Cancel{.run = RunId{99}}).code, Code::NotFound);
}

TEST(Retry, AFailedRunGoesOnFromTheStepItEndedAtAsANewRun) {
  Spec spec = story_spec({"a", "b"});
  PlaybookSpec heal{.name = "heal", .mode = Mode::Enforce};
  heal.steps = {{.id = "out", .action = "traffic.isolate"},
                {.id = "wait", .action = "wait.healthy", .timeout = minutes(1)},
                {.id = "back", .action = "traffic.restore"}};
  spec.playbooks.push_back(heal);
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.done("7", "ready", "maint");
  EXPECT_FALSE(story.tell(command::Retry{.run = RunId{1}}).ok) << "it has not ended";
  story.pass(minutes(2));
  ASSERT_EQ(story.last_run().state, RunState::Failed);
  const ClientAnswer answer = story.tell(command::Retry{.run = RunId{1}, .by = "ann"});
  EXPECT_EQ(answer.number, 2U);
  EXPECT_EQ(story.last_run().steps[0].state, StepState::Skipped);
  EXPECT_EQ(story.last_run().steps[1].state, StepState::Waiting);
  story.all_say("a", Verdict::Healthy);
  EXPECT_EQ(story.performed.back().action, "traffic.restore");
  story.done("7", "maint", "ready");
  EXPECT_EQ(story.last_run().state, RunState::Succeeded);
  EXPECT_FALSE(story.tell(command::Retry{.run = RunId{2}}).ok) << "it did not fail";
}

TEST(Choice, ThePlaybooksThatWereNotChosenAreListedOnTheIncident) {
  Spec spec = story_spec({"a", "b"});
  for (const char* name : {"first", "second"}) {
    PlaybookSpec playbook{.name = name, .mode = Mode::Enforce};
    playbook.steps = {{.id = "out", .action = "traffic.isolate"}};
    playbook.position = static_cast<std::uint32_t>(spec.playbooks.size());
    spec.playbooks.push_back(playbook);
  }
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.last_run().playbook.name, "first");
  EXPECT_TRUE(std::ranges::any_of(story.last_incident().timeline, [](const TimelineEntry& entry) {
    return entry.what == "playbook.chosen" && entry.reason == "first, before second";
  }));
}

TEST(Blind, ProbesThatCannotLookForFiveMinutesAreAnIncidentOfFettle) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  const auto cannot_look = [&](bool blind) {
    for (const std::string observer : {"m1", "m2", "m3"}) {
      Opinion opinion{.node = "a",
                      .watch_revision = story.node("a").watch_revision,
                      .sequence = ++story.sequence,
                      .classes = {{.fault_class = FaultClass::Reachability,
                                   .grade = Verdict::Healthy,
                                   .outcome = Outcome::Pass,
                                   .blind = blind}}};
      story.tell(command::ReportOpinions{observer, "i-" + observer, {opinion}});
    }
  };
  cannot_look(true);
  EXPECT_EQ(story.node("a").verdict, Verdict::Healthy) << "absence changes no verdict";
  EXPECT_EQ(story.engine.next_wake(), story.now + kBlindAfter);
  story.pass(kBlindAfter);
  EXPECT_EQ(story.last_incident().service, "fettle");
  EXPECT_EQ(story.outbox().size(), 1U);
  cannot_look(false);
  EXPECT_TRUE(story.last_incident().resolved_at.has_value());
}

TEST(Relapse, ACancelledRestoreWhoseHostIsSilentIsClosedAtItsDeadline) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.done("7", "ready", "maint");
  story.all_say("a", Verdict::Healthy);
  ASSERT_EQ(story.performed.back().action, "traffic.restore");
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.pass(minutes(2));
  EXPECT_EQ(story.engine.state().runs.at(RunId{2}).state, RunState::Cancelled);
  EXPECT_GT(story.engine.next_wake(), story.now);
  EXPECT_EQ(story.performed.back().action, "traffic.isolate") << "the restore may have been done";
}

TEST(SpecChange, ANodeThatLeavesWhileAnActIsOpenTakesTheLateAnswerWithIt) {
  for (const bool answers : {true, false}) {
    EngineStory story(story_spec({"a", "b", "c"}));
    story.everything_is_healthy();
    story.all_say("a", Verdict::Down, Outcome::Refused);
    ASSERT_TRUE(
        story
            .tell(command::ApplySpec{
                .spec = story_spec({"b", "c"}), .removal = command::Removal::Prune, .by = "ann"})
            .ok);
    if (answers) story.done("7", "ready", "maint");
    story.pass(minutes(1));
    EXPECT_EQ(story.last_run().state, RunState::Cancelled);
    EXPECT_EQ(story.engine.next_wake(), kNever);
  }
}

TEST(InDoubt, AnIsolationThatMayHaveBeenDoneIsNotTakenForAPersons) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.sees("m1", "7", {{"a", ServerAdmin::Ready}, {"b", ServerAdmin::Ready}});
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.answers(TaskState::InDoubt);
  EXPECT_FALSE(story.node("a").holds.contains("m1")) << "what it holds is not known any more";
  story.pass(seconds(1));
  story.done("7", "maint", "maint");
  EXPECT_EQ(story.node("a").owner, Owner::Fettle);
}

TEST(External, ARunThatFindsTheNodeOutAlreadyStopsThere) {
  Spec spec = story_spec({"a", "b"});
  PlaybookSpec heal{.name = "heal", .mode = Mode::Enforce};
  heal.steps = {{.id = "out", .action = "traffic.isolate"},
                {.id = "wait", .action = "wait.healthy", .timeout = minutes(1)},
                {.id = "back", .action = "traffic.restore"}};
  spec.playbooks.push_back(heal);
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.done("7", "maint", "maint");
  EXPECT_EQ(story.node("a").owner, Owner::Person);
  EXPECT_EQ(story.last_run().state, RunState::Cancelled);
  story.all_say("a", Verdict::Healthy);
  EXPECT_EQ(story.performed.size(), 1U) << "a person keeps it out";
}

TEST(Limits, AForcedIsolationThatIsBeingCancelledGivesNoLeaveToOneThatIsNot) {
  EngineStory story(story_spec({"a", "b", "c"}));
  story.everything_is_healthy();
  story.tell(command::Isolate{.node = "a", .by = "ann"});
  story.done("7", "ready", "drain");
  story.tell(command::Isolate{.node = "b", .by = "ann", .force = true});
  story.tell(command::Cancel{.run = RunId{2}, .by = "ann"});
  const ClientAnswer answer = story.tell(command::Isolate{.node = "b", .by = "ann"});
  EXPECT_FALSE(answer.ok);
  EXPECT_EQ(answer.text, "max_isolated: 1 of at most 1 already out");
}

TEST(Retry, APersonsIsolationStaysAPersons) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.tell(command::Isolate{.node = "a", .by = "ann"});
  for (int attempt = 0; attempt < 3; ++attempt) {
    story.answers(TaskState::Failed, "no");
    story.pass(seconds(2));
  }
  ASSERT_EQ(story.last_run().state, RunState::Failed);
  ASSERT_TRUE(story.tell(command::Retry{.run = RunId{1}, .by = "ann"}).ok);
  story.done("7", "ready", "drain");
  EXPECT_EQ(story.node("a").owner, Owner::Person);
  EXPECT_EQ(story.performed.back().action, "traffic.isolate") << "and it is not restored";
}

TEST(Retry, APersonsRestoreIsRefusedIfTheNodeIsNotHealthyByThen) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.tell(command::Isolate{.node = "a", .by = "ann"});
  story.done("7", "ready", "drain");
  story.tell(command::Restore{.node = "a", .by = "ann"});
  for (int attempt = 0; attempt < 3; ++attempt) {
    story.answers(TaskState::Failed, "no");
    story.pass(seconds(2));
  }
  ASSERT_EQ(story.last_run().state, RunState::Failed);
  story.all_say("a", Verdict::Down, Outcome::Refused);
  const std::size_t before = story.performed.size();
  ASSERT_TRUE(story.tell(command::Retry{.run = RunId{2}, .by = "ann"}).ok);
  EXPECT_EQ(story.last_run().state, RunState::Failed);
  EXPECT_TRUE(story.last_run().steps.front().reason.starts_with("refused: its verdict is down"));
  EXPECT_EQ(story.performed.size(), before);
  EXPECT_EQ(story.node("a").admin, Admin::Isolated);
}

TEST(Reassert, DoesNotOverruleAFailedRunThatLeftTheNodeOut) {
  Spec spec = story_spec({"a", "b"});
  PlaybookSpec heal{.name = "heal", .mode = Mode::Enforce};
  heal.steps = {{.id = "out", .action = "traffic.isolate"},
                {.id = "wait", .action = "wait.healthy", .timeout = minutes(1)}};
  spec.playbooks.push_back(heal);
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.done("7", "ready", "maint");
  story.pass(minutes(2));
  ASSERT_EQ(story.engine.state().runs.at(RunId{1}).state, RunState::Failed);
  story.tell(command::Cancel{.run = story.last_run().id, .by = "ann"});
  story.sees("m1", "8", {{"a", ServerAdmin::Ready}, {"b", ServerAdmin::Ready}});
  ASSERT_EQ(story.last_run().playbook.name, "builtin-reassert");
  story.done("8", "ready", "maint");
  story.all_say("a", Verdict::Healthy);
  EXPECT_EQ(story.performed.back().action, "traffic.isolate") << "a person puts it back";
}

TEST(Reassert, CancelledByAPersonItDoesNotKeepAHealthyNodeOut) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.done("7", "ready", "maint");
  story.sees("m1", "8", {{"a", ServerAdmin::Ready}, {"b", ServerAdmin::Ready}});
  ASSERT_EQ(story.last_run().playbook.name, "builtin-reassert");
  story.tell(command::Cancel{.run = story.last_run().id, .by = "ann"});
  story.answers(TaskState::Failed, "cancelled");
  ASSERT_EQ(story.last_run().state, RunState::Cancelled);
  const std::size_t before = story.performed.size();
  story.all_say("a", Verdict::Healthy);
  ASSERT_EQ(story.performed.size(), before + 1);
  EXPECT_EQ(story.performed.back().action, "traffic.restore");
  story.done("8", "ready", "ready");
  EXPECT_EQ(story.node("a").admin, Admin::InService);
}

TEST(Reassert, ThatFailedDoesNotKeepAHealthyNodeOut) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.done("7", "ready", "maint");
  story.sees("m1", "8", {{"a", ServerAdmin::Ready}, {"b", ServerAdmin::Ready}});
  ASSERT_EQ(story.last_run().playbook.name, "builtin-reassert");
  for (int attempt = 1; attempt <= 3; ++attempt) {
    story.answers(TaskState::Failed, "no such server");
    story.pass(std::chrono::seconds(1));
  }
  ASSERT_EQ(story.last_run().state, RunState::Failed);
  story.sees("m1", "8", {{"a", ServerAdmin::Ready}, {"b", ServerAdmin::Ready}});
  story.all_say("a", Verdict::Healthy);
  EXPECT_EQ(story.performed.back().action, "traffic.restore");
  story.done("8", "ready", "ready");
  EXPECT_EQ(story.node("a").admin, Admin::InService);
}

TEST(Limits, HoldForANodeWhoseIsolationIsInDoubt) {
  EngineStory story(story_spec({"a", "b", "c"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.tell(command::Cancel{.run = story.last_run().id, .by = "ann"});
  story.pass(minutes(1));  // its host never answers: done, or not?
  ASSERT_EQ(story.last_run().state, RunState::Cancelled);
  ASSERT_TRUE(story.node("a").isolation_in_doubt);
  story.tell(command::Isolate{.node = "b", .by = "ann", .reason = "work", .force = true});
  story.done("7", "ready", "maint");
  const std::size_t before = story.performed.size();
  const ClientAnswer answer = story.tell(command::Isolate{.node = "a", .by = "ann"});
  EXPECT_FALSE(answer.ok);
  EXPECT_EQ(answer.text, "max_isolated: 1 of at most 1 already out");
  EXPECT_EQ(story.performed.size(), before);
}

TEST(Breaker, OfABuiltInPlaybookIsOfOneServiceAlone) {
  Spec spec = story_spec({"a", "b", "c", "d", "e"});
  spec.services[0].max_isolated = 4;
  ServiceSpec other = spec.services[0];
  other.name = "other";
  other.nodes = {other.nodes[0], other.nodes[1]};
  other.nodes[0].name = "x";
  other.nodes[1].name = "y";
  spec.services.push_back(other);
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  for (const char* node : {"a", "b", "c"}) {
    story.all_say(node, Verdict::Down, Outcome::Refused);
    for (int attempt = 0; attempt < 3; ++attempt) {
      story.answers(TaskState::Failed, "no such socket");
      story.pass(seconds(2));
    }
  }
  const std::size_t before = story.performed.size();
  story.all_say("x", Verdict::Down, Outcome::Refused);
  ASSERT_GT(story.performed.size(), before);
  EXPECT_EQ(text_option(story.performed.back().input, "server"), "a") << "x is called a there";
}

}  // namespace
}  // namespace fettle::core
