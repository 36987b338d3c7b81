#include <gtest/gtest.h>

#include "core/codec.h"
#include "tests/support/engine_story.h"

namespace fettle::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(Engine, OneObserverAloneNeverMakesANodeDown) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.says("m1", "a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.node("a").verdict, Verdict::Healthy);
  EXPECT_TRUE(story.performed.empty());
}

TEST(Engine, AQuorumMakesItDownAndTheSameEntryStartsTheIsolation) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.says("m1", "a", Verdict::Down, Outcome::Refused);
  story.says("m3", "a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.node("a").verdict, Verdict::Down);
  EXPECT_EQ(story.node("a").reason, "2 of 3 observers: refused");
  EXPECT_EQ(story.events(), (std::vector<std::string>{"verdict.changed", "incident.opened",
                                                      "run.started", "step.started"}));
  ASSERT_EQ(story.performed.size(), 1U);
  EXPECT_EQ(story.performed[0].action, "traffic.isolate");
  EXPECT_EQ(story.performed[0].key.host, "m1");
  EXPECT_EQ(text_option(story.performed[0].input, "server"), "a");
  EXPECT_EQ(story.outbox(), std::vector<std::string>{"test/1/firing/1"});
}

TEST(Engine, TheNodeComesBackWhenItIsHealthyAndTheIncidentCloses) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.done("7", "ready", "maint");
  EXPECT_EQ(story.node("a").admin, Admin::Isolated);
  EXPECT_TRUE(story.last_incident().isolated_at.has_value());
  story.all_say("a", Verdict::Healthy);
  ASSERT_EQ(story.performed.back().action, "traffic.restore");
  EXPECT_EQ(text_option(story.performed.back().input, "pid"), "7");
  story.now = story.now + seconds(3);
  story.answers(TaskState::Done, "ready");
  EXPECT_EQ(story.node("a").admin, Admin::InService);
  EXPECT_TRUE(story.last_incident().resolved_at.has_value());
  EXPECT_GE(story.last_incident().mttr_ms.value_or(0), 3000);
  EXPECT_EQ(story.outbox(), (std::vector<std::string>{"test/1/firing/1", "test/1/resolved/1"}));
}

TEST(Engine, AbsenceOfObserversChangesNoVerdict) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.says("m1", "a", Verdict::Unknown, Outcome::CannotProbe);
  story.says("m2", "a", Verdict::Unknown, Outcome::CannotProbe);
  story.pass(minutes(10));
  EXPECT_EQ(story.node("a").verdict, Verdict::Healthy);
}

TEST(Engine, AnOpinionOfAnotherIncarnationOrRevisionDoesNotCount) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  Opinion opinion{.node = "a",
                  .watch_revision = story.node("a").watch_revision,
                  .sequence = 999,
                  .classes = {{FaultClass::Reachability, Verdict::Down, Outcome::Refused}}};
  story.tell(command::ReportOpinions{"m1", "somebody-else", {opinion}});
  story.says("m2", "a", Verdict::Down, Outcome::Refused);
  opinion.watch_revision += 1;
  story.tell(command::ReportOpinions{"m3", "i-m3", {opinion}});
  EXPECT_EQ(story.node("a").verdict, Verdict::Healthy);
}

TEST(Engine, TheLastNodeInServiceIsNeverIsolated) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.answers(TaskState::Done);
  story.all_say("b", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.performed.size(), 1U);
  EXPECT_EQ(story.node("b").admin, Admin::InService);
  ASSERT_FALSE(story.last_incident().blocked_by.empty());
  EXPECT_EQ(story.last_incident().blocked_by[0], "last_node: it is the last node in service");
}

