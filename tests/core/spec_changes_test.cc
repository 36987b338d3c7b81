// Specs that change while runs are open: what is decided from then on keeps to the new one.
#include <gtest/gtest.h>

#include "tests/support/engine_story.h"

namespace fettle::core {
namespace {

Spec wider_spec(std::uint32_t max_isolated, const std::vector<std::string>& nodes) {
  Spec spec = story_spec(nodes);
  spec.services[0].max_isolated = max_isolated;
  return spec;
}

TEST(SpecChanges, AFurtherAttemptKeepsToTheLimitsOfNow) {
  EngineStory story(wider_spec(2, {"a", "b", "c", "d"}));
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.done("7", "ready", "maint");
  story.all_say("b", Verdict::Down, Outcome::Refused);
  ASSERT_EQ(story.performed.back().input.at("node"), Option("b"));
  story.tell(command::ApplySpec{.spec = wider_spec(1, {"a", "b", "c", "d"}), .by = "ann"});
  story.answers(TaskState::Failed, "no such server");
  const std::size_t before = story.performed.size();
  story.pass(std::chrono::seconds(1));
  EXPECT_EQ(story.performed.size(), before) << "a is out, and only one may be";
  const StepProgress& step = story.last_run().steps[0];
  EXPECT_EQ(step.state, StepState::Waiting);
  EXPECT_EQ(step.reason, "max_isolated: 1 of at most 1 already out");
  story.pass(std::chrono::seconds(10));
  EXPECT_EQ(story.last_run().state, RunState::Failed);
  EXPECT_EQ(story.node("b").admin, Admin::InService);
}

TEST(SpecChanges, InOneEntryWhatIsOutAtADirectorCountsBeforeAnythingIsDecided) {
  EngineStory story(wider_spec(1, {"a", "b", "c"}));
  story.everything_is_healthy();
  story.sees("m1", "7",
             {{"a", ServerAdmin::Ready}, {"b", ServerAdmin::Ready}, {"c", ServerAdmin::Ready}});
  story.tell(command::Freeze{.length = std::chrono::seconds(5), .by = "ann"});
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.now = story.now + std::chrono::seconds(6);  // the freeze ends with the next entry
  // That entry also tells that a person has taken c out, which stands behind a in the spec.
  story.sees("m1", "7",
             {{"a", ServerAdmin::Ready}, {"b", ServerAdmin::Ready}, {"c", ServerAdmin::Maint}});
  EXPECT_EQ(story.node("c").admin, Admin::Isolated);
  EXPECT_TRUE(story.performed.empty()) << "c is out, and only one may be";
}

TEST(SpecChanges, ARunActsAtNoHostThatIsNoDirectorAnyMore) {
  Spec both = wider_spec(1, {"a", "b", "c"});
  both.services[0].traffic.hosts = {"m1", "m2"};
  EngineStory story(both);
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.host_answers("m1", TaskState::Done, {{"pid", "7"}, {"found", "ready"}, {"set", "maint"}});
  story.host_answers("m2", TaskState::Done, {{"pid", "9"}, {"found", "ready"}, {"set", "maint"}});
  ASSERT_EQ(story.node("a").admin, Admin::Isolated);
  story.sees("m2", "10", {{"a", ServerAdmin::Ready}});  // restarted: a is asserted there again
  ASSERT_EQ(story.performed.back().key.host, "m2");
  ASSERT_EQ(story.last_run().playbook.name, "builtin-reassert");
  Spec moved = both;
  moved.services[0].traffic.hosts = {"m1"};
  story.tell(command::ApplySpec{.spec = moved, .by = "ann"});
  const std::size_t before = story.performed.size();
  story.answers(TaskState::Failed, "no such server");
  story.pass(std::chrono::seconds(1));
  EXPECT_EQ(story.performed.size(), before);
  EXPECT_EQ(story.last_run().reason, "m2 is no director any more");
}

TEST(SpecChanges, WhatALateAnswerTellsOfADirectorThatLeftTheSpecIsNotTakenForKnown) {
  Spec both = wider_spec(1, {"a", "b", "c"});
  both.services[0].traffic.hosts = {"m1", "m2"};
  EngineStory story(both);
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.host_answers("m1", TaskState::Done, {{"pid", "7"}, {"found", "ready"}, {"set", "maint"}});
  Spec moved = both;
  moved.services[0].traffic.hosts = {"m1"};
  story.tell(command::ApplySpec{.spec = moved, .by = "ann"});
  story.host_answers("m2", TaskState::Done, {{"pid", "9"}, {"found", "ready"}, {"set", "maint"}});
  ASSERT_EQ(story.node("a").admin, Admin::Isolated);
  story.all_say("a", Verdict::Healthy, Outcome::Pass);
  story.host_answers("m1", TaskState::Done, {{"pid", "7"}, {"found", "maint"}, {"set", "ready"}});
  ASSERT_EQ(story.node("a").admin, Admin::InService);
  story.tell(command::ApplySpec{.spec = both, .by = "ann"});
  story.sees("m2", "9", {{"a", ServerAdmin::Maint}});
  EXPECT_EQ(story.node("a").admin, Admin::Isolated) << "as it is found there";
  EXPECT_EQ(story.node("a").owner, Owner::Person);
}

TEST(SpecChanges, ARestoreLeftHalfDoneOfANodeThatWasRemovedAndAddedMeanwhileHidesNothing) {
  Spec both = wider_spec(1, {"a", "b", "c"});
  both.services[0].traffic.hosts = {"m1", "m2"};
  EngineStory story(both);
  story.everything_is_healthy();
  story.tell(command::Isolate{.node = "a", .by = "ann"});
  story.host_answers("m1", TaskState::Done, {{"pid", "7"}, {"found", "ready"}, {"set", "maint"}});
  story.host_answers("m2", TaskState::Done, {{"pid", "9"}, {"found", "ready"}, {"set", "maint"}});
  story.tell(command::Restore{.node = "a", .by = "ann"});
  ASSERT_EQ(story.performed.back().action, "traffic.restore");
  story.host_answers("m1", TaskState::Done, {{"pid", "7"}, {"found", "maint"}, {"set", "ready"}});
  Spec without = both;
  std::erase_if(without.services[0].nodes, [](const NodeSpec& node) { return node.name == "a"; });
  story.tell(command::ApplySpec{.spec = without, .removal = command::Removal::Prune, .by = "ann"});
  story.tell(command::ApplySpec{.spec = both, .by = "ann"});
  story.host_answers("m2", TaskState::Cancelled);
  ASSERT_EQ(story.last_run().state, RunState::Cancelled);
  ASSERT_EQ(story.node("a").admin, Admin::InService);
  story.sees("m2", "9", {{"a", ServerAdmin::Maint}});
  EXPECT_EQ(story.node("a").admin, Admin::Isolated) << "as it is found there";
  EXPECT_EQ(story.node("a").owner, Owner::Person);
}

TEST(SpecChanges, WhatWasSeenOfANodeBeforeItLeftTheSpecIsNotTakenForSeenOnceItIsBack) {
  const Spec with = wider_spec(1, {"a", "b", "c"});
  EngineStory story(with);
  story.raise();
  story.everything_is_healthy();
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.done("7", "ready", "maint");
  story.sees("m1", "7", {{"a", ServerAdmin::Maint}});
  story.all_say("a", Verdict::Healthy);
  story.done("7", "maint", "ready");
  ASSERT_EQ(story.node("a").admin, Admin::InService);
  story.tell(command::ApplySpec{
      .spec = wider_spec(1, {"b", "c"}), .removal = command::Removal::Prune, .by = "ann"});
  story.tell(command::ApplySpec{.spec = with, .by = "ann"});
  EXPECT_EQ(story.node("a").admin, Admin::InService) << "that look was before it was restored";
  story.sees("m1", "7", {{"a", ServerAdmin::Maint}});
  EXPECT_EQ(story.node("a").admin, Admin::Isolated) << "a look of now counts";
}

}  // namespace
}  // namespace fettle::core
