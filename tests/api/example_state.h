// The state that the API's documentation shows: chat-a is down and isolated, chat-b is healthy.
#pragma once

#include <memory>

#include "api/backend.h"
#include "core/state.h"

namespace fettle::api {

inline constexpr core::WallTime kExampleTime{1767225600000};  // 2026-01-01T00:00:00.000Z

inline core::NodeSpec example_node(const std::string& name, const std::string& host) {
  core::NodeSpec node;
  node.name = node.server = name;
  node.address = {host, 8000};
  return node;
}

inline core::Spec example_spec() {
  core::ServiceSpec service;
  service.name = "chat";
  service.engine = "vllm";
  service.nodes = {example_node("chat-a", "10.0.0.11"), example_node("chat-b", "10.0.0.12")};
  core::ProbeSpec probe;
  probe.name = "port";
  probe.kind = "tcp";
  service.probes = {probe};
  service.traffic.kind = "haproxy";
  core::ReceiverSpec receiver;
  receiver.name = "oncall";
  receiver.kind = "webhook";
  receiver.options["url"] = std::string("http://127.0.0.1:9099/hook");
  core::Spec spec;
  spec.sources = {{"chat.yaml", "version: 1\n"}};
  spec.services = {service};
  spec.receivers = {receiver};
  spec.route_receiver = "oncall";
  return spec;
}

inline core::Incident example_incident() {
  core::Incident incident;
  incident.id = IncidentId{17};
  incident.service = "chat";
  incident.node = "chat-a";
  incident.fault_class = core::FaultClass::Reachability;
  incident.reason = "2 of 3 observers: refused";
  incident.votes = {{"gpu1", core::Verdict::Down, core::Outcome::Refused, 31}};
  incident.fault_at = {kExampleTime.ms - 31};
  incident.detected_at = kExampleTime;
  incident.isolated_at = core::WallTime{kExampleTime.ms + 20};
  incident.mttd_ms = 31;
  incident.runs = {RunId{5}};
  incident.timeline = {{kExampleTime, Index{1040}, "incident.opened", "chat-a is down"}};
  return incident;
}

inline core::Run example_run() {
  core::Run run;
  run.id = RunId{5};
  run.playbook.name = "builtin";
  run.incident = IncidentId{17};
  run.service = "chat";
  run.node = "chat-a";
  run.fence = {1, Term{7}, Index{1041}};
  run.started_at = kExampleTime;
  core::StepProgress step;
  step.id = "switch";
  step.action = "traffic.isolate";
  step.state = core::StepState::Running;
  step.attempt = 1;
  step.started_at = kExampleTime;
  core::TaskProgress task;
  task.host = "gpu1";
  step.tasks = {task};
  run.steps = {step};
  return run;
}

inline core::State example_state() {
  core::State state;
  state.cluster = "llm-prod";
  state.revision = 3;
  state.spec = example_spec();
  for (const core::NodeSpec& node : state.spec.services[0].nodes) {
    state.nodes[node.name].service = "chat";
    state.nodes[node.name].since = kExampleTime;
  }
  core::NodeState& down = state.nodes["chat-a"];
  down.verdict = core::Verdict::Down;
  down.admin = core::Admin::Isolated;
  down.reason = "2 of 3 observers: refused";
  down.incident = IncidentId{17};
  down.observers = {"gpu1", "gpu2", "gpu3"};
  state.nodes["chat-b"].verdict = core::Verdict::Healthy;
  state.incidents[IncidentId{17}] = example_incident();
  state.runs[RunId{5}] = example_run();
  return state;
}

inline Snapshot example_snapshot() {
  GroupStatus group;
  group.cluster = "llm-prod";
  group.term = 7;
  group.leader = "gpu2";
  group.commit_index = 1042;
  group.self = "gpu1";
  group.members = {{.name = "gpu1",
                    .role = "voter",
                    .zone = "az1",
                    .state = "follower",
                    .address = "10.0.0.11:7701",
                    .version = "0.1.0",
                    .rtt_ms = 0.4}};
  return {std::make_shared<core::State>(example_state()), group, 1500};
}

inline core::Event example_event(std::uint64_t index, std::uint32_t n = 0,
                                 std::string reason = "") {
  core::Event event;
  event.index = Index{index};
  event.n = n;
  event.at = kExampleTime;
  event.kind = "verdict.changed";
  event.service = "chat";
  event.node = "chat-a";
  event.value = "down";
  event.reason = std::move(reason);
  return event;
}

}  // namespace fettle::api