TEST(Engine, MaxIsolatedHoldsTheSecondIsolationUntilTheFirstIsBack) {
  EngineStory story(story_spec({"a", "b", "c"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.answers(TaskState::Done);
  story.all_say("b", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.performed.size(), 1U);
  EXPECT_EQ(story.last_incident().blocked_by[0], "max_isolated: 1 of at most 1 already out");
  story.all_say("a", Verdict::Healthy);
  ASSERT_EQ(story.performed.back().action, "traffic.restore");
  story.answers(TaskState::Done);
  EXPECT_EQ(story.performed.back().action, "traffic.isolate");
  EXPECT_EQ(text_option(story.performed.back().input, "server"), "b");
}

TEST(Engine, AnIsolationUnderWayCountsAgainstTheLimitBeforeItsHostAnswered) {
  EngineStory story(story_spec({"a", "b", "c"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.all_say("b", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.performed.size(), 1U);
}

TEST(Engine, MoreThanHalfDownAtOnceByTimeoutIsAPanicAndHoldsEverything) {
  Spec spec = story_spec({"a", "b", "c"});
  spec.services[0].max_isolated = 3;
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.tell(command::Freeze{.length = seconds(10), .by = "test"});
  story.all_say("a", Verdict::Down, Outcome::Timeout);
  story.all_say("b", Verdict::Down, Outcome::Timeout);
  story.pass(seconds(11));
  EXPECT_TRUE(story.performed.empty());
  EXPECT_NE(story.node("b").incident, std::nullopt);
  story.all_say("a", Verdict::Healthy);
  story.all_say("b", Verdict::Healthy);
  EXPECT_FALSE(story.engine.state().panics.at("chat").incident.has_value());
}

TEST(Engine, AFreezeHoldsTheIsolationAndItsEndLetsItGo) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.tell(command::Freeze{.length = minutes(1), .by = "ann", .reason = "trial"});
  story.all_say("a", Verdict::Down, Outcome::Refused);
  EXPECT_TRUE(story.performed.empty());
  EXPECT_NE(story.last_incident().blocked_by[0].find("by ann: trial"), std::string::npos);
  EXPECT_EQ(story.engine.next_wake(), story.now + minutes(1));
  story.pass(minutes(1));
  EXPECT_EQ(story.performed.size(), 1U);
}

TEST(Engine, ARelapseWhileRestoringIsolatesAgainOnceTheRestoreIsClosed) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.answers(TaskState::Done);
  story.all_say("a", Verdict::Healthy);
  ASSERT_EQ(story.performed.back().action, "traffic.restore");
  story.all_say("a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.performed.back().action, "traffic.restore");
  story.answers(TaskState::Done);
  EXPECT_EQ(story.performed.back().action, "traffic.isolate");
  story.answers(TaskState::Done);
  EXPECT_EQ(story.node("a").relapses, 1U);
  story.all_say("a", Verdict::Healthy);
  EXPECT_EQ(story.performed.back().action, "traffic.isolate") << "held down after the relapse";
  story.pass(seconds(6));
  EXPECT_EQ(story.performed.back().action, "traffic.restore");
}

TEST(Engine, AnyEntryThatPassesADueTimeLetsItHappen) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.tell(command::Freeze{.length = minutes(1), .by = "ann"});
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.now = story.now + minutes(2);
  story.tell(command::AlertFinished{"test/1/firing/1", true, ""});
  EXPECT_EQ(story.performed.size(), 1U);
}

/// What is held down is due no more once that time is over: the leader would never be woken for it.
TEST(Engine, ARepeatedCommandThatPassesADueTimeWakesTheLeader) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.answers(TaskState::Done);
  story.all_say("a", Verdict::Healthy);
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.answers(TaskState::Done);
  story.answers(TaskState::Done);
  story.tell(command::Unfreeze{.service = "chat", .by = "ann"}, "once");
  story.all_say("a", Verdict::Healthy);
  ASSERT_EQ(story.performed.back().action, "traffic.isolate") << "held down after the relapse";
  story.now = story.now + seconds(6);
  story.tell(command::Unfreeze{.service = "chat", .by = "ann"}, "once");
  EXPECT_EQ(story.performed.back().action, "traffic.isolate") << "a repetition decides nothing";
  EXPECT_LE(story.engine.next_wake(), story.now);
  story.tell(command::Wake{});
  EXPECT_EQ(story.performed.back().action, "traffic.restore");
  EXPECT_GT(story.engine.next_wake(), story.now);
}

TEST(Engine, ARestoreInDoubtIsTakenBackWhenTheNodeIsNotHealthyAnyMore) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.answers(TaskState::Done);
  story.all_say("a", Verdict::Healthy);
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.answers(TaskState::InDoubt, "restarted in between");
  ASSERT_EQ(story.performed.back().action, "traffic.isolate");
  EXPECT_EQ(story.last_run().playbook.name, "builtin-reassert");
  story.answers(TaskState::Done);
  EXPECT_FALSE(story.node("a").restoration_in_doubt);
}

TEST(Engine, AnIsolationInDoubtOfANodeThatIsHealthyAgainIsTakenBack) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  for (int attempt = 0; attempt < 3; ++attempt) {
    story.answers(TaskState::InDoubt, "no telling");
    story.pass(seconds(1));
  }
  EXPECT_TRUE(story.node("a").isolation_in_doubt);
  story.all_say("a", Verdict::Healthy);
  ASSERT_EQ(story.performed.back().action, "traffic.restore");
  EXPECT_FALSE(story.last_incident().resolved_at.has_value());
  story.answers(TaskState::Done);
  EXPECT_TRUE(story.last_incident().resolved_at.has_value());
}

TEST(Engine, AskingTwiceForAnIsolationIsOneRun) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  const ClientAnswer first = story.tell(command::Isolate{"a", "ann", ""});
  const ClientAnswer second = story.tell(command::Isolate{"a", "ann", ""});
  EXPECT_EQ(first.number, second.number);
  EXPECT_EQ(story.performed.size(), 1U);
}

