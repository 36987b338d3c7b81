// Members that are lost and come back: who observes then, whose word counts, what is done on a dead
// host, and who is told.
#include "core/liveness.h"

#include <gtest/gtest.h>

#include "core/attempts.h"
#include "core/limits.h"
#include "core/runs.h"
#include "core/verdicts.h"
#include "tests/support/engine_story.h"

namespace fettle::core {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

EngineStory group_of(std::vector<std::string> members, Spec spec = story_spec({"a", "b"})) {
  EngineStory story(std::move(spec), std::move(members));
  story.raise();
  return story;
}

void lose(EngineStory& story, const std::string& member) {
  story.tell(command::MemberLost{member, "no link"});
}

bool observes(const EngineStory& story, const std::string& member, const std::string& node) {
  const auto& observers = story.node(node).observers;
  return std::ranges::find(observers, member) != observers.end();
}

TEST(Liveness, ALostMemberObservesNothingAndItsOpinionsDoNotCount) {
  EngineStory story = group_of({"m1", "m2", "m3"});
  story.everything_is_healthy();
  story.says("m3", "a", Verdict::Down, Outcome::Refused);
  lose(story, "m3");
  EXPECT_FALSE(observes(story, "m3", "a"));
  EXPECT_FALSE(story.node("a").opinions.contains("m3"));
  story.says("m3", "a", Verdict::Down, Outcome::Refused);
  story.says("m2", "a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.node("a").verdict, Verdict::Healthy) << "one live observer of two";
  story.says("m1", "a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.node("a").reason, "2 of 2 observers: refused");
}

TEST(Liveness, TheOthersKeepTheirOpinionsAndANewOneCountsFromItsOwn) {
  EngineStory story = group_of({"m1", "m2", "m3", "m4"});
  story.everything_is_healthy();
  const std::vector<std::string> before = story.node("a").observers;
  const std::string gone = before[0] == "m1" ? before[1] : before[0];
  lose(story, gone);
  std::string joined;
  for (const std::string& observer : story.node("a").observers) {
    if (std::ranges::find(before, observer) == before.end()) joined = observer;
  }
  ASSERT_FALSE(joined.empty());
  EXPECT_EQ(story.node("a").opinions.size(), 2U);
  EXPECT_EQ(story.node("a").verdict, Verdict::Healthy);
  EXPECT_FALSE(is_stale(story.engine.state(), story.node("a"))) << "two of three still say so";

  Opinion early{.node = "a",
                .watch_revision = story.node("a").watch_revision,
                .sequence = 999,
                .classes = {{FaultClass::Reachability, Verdict::Down, Outcome::Refused}}};
  story.tell(command::ReportOpinions{joined, "i-" + joined, {early}});
  EXPECT_FALSE(story.node("a").opinions.contains(joined)) << "formed before it was an observer";
  for (const Watch& watch : story.engine.watches(joined)) {
    if (watch.node == "a") early.watch_revision = watch.revision;
  }
  story.tell(command::ReportOpinions{joined, "i-" + joined, {early}});
  EXPECT_TRUE(story.node("a").opinions.contains(joined));
  EXPECT_EQ(story.node("a").verdict, Verdict::Healthy) << "alone it changes nothing";
}

TEST(Liveness, AMemberThatIsBackStartsAnewWithItsOpinions) {
  EngineStory story = group_of({"m1", "m2", "m3"});
  story.everything_is_healthy();
  const std::uint64_t before = watch_revision_of(story.engine.state(), "a", "m3");
  lose(story, "m3");
  story.tell(command::MemberBack{"m3"});
  EXPECT_TRUE(observes(story, "m3", "a"));
  EXPECT_FALSE(story.node("a").opinions.contains("m3"));
  EXPECT_GT(watch_revision_of(story.engine.state(), "a", "m3"), before);
  EXPECT_EQ(watch_revision_of(story.engine.state(), "a", "m1"), before);
  story.says("m3", "a", Verdict::Healthy);
  EXPECT_EQ(story.node("a").opinions.size(), 3U);
}

TEST(Liveness, AQuorumIsNeverOneUnlessTheGroupOrTheServiceAsksForOne) {
  EngineStory story = group_of({"m1", "m2", "m3"});
  story.everything_is_healthy();
  lose(story, "m2");
  lose(story, "m3");
  EXPECT_EQ(story.node("a").observers, std::vector<std::string>{"m1"});
  story.says("m1", "a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.node("a").verdict, Verdict::Healthy) << "a lone verdict is none";
  EXPECT_TRUE(story.performed.empty());

  Spec lone = story_spec({"a", "b"});
  lone.services[0].observers = 1;
  EngineStory asked = group_of({"m1", "m2", "m3"}, std::move(lone));
  asked.everything_is_healthy();
  asked.all_say("a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(asked.node("a").reason, "1 of 1 observers: refused (lone observer)");

  EngineStory alone = group_of({"m1"});
  alone.everything_is_healthy();
  alone.all_say("a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(alone.node("a").verdict, Verdict::Down);
}

TEST(Liveness, AVerdictThatNoQuorumHasAViewOnStandsButAllowsNoRestore) {
  EngineStory story = group_of({"m1", "m2", "m3", "m4", "m5", "m6"});
  story.everything_is_healthy();
  story.tell(command::Isolate{.node = "a", .by = "ann"});
  story.done("7", "ready", "drain");
  ASSERT_EQ(story.node("a").admin, Admin::Isolated);
  const std::vector<std::string> before = story.node("a").observers;
  for (const std::string& observer : before) {
    if (observer != "m1") lose(story, observer);
  }
  EXPECT_EQ(story.node("a").verdict, Verdict::Healthy);
  EXPECT_TRUE(is_stale(story.engine.state(), story.node("a")));
  const ClientAnswer refused = story.tell(command::Restore{.node = "a", .by = "ann"});
  EXPECT_EQ(
      refused.text,
      "its verdict is an old one: its observers changed and no quorum of them has a view yet");
  story.all_say("a", Verdict::Healthy);
  EXPECT_FALSE(is_stale(story.engine.state(), story.node("a")));
  EXPECT_TRUE(story.tell(command::Restore{.node = "a", .by = "ann"}).ok);
}

TEST(Liveness, FettleRestoresOnlyOnceAQuorumOfTheNewObserversSaysHealthy) {
  EngineStory story = group_of({"m1", "m2", "m3", "m4", "m5", "m6"});
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.done("7", "ready", "maint");
  story.tell(command::Freeze{.length = seconds(10), .by = "ann"});
  story.all_say("a", Verdict::Healthy);
  const std::vector<std::string> before = story.node("a").observers;
  for (const std::string& observer : before) {
    if (observer != "m1") lose(story, observer);
  }
  story.pass(seconds(11));
  EXPECT_EQ(story.performed.size(), 1U) << "thawed, but nobody has looked";
  story.all_say("a", Verdict::Healthy);
  ASSERT_EQ(story.performed.size(), 2U);
  EXPECT_EQ(story.performed.back().action, "traffic.restore");
}

TEST(Liveness, FettleTakesNoNodeOutByAVerdictThatNoQuorumOfNowHasAViewOn) {
  EngineStory story = group_of({"m1", "m2", "m3", "m4", "m5", "m6"});
  story.everything_is_healthy();
  story.tell(command::Freeze{.length = seconds(10), .by = "ann"});
  story.all_say("a", Verdict::Down, Outcome::Refused);
  const std::vector<std::string> before = story.node("a").observers;
  for (const std::string& observer : before) {
    if (observer != "m1") lose(story, observer);
  }
  story.tell(command::MemberLost{"m1", "no link"});
  story.tell(command::MemberBack{"m1"});
  EXPECT_EQ(story.node("a").verdict, Verdict::Down);
  EXPECT_EQ(story.node("a").reason.find("0 of"), std::string::npos) << story.node("a").reason;
  story.pass(seconds(11));
  EXPECT_TRUE(story.performed.empty()) << "thawed, but nobody of now has looked";
  story.all_say("a", Verdict::Down, Outcome::Refused);
  EXPECT_EQ(story.performed.size(), 1U);
}

TEST(Liveness, OneObserverIsAlwaysAtTheServicesDirectorWhoeverOfThemLives) {
  std::vector<std::string> members;
  for (int i = 1; i <= 12; ++i) members.push_back("m" + std::to_string(i));
  Spec spec = story_spec({"a", "b", "c", "d"});
  spec.services[0].traffic.hosts = {"m7", "m8"};
  EngineStory story = group_of(members, std::move(spec));
  for (const std::string node : {"a", "b", "c", "d"}) EXPECT_TRUE(observes(story, "m7", node));
  lose(story, "m7");
  for (const std::string node : {"a", "b", "c", "d"}) EXPECT_TRUE(observes(story, "m8", node));
}

TEST(Liveness, ALostMemberIsAnIncidentOfFettleUntilItIsBack) {
  EngineStory story = group_of({"m1", "m2", "m3"});
  lose(story, "m3");
  EXPECT_EQ(story.last_incident().service, "fettle");
  EXPECT_EQ(story.last_incident().reason, "member m3 is lost: no link");
  EXPECT_EQ(story.outbox().size(), 1U);
  lose(story, "m3");
  EXPECT_EQ(story.engine.state().incidents.size(), 1U) << "twice is once";
  story.tell(command::ApplySpec{.spec = story_spec({"a", "b", "c"}), .by = "ann"});
  EXPECT_FALSE(story.last_incident().resolved_at.has_value()) << "the spec has no part in it";
  story.tell(command::MemberBack{"m3"});
  EXPECT_TRUE(story.last_incident().resolved_at.has_value());
  EXPECT_EQ(story.outbox().size(), 2U);
}

TEST(Liveness, TheLastLiveMemberCannotBeLostNorOneThatIsNone) {
  EngineStory story = group_of({"m1", "m2"});
  lose(story, "m2");
  EXPECT_EQ(story.tell(command::MemberLost{"m1", "no link"}).code, Code::Conflict);
  EXPECT_EQ(story.tell(command::MemberLost{"m9", "no link"}).code, Code::NotFound);
  EXPECT_EQ(live_members(story.engine.state()), std::vector<std::string>{"m1"});
}

/// A program on m2, then the isolation at the director on m1.
Spec program_spec() {
  Spec spec = story_spec({"a", "b"});
  StepSpec program{.id = "heal", .action = "exec.run", .on = "m2", .timeout = seconds(30)};
  program.input["command"] = std::vector<std::string>{"/usr/bin/heal"};
  program.retry = {.count = 2, .delay = seconds(1), .backoff_permille = 1000};
  PlaybookSpec playbook{.name = "heal", .mode = Mode::Enforce, .steps = {program}};
  playbook.trigger.verdict = Verdict::Degraded;
  spec.playbooks.push_back(playbook);
  return spec;
}

void allow_program(EngineStory& story) {
  MemberFacts facts = story.engine.state().members.at("m2");
  facts.allow["exec"] = {"/usr/bin/*"};
  story.tell(command::SetFacts{facts});
}

TEST(HostDead, AStepOnALostHostFailsAtOnce) {
  EngineStory story = group_of({"m1", "m2", "m3"}, program_spec());
  allow_program(story);
  story.everything_is_healthy();
  lose(story, "m2");
  story.all_say("a", Verdict::Degraded, Outcome::Slow);
  EXPECT_TRUE(story.performed.empty());
  EXPECT_EQ(story.last_run().state, RunState::Failed);
  EXPECT_EQ(story.last_run().reason, "host_dead: m2 is lost");
}

TEST(HostDead, AnAttemptUnderWayIsClosedOnlyByItsDeadlineAndAMargin) {
  EngineStory story = group_of({"m1", "m2", "m3"}, program_spec());
  allow_program(story);
  story.everything_is_healthy();
  story.all_say("a", Verdict::Degraded, Outcome::Slow);
  ASSERT_EQ(story.performed.size(), 1U);
  lose(story, "m2");
  story.pass(seconds(30));
  EXPECT_EQ(story.last_run().steps[0].tasks[0].state, TaskState::Open)
      << "it may be alive and at it: a link is no proof";
  story.pass(kTaskMargin);
  EXPECT_EQ(story.last_run().steps[0].tasks[0].state, TaskState::Expired);
  EXPECT_EQ(story.last_run().state, RunState::Failed);
  EXPECT_EQ(story.performed.size(), 1U) << "nobody knows whether it ran: it is not run again";
}

TEST(HostDead, ADirectorOnALostHostIsLeftPendingAndBroughtThereAtItsReturn) {
  Spec spec = story_spec({"a", "b"});
  spec.services[0].traffic.hosts = {"m1", "m2"};
  EngineStory story = group_of({"m1", "m2", "m3"}, std::move(spec));
  story.everything_is_healthy();
  lose(story, "m2");
  story.all_say("a", Verdict::Down, Outcome::Refused);
  ASSERT_EQ(story.performed.size(), 1U) << "one act, at the director that lives";
  EXPECT_EQ(story.performed[0].key.host, "m1");
  story.done("7", "ready", "maint");
  EXPECT_EQ(story.node("a").admin, Admin::Isolated);
  EXPECT_EQ(story.node("a").pending_hosts, std::set<std::string>{"m2"});
  story.tell(command::MemberBack{"m2"});
  story.sees("m2", "9", {{"a", ServerAdmin::Ready}, {"b", ServerAdmin::Ready}});
  ASSERT_EQ(story.performed.size(), 2U);
  EXPECT_EQ(story.performed.back().key.host, "m2");
}

TEST(HostDead, ANodeThatADirectorStillHoldsOutAtItsReturnCountsAsOutUntilItIsBroughtBack) {
  using enum ServerAdmin;
  Spec spec = story_spec({"a", "b", "c"});
  spec.services[0].traffic.hosts = {"m1", "m2"};
  EngineStory story = group_of({"m1", "m2", "m3"}, std::move(spec));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  for (const char* host : {"m1", "m2"}) {
    story.host_answers(host, TaskState::Done,
                       {{"pid", std::string("7")}, {"set", std::string("maint")}});
    story.sees(host, "7", {{"a", Maint}, {"b", Ready}, {"c", Ready}});
  }
  ASSERT_EQ(story.node("a").admin, Admin::Isolated);
  lose(story, "m2");
  story.all_say("a", Verdict::Healthy);
  story.host_answers("m1", TaskState::Done, {{"pid", std::string("7")}});
  ASSERT_EQ(story.node("a").admin, Admin::InService);
  ASSERT_EQ(story.node("a").pending_hosts, std::set<std::string>{"m2"});
  EXPECT_TRUE(why_not_isolate(story.engine.state(), "b").empty())
      << "a director out of reach holds nothing up";
  story.tell(command::MemberBack{"m2"});
  const auto reasons = why_not_isolate(story.engine.state(), "b");
  ASSERT_FALSE(reasons.empty()) << "m2's director would have two nodes out";
  EXPECT_NE(reasons.front().find("max_isolated"), std::string::npos) << reasons.front();
}

TEST(HostDead, WithEveryDirectorsHostLostTheIsolationFailsAndSaysWhy) {
  EngineStory story = group_of({"m1", "m2", "m3"});
  story.everything_is_healthy();
  lose(story, "m1");
  story.all_say("a", Verdict::Down, Outcome::Refused);
  EXPECT_TRUE(story.performed.empty());
  EXPECT_EQ(story.last_run().reason, "host_dead: m1 is lost");
  EXPECT_EQ(story.node("a").admin, Admin::InService);
}

TEST(Agents, JoinByTheirFactsAndObserveButDecideNoLevel) {
  EngineStory story(story_spec({"a", "b"}), {"m1", "m2"});
  MemberFacts agent{.name = "edge", .incarnation = "i-edge", .level = 1, .role = MemberRole::Agent};
  EXPECT_EQ(story.tell(command::SetFacts{agent}).code, Code::NotFound) << "below level 2";
  story.raise();
  EXPECT_TRUE(story.tell(command::SetFacts{agent}).ok);
  EXPECT_EQ(story.engine.state().level, 2U);
  EXPECT_EQ(why_not_level(story.engine.state(), 2), std::nullopt);
  EXPECT_TRUE(observes(story, "edge", "a"));
  story.everything_is_healthy();
  EXPECT_EQ(story.node("a").opinions.size(), 3U);
  lose(story, "edge");
  EXPECT_FALSE(observes(story, "edge", "a"));
}

}  // namespace
}  // namespace fettle::core
