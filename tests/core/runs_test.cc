// Stories of runs whose steps fail: what is tried again, when, and what is only told.
#include <gtest/gtest.h>

#include <set>

#include "core/limits.h"
#include "tests/support/engine_story.h"

namespace fettle::core {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

/// A playbook that goes on when its isolation failed.
Spec goes_on() {
  Spec spec = story_spec({"a", "b", "c"});
  spec.services[0].builtin = false;
  PlaybookSpec playbook;
  playbook.name = "out";
  playbook.mode = Mode::Enforce;
  StepSpec isolate;
  isolate.id = "switch";
  isolate.action = "traffic.isolate";
  isolate.on_failure = OnFailure::Continue;
  StepSpec tell;
  tell.id = "tell";
  tell.action = "notify.send";
  tell.input = {{"receiver", std::string("oncall")}, {"text", std::string("${node.name}")}};
  playbook.steps = {isolate, tell};
  spec.playbooks = {playbook};
  return spec;
}

std::size_t attempts(const EngineStory& story) { return story.performed.size(); }

TEST(Runs, AnIsolationThatFailedPausesTheNextRunAlsoWhenTheRunWentOn) {
  EngineStory story(goes_on());
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  ASSERT_EQ(attempts(story), 1U);
  story.answers(TaskState::Failed, "no such socket");
  EXPECT_EQ(story.last_run().state, RunState::Succeeded);
  EXPECT_EQ(attempts(story), 1U) << "the next run does not follow on its heels";
  story.pass(kFailurePause - seconds(1));
  EXPECT_EQ(attempts(story), 1U);
  story.pass(seconds(1));
  EXPECT_EQ(attempts(story), 2U) << "the node is still in service: it is tried again";
}

TEST(Runs, ThreeIsolationsThatFailedOpenTheBreakerAlsoWhenTheRunsWentOn) {
  EngineStory story(goes_on());
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  for (int i = 0; i < 10; ++i) {
    if (!is_over(story.last_run().state)) story.answers(TaskState::Failed, "no such socket");
    story.pass(kFailurePause * 4);
  }
  EXPECT_EQ(attempts(story), 3U);
  ASSERT_FALSE(story.last_incident().blocked_by.empty());
  EXPECT_NE(story.last_incident().blocked_by.front().find("the breaker of out is open"),
            std::string::npos);
  story.pass(hours(1));
  EXPECT_EQ(attempts(story), 4U);
}

TEST(Reflex, ADirectorThatIsAwayForHoursIsAskedEveryMinuteAndPeopleAreToldOnce) {
  EngineStory story(story_spec({"a", "b"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  std::set<RunId> runs;
  for (int second = 0; second < 3 * 3600; ++second) {
    if (!is_over(story.last_run().state)) story.answers(TaskState::Unreachable, "no such socket");
    runs.insert(story.last_run().id);
    story.pass(seconds(1));
  }
  EXPECT_GT(runs.size(), 150U);
  EXPECT_LE(story.last_incident().runs.size(), kIncidentRunsMax);
  std::size_t told = 0;
  for (const std::string& alert : story.outbox()) {
    if (alert.find("escalated") != std::string::npos) ++told;
  }
  EXPECT_EQ(told, 1U);

  story.pass(kReflexPauseMax);
  ASSERT_FALSE(is_over(story.last_run().state));
  story.done("7", "ready", "maint");
  EXPECT_EQ(story.node("a").admin, Admin::Isolated) << "it is back, and the dead node is out";
}

}  // namespace
}  // namespace fettle::core