TEST(Engine, AFailedAttemptIsRetriedAfterItsDelayUnderAnotherKey) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.answers(TaskState::Failed, "no such socket");
  EXPECT_EQ(story.performed.size(), 1U);
  story.pass(milliseconds(200));
  ASSERT_EQ(story.performed.size(), 2U);
  EXPECT_EQ(story.performed[1].key.attempt, 2U);
  EXPECT_GT(story.performed[1].fence.index, story.performed[0].fence.index);
}

TEST(Engine, AHostThatNeverAnswersIsClosedOnlyAfterItsDeadlineAndAMargin) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.pass(seconds(6));
  EXPECT_EQ(story.performed.size(), 1U);
  story.pass(seconds(1));
  EXPECT_EQ(story.last_run().steps[0].tasks[0].state, TaskState::Expired);
  story.pass(milliseconds(200));
  EXPECT_EQ(story.performed.size(), 2U);
}

TEST(Engine, ALateAnswerToAClosedAttemptIsToldAndNotApplied) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  const TaskKey late = story.performed[0].key;
  story.pass(seconds(7));
  story.pass(milliseconds(200));
  story.tell(command::TaskFinished{late, {TaskState::Done, "maint", {}}});
  EXPECT_EQ(story.node("a").admin, Admin::InService);
  EXPECT_EQ(story.last_run().state, RunState::Running);
}

TEST(Engine, AFailedRunLeavesTheIncidentOpenEscalatesAndPausesBeforeTheNext) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.answers(TaskState::Failed, "no");
  story.pass(milliseconds(200));
  story.answers(TaskState::Failed, "no");
  story.pass(milliseconds(400));
  story.answers(TaskState::Failed, "no");
  EXPECT_EQ(story.last_run().state, RunState::Failed);
  EXPECT_FALSE(story.last_incident().resolved_at.has_value());
  EXPECT_EQ(story.outbox(), (std::vector<std::string>{"test/1/escalated-1/1", "test/1/firing/1"}));
  story.pass(seconds(29));
  EXPECT_EQ(story.performed.size(), 3U);
  story.pass(seconds(2));
  EXPECT_EQ(story.performed.size(), 4U);
}

