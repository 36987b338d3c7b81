// EngineStory: one engine under virtual time, told as events and read as effects. It makes the
// small group (m1, m2, m3) and the small service (chat: a, b, ...) that most stories are about.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "core/engine.h"

namespace fettle::core {

/// The action kinds as they are declared, as far as the engine looks at them.
inline std::vector<KindSpec> story_actions() {
  return {{.name = "traffic.isolate", .idempotent = true, .reversible = true, .on_director = true},
          {.name = "traffic.restore", .idempotent = true, .on_director = true},
          {.name = "exec.run",
           .options = {{.name = "command", .type = OptionType::Argv, .required = true}},
           .destructive = true,
           .interruptible = true,
           .on_member = true,
           .allow = "exec"},
          {.name = "notify.send", .idempotent = true, .by_engine = true},
          {.name = "wait.healthy", .idempotent = true, .by_engine = true}};
}

/// A service `chat` with the given nodes, steered by a HAProxy on m1, routed to `oncall`.
inline Spec story_spec(const std::vector<std::string>& nodes) {
  ServiceSpec service;
  service.name = "chat";
  service.engine = "generic";
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    NodeSpec node;
    node.name = nodes[i];
    node.address = {"10.0.0." + std::to_string(i + 11), 8000};
    node.server = nodes[i];
    service.nodes.push_back(node);
  }
  ProbeSpec port;
  port.name = "port";
  port.kind = "tcp";
  port.fault_class = FaultClass::Reachability;
  port.affects = Affects::Down;
  port.interval = std::chrono::milliseconds(500);
  port.timeout = std::chrono::seconds(2);
  port.fall = 2;
  service.probes.push_back(port);
  service.traffic.kind = "haproxy";
  service.traffic.hosts = {"m1"};
  service.traffic.options["socket"] = std::string("/run/haproxy/admin.sock");
  service.traffic.options["backend"] = std::vector<std::string>{"be_chat"};
  Spec spec;
  spec.services.push_back(service);
  ReceiverSpec receiver;
  receiver.name = "oncall";
  receiver.kind = "webhook";
  spec.receivers.push_back(receiver);
  spec.route_receiver = "oncall";
  return spec;
}

class EngineStory {
 public:
  explicit EngineStory(Spec spec, std::vector<std::string> members = {"m1", "m2", "m3"})
      : engine(story_actions()) {
    command::Found found{"test", {}};
    for (const std::string& name : members) {
      MemberFacts facts;
      facts.name = name;
      facts.incarnation = "i-" + name;
      facts.level = kEngineLevel;
      found.voters.push_back(facts);
    }
    tell(found);
    tell(command::ApplySpec{.spec = std::move(spec), .by = "test"});
  }

  /// Commits the command now; its effects are kept in `effects`.
  ClientAnswer tell(Command command, const std::string& client = "") {
    LogEntry entry{.stamp = now,
                   .wall = WallTime{now.ns / 1'000'000},
                   .client = client,
                   .command = std::move(command)};
    Applied applied = engine.apply(Index{++index}, entry);
    effects = std::move(applied.effects);
    for (const Effect& effect : effects) {
      if (const auto* perform = std::get_if<effect::Perform>(&effect))
        performed.push_back(perform->task);
    }
    return applied.answer;
  }
  /// The leader raises the group to the highest level.
  void raise() { tell(command::RaiseLevel{kEngineLevel}); }
  void pass(Duration duration) {
    now = now + duration;
    tell(command::Wake{});
  }
  ClientAnswer says(const std::string& observer, const std::string& node, Verdict grade,
                    Outcome outcome = Outcome::Pass) {
    Opinion opinion{.node = node,
                    .watch_revision = engine.state().nodes.at(node).watch_revision,
                    .sequence = ++sequence,
                    .classes = {{.fault_class = FaultClass::Reachability,
                                 .grade = grade,
                                 .outcome = outcome,
                                 .age = std::chrono::milliseconds(30),
                                 .ends_start = grade == Verdict::Healthy}}};
    return tell(command::ReportOpinions{observer, "i-" + observer, {opinion}});
  }
  /// Every observer of `node` says the same.
  void all_say(const std::string& node, Verdict grade, Outcome outcome = Outcome::Pass) {
    const auto observers = engine.state().nodes.at(node).observers;
    for (const std::string& observer : observers) says(observer, node, grade, outcome);
  }
  void everything_is_healthy() {
    std::vector<std::string> names;
    for (const auto& [name, node] : engine.state().nodes) names.push_back(name);
    for (const std::string& name : names) all_say(name, Verdict::Healthy);
  }
  /// The host answers the newest task it was given.
  ClientAnswer answers(TaskState state, const std::string& text = "", Options output = {}) {
    return tell(command::TaskFinished{performed.back().key, {state, text, std::move(output)}});
  }

  /// The host did what its newest task asked, at the director's process `pid`.
  ClientAnswer done(const std::string& pid, const std::string& found, const std::string& set) {
    return answers(TaskState::Done, set, {{"pid", pid}, {"found", found}, {"set", set}});
  }
  /// A host looks at its director of `chat` now and tells what it sees.
  void sees(const std::string& host, const std::string& pid,
            const std::map<std::string, ServerAdmin>& servers) {
    tell(command::ReportDirectors{host, {{"chat", {pid, servers, "", Index{index}}}}});
  }
  void cannot_see(const std::string& host, const std::string& problem) {
    tell(command::ReportDirectors{host, {{"chat", {"", {}, problem, Index{index}}}}});
  }
  /// The open tasks of the last entry, by host.
  ClientAnswer host_answers(const std::string& host, TaskState state, Options output = {}) {
    for (auto task = performed.rbegin(); task != performed.rend(); ++task) {
      if (task->key.host != host) continue;
      return tell(command::TaskFinished{task->key, {state, "", std::move(output)}});
    }
    return {.ok = false};
  }

  const NodeState& node(const std::string& name) const { return engine.state().nodes.at(name); }
  const Run& last_run() const { return engine.state().runs.rbegin()->second; }
  const Incident& last_incident() const { return engine.state().incidents.rbegin()->second; }
  /// The kinds of the last entry's events, in order.
  std::vector<std::string> events() const {
    std::vector<std::string> kinds;
    for (const Effect& effect : effects) {
      if (const auto* told = std::get_if<effect::Happened>(&effect))
        kinds.push_back(told->event.kind);
    }
    return kinds;
  }
  template <typename T>
  std::vector<T> effects_of() const {
    std::vector<T> found;
    for (const Effect& effect : effects) {
      if (const auto* one = std::get_if<T>(&effect)) found.push_back(*one);
    }
    return found;
  }
  std::vector<std::string> outbox() const {
    std::vector<std::string> keys;
    for (const auto& [key, alert] : engine.state().outbox) keys.push_back(key);
    return keys;
  }

  Engine engine;
  Time now{1'000'000'000};
  std::uint64_t index = 0;
  std::uint64_t sequence = 0;
  std::vector<Effect> effects;
  std::vector<Task> performed;
};

}  // namespace fettle::core
