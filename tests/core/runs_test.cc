// Stories of runs whose steps fail: what is tried again, when, and what is only told.
#include <gtest/gtest.h>

#include "core/limits.h"
#include "tests/support/engine_story.h"

namespace fettle::core {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

/// A playbook that goes on when its isolation failed.
Spec goes_on() {
  Spec spec = story_spec({"a", "b", "c"});
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

}  // namespace
}  // namespace fettle::core