TEST(Engine, APlaybookTakesTheVerdictInsteadOfTheBuiltInOneAndSetsTheAlertsText) {
  Spec spec = story_spec({"a", "b"});
  PlaybookSpec playbook;
  playbook.name = "replace";
  playbook.mode = Mode::Enforce;
  playbook.steps = {{.id = "switch", .action = "traffic.isolate"},
                    {.id = "tell",
                     .action = "notify.send",
                     .input = {{"receiver", std::string("oncall")},
                               {"text", std::string("${node.name} fell: ${incident.reason}")}}},
                    {.id = "back", .action = "wait.healthy", .timeout = minutes(10)},
                    {.id = "return", .action = "traffic.restore"}};
  spec.playbooks.push_back(playbook);
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.last_run().playbook.name, "replace");
  EXPECT_EQ(story.engine.state().outbox.begin()->second.text, "a fell: 2 of 3 observers: refused");
  story.answers(TaskState::Done);
  EXPECT_EQ(story.last_run().steps[2].state, StepState::Waiting);
  story.all_say("a", Verdict::Healthy);
  EXPECT_EQ(story.performed.back().action, "traffic.restore");
  story.answers(TaskState::Done);
  EXPECT_EQ(story.last_run().state, RunState::Succeeded);
  EXPECT_TRUE(story.last_incident().resolved_at.has_value());
  EXPECT_EQ(story.engine.state().outbox.size(), 2U) << "one firing, one resolved";
}

TEST(Engine, ObserveModeWritesDownWhatItWouldDoAndTheBuiltInOneActs) {
  Spec spec = story_spec({"a", "b"});
  PlaybookSpec playbook;
  playbook.name = "watch-only";
  playbook.mode = Mode::Observe;
  playbook.steps = {{.id = "switch", .action = "traffic.isolate"}};
  spec.playbooks.push_back(playbook);
  EngineStory story(std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  const auto& runs = story.engine.state().runs;
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs.begin()->second.steps[0].state, StepState::Would);
  EXPECT_EQ(runs.rbegin()->second.playbook.name, "builtin-isolate");
  EXPECT_EQ(story.performed.size(), 1U);
}

TEST(Engine, FailuresDoNotCountInTheStartPeriodUntilItHasPassedOnce) {
  Spec spec = story_spec({"a", "b"});
  spec.services[0].probes[0].start_period = minutes(15);
  EngineStory story(std::move(spec));
  story.all_say("a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.node("a").verdict, Verdict::Unknown);
  story.all_say("a", Verdict::Healthy);
  story.all_say("b", Verdict::Healthy);
  story.all_say("a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.node("a").verdict, Verdict::Down);
}

TEST(Engine, TheStartPeriodEndsByTheClockToo) {
  Spec spec = story_spec({"a", "b"});
  spec.services[0].probes[0].start_period = minutes(15);
  EngineStory story(std::move(spec));
  story.all_say("a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.engine.next_wake(), story.node("a").start_until);
  story.pass(minutes(15));
  EXPECT_EQ(story.node("a").verdict, Verdict::Down);
}

TEST(Engine, APersonsIsolationIsHeldToTheLimitsUnlessForced) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.tell(command::Isolate{"a", "ann", "patching"});
  story.answers(TaskState::Done);
  EXPECT_EQ(story.node("a").owner, Owner::Person);
  const ClientAnswer refused = story.tell(command::Isolate{"b", "ann", ""});
  EXPECT_FALSE(refused.ok);
  EXPECT_EQ(refused.code, Code::Conflict);
  EXPECT_TRUE(story.tell(command::Isolate{"b", "ann", "", true}).ok);
}

TEST(Engine, WhatAPersonIsolatedFettleDoesNotRestore) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.tell(command::Isolate{"a", "ann", ""});
  story.answers(TaskState::Done);
  story.pass(minutes(10));
  EXPECT_EQ(story.performed.size(), 1U);
  story.tell(command::Restore{"a", "ann", ""});
  EXPECT_EQ(story.performed.back().action, "traffic.restore");
  story.answers(TaskState::Done);
  EXPECT_EQ(story.node("a").admin, Admin::InService);
}

TEST(Engine, ARestoreOfANodeThatIsNotHealthyIsRefused) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.answers(TaskState::Done);
  const ClientAnswer answer = story.tell(command::Restore{"a", "ann", ""});
  EXPECT_EQ(answer.code, Code::Conflict);
  EXPECT_EQ(story.node("a").admin, Admin::Isolated);
}

