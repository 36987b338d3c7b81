// The whole story: every command there is, with refusals, repeats and what is left open in between;
// for tests that compare engines entry by entry.
#pragma once

#include "tests/support/engine_story.h"

namespace fettle::core {

/// Three nodes, a playbook that runs a program on m2, and a director on m1.
inline Spec whole_spec() {
  Spec spec = story_spec({"a", "b", "c"});
  spec.services[0].max_isolated = 2;
  StepSpec program{.id = "heal", .action = "exec.run", .on = "m2"};
  program.input["command"] = std::vector<std::string>{"/usr/bin/heal", "${node.name}"};
  StepSpec wait{.id = "wait", .action = "wait.healthy", .timeout = std::chrono::minutes(1)};
  PlaybookSpec playbook{.name = "heal", .mode = Mode::Enforce, .steps = {program, wait}};
  playbook.trigger.verdict = Verdict::Degraded;
  spec.playbooks.push_back(playbook);
  return spec;
}

/// The newest run's act is tried as often as it may be.
inline void fails_to_the_end(EngineStory& story) {
  constexpr int kTries = 3;
  for (int i = 0; i < kTries; ++i) {
    story.answers(TaskState::Failed, "no such server");
    story.pass(std::chrono::seconds(1));
  }
}

inline void tell_of_traffic(EngineStory& story) {
  story.all_say("a", Verdict::Down, Outcome::Refused);
  story.done("7", "ready", "maint");
  story.sees("m1", "7", {{"a", ServerAdmin::Maint}, {"b", ServerAdmin::Ready}});
  story.tell(command::Isolate{.node = "b", .by = "ann", .reason = "a new disk"}, "ask-1");
  story.tell(command::Isolate{.node = "c", .by = "ann"}, "ask-2");
  story.tell(command::Cancel{story.last_run().id, "ann", "not today"});
  story.answers(TaskState::Cancelled, "stopped");
  story.tell(command::Retry{story.last_run().id, "ann", "today"});
  fails_to_the_end(story);
  story.all_say("a", Verdict::Healthy);
  story.done("7", "maint", "ready");
  story.tell(command::Restore{.node = "b", .by = "ann"}, "ask-1");
  story.tell(command::Restore{.node = "b", .by = "ann"}, "ask-3");
}

inline void tell_of_people(EngineStory& story) {
  story.tell(command::Freeze{.length = std::chrono::seconds(30), .by = "ann", .reason = "lunch"});
  story.all_say("c", Verdict::Down, Outcome::Timeout);
  story.pass(std::chrono::seconds(31));
  fails_to_the_end(story);
  story.tell(command::Freeze{"chat", std::chrono::hours(1), "ann", ""});
  story.tell(command::Unfreeze{"chat", "ann"});
  for (const std::string& key : story.outbox()) {
    story.tell(command::AlertFinished{key, key.ends_with("/1"), ""});
  }
}

inline void tell_of_store(EngineStory& story) {
  story.tell(command::KvPut{"x", "{\"n\":1}", {}}, "put-1");
  story.tell(command::KvPut{"x", "2", 7});
  story.tell(command::KvPut{"y/z", "3", 0});
  story.tell(command::KvDelete{"x", 1});
  story.tell(command::KvPut{"x", "{\"n\":1}", {}}, "put-1");
  const std::uint64_t token =
      story.tell(command::LeaseGrant{"vip", "m1", std::chrono::seconds(3)}).number;
  story.tell(command::LeaseGrant{"vip", "m2", std::chrono::seconds(3)});
  story.pass(std::chrono::seconds(2));
  story.tell(command::LeaseRenew{"vip", "m1", token});
  story.tell(command::LeaseGrant{"lock", "m3", std::chrono::seconds(9)});
  story.tell(command::LeaseRelease{"vip", "m1", token});
}

inline void tell_of_members(EngineStory& story) {
  MemberFacts facts = story.engine.state().members.at("m2");
  facts.allow["exec"] = {"/usr/bin/*"};
  story.tell(command::SetFacts{facts});
  story.all_say("b", Verdict::Degraded, Outcome::Slow);
  story.tell(command::MemberLost{"m2", "no link"});
  story.pass(std::chrono::seconds(40));
  story.tell(command::MemberBack{"m2"});
  story.tell(
      command::SetFacts{{.name = "edge", .incarnation = "i-edge", .role = MemberRole::Agent}});
  story.tell(command::UpdateMembers{
      .facts = {{.name = "edge2", .incarnation = "i-edge2", .role = MemberRole::Agent}},
      .lost = {{"edge", "no link"}},
      .back = {}});
  story.tell(command::RemoveAgent{"edge2"});
  story.says("m2", "b", Verdict::Healthy);
  Spec next = whole_spec();
  next.services[0].nodes.pop_back();
  story.tell(command::ApplySpec{.spec = next, .by = "ann"});
  story.tell(command::ApplySpec{.spec = next, .removal = command::Removal::Prune, .by = "ann"},
             "apply-1");
}

/// Across index 1000, where the state is hashed, and the leader's word on it.
inline void tell_of_hash(EngineStory& story) {
  story.index = Engine::kHashEvery - 2;
  story.pass(std::chrono::seconds(1));
  story.pass(std::chrono::seconds(1));
  const auto due = story.effects_of<effect::HashDue>();
  if (!due.empty()) story.tell(command::StateHash{due[0].index, due[0].hash});
}

inline EngineStory whole_story() {
  EngineStory story(whole_spec());
  story.everything_is_healthy();
  story.sees("m1", "7", {{"a", ServerAdmin::Ready}, {"b", ServerAdmin::Ready}});
  tell_of_traffic(story);
  story.raise();
  tell_of_people(story);
  tell_of_store(story);
  tell_of_members(story);
  tell_of_hash(story);
  return story;
}

}  // namespace fettle::core
