// Stories of the difference that `apply` shows.
#include "api/spec_diff.h"

#include <gtest/gtest.h>

#include "tests/api/example_state.h"

namespace fettle::api {
namespace {

using Lines = std::vector<std::string>;

TEST(SpecDiff, TheSameMeansNoLines) {
  core::Spec after = example_spec();
  after.sources[0].text += "# only a comment\n";
  EXPECT_EQ(spec_diff(example_spec(), after), Lines{});
}

TEST(SpecDiff, NamesWhatCameAndWhatWent) {
  core::Spec after = example_spec();
  after.services[0].nodes.push_back(example_node("chat-c", "10.0.0.13"));
  after.receivers.clear();
  EXPECT_EQ(spec_diff(example_spec(), after), (Lines{"+ node chat/chat-c", "- receiver oncall"}));
}

TEST(SpecDiff, AChangedFieldShowsBothValues) {
  core::Spec after = example_spec();
  after.services[0].max_isolated = 2;
  after.services[0].nodes[0].zone = "az1";
  after.services[0].probes[0].interval = std::chrono::milliseconds(250);
  after.receivers[0].options["url"] = std::string("http://127.0.0.1:9100/hook");
  EXPECT_EQ(
      spec_diff(example_spec(), after),
      (Lines{"~ node chat/chat-a: zone (none) → az1", "~ probe chat/port: interval 0s → 250ms",
             "~ receiver oncall: url http://127.0.0.1:9099/hook → http://127.0.0.1:9100/hook",
             "~ service chat: max_isolated 1 → 2"}));
}

TEST(SpecDiff, StepsAreComparedByName) {
  core::PlaybookSpec playbook;
  playbook.name = "heal";
  playbook.steps.push_back({.id = "switch", .action = "traffic.isolate"});
  core::Spec before = example_spec();
  before.playbooks = {playbook};
  core::Spec after = before;
  after.playbooks[0].mode = core::Mode::Enforce;
  after.playbooks[0].steps[0].retry.count = 2;
  EXPECT_EQ(spec_diff(before, after), (Lines{"~ playbook heal: mode observe → enforce",
                                             "~ playbook heal: step switch.retry.count 0 → 2"}));
}

}  // namespace
}  // namespace fettle::api