TEST(Engine, TheSameClientKeyIsAnsweredOnceAndAppliedOnce) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  const ClientAnswer first = story.tell(command::Isolate{"a", "ann", ""}, "key-1");
  const ClientAnswer again = story.tell(command::Isolate{"a", "ann", ""}, "key-1");
  EXPECT_EQ(first.text, again.text);
  EXPECT_EQ(story.performed.size(), 1U);
}

TEST(Engine, ASpecThatWouldDeleteIsRefusedWithoutPruneAndTheOldRevisionStays) {
  EngineStory story(story_spec({"a", "b"}));
  const ClientAnswer answer = story.tell(command::ApplySpec{.spec = story_spec({"a"})});
  EXPECT_FALSE(answer.ok);
  EXPECT_EQ(answer.text, "this would delete node b: apply with --prune");
  EXPECT_EQ(story.engine.state().revision, 1U);
  EXPECT_TRUE(
      story.tell(command::ApplySpec{.spec = story_spec({"a"}), .removal = command::Removal::Prune})
          .ok);
  EXPECT_FALSE(story.engine.state().nodes.contains("b"));
}

TEST(Engine, ANewLeaderFindsTheOpenTaskAndTheUndeliveredAlert) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  const auto open = story.engine.outstanding();
  ASSERT_EQ(open.size(), 2U);
  EXPECT_EQ(std::get<effect::Perform>(open[0]).task.key, story.performed[0].key);
  EXPECT_EQ(std::get<effect::Deliver>(open[1]).key, "test/1/firing/1");
  story.tell(command::AlertFinished{"test/1/firing/1", true, ""});
  story.answers(TaskState::Done);
  EXPECT_TRUE(story.engine.outstanding().empty());
}

TEST(Engine, ALoneMemberDecidesAloneAndSaysSo) {
  EngineStory story(story_spec({"a", "b"}), {"m1"});
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.node("a").reason, "1 of 1 observers: refused (lone observer)");
  EXPECT_EQ(story.performed.size(), 1U);
}

TEST(Engine, TwoObserversMustAgree) {
  EngineStory story(story_spec({"a", "b"}), {"m1", "m2"});
  story.everything_is_healthy();
  story.says("m1", "a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.node("a").verdict, Verdict::Healthy);
  story.says("m2", "a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.node("a").verdict, Verdict::Down);
}

TEST(Engine, ADegradedNodeAlertsAfterTwoMinutesAndKeepsItsTraffic) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Degraded, Outcome::Slow);
  EXPECT_TRUE(story.outbox().empty());
  story.pass(minutes(2));
  EXPECT_EQ(story.outbox().size(), 1U);
  EXPECT_TRUE(story.performed.empty());
}

TEST(Engine, StateSurvivesItsBytes) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  const auto back = decode<State>(encode(story.engine.state()));
  ASSERT_TRUE(back.has_value()) << back.error().what;
  EXPECT_EQ(stable_hash(encode(*back)), story.engine.digest());
}

TEST(Engine, LogEntriesSurviveTheirBytesAndGarbageIsRefused) {
  const LogEntry entry{.stamp = Time{5},
                       .wall = WallTime{7},
                       .client = "c",
                       .command = command::Isolate{"a", "ann", "why", true}};
  const std::string bytes = encode_entry(entry);
  const auto back = decode_entry(bytes);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(std::get<command::Isolate>(back->command).reason, "why");
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_FALSE(decode_entry(std::string_view(bytes).substr(0, cut)).has_value());
  }
}

}  // namespace
}  // namespace fettle::core
