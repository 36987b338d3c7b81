#include "core/incidents.h"

#include <algorithm>

#include "core/fields.h"
#include "core/troubles.h"
#include "core/verdicts.h"

namespace fettle::core {
namespace {

bool is_bad(Verdict verdict) { return verdict == Verdict::Down || verdict == Verdict::Degraded; }

bool connection_cause(Outcome cause) {
  return cause == Outcome::Refused || cause == Outcome::Reset;
}

void describe(Applying& ap, Incident& incident, const NodeState& node) {
  incident.verdict = std::max(incident.verdict, node.verdict);
  incident.fault_class = node.cause_class;
  incident.reason = node.reason;
  incident.votes = votes_of(ap.state, node);
}

void open(Applying& ap, const std::string& name, NodeState& node) {
  Incident incident;
  incident.id = IncidentId{ap.state.next_incident++};
  incident.service = node.service;
  incident.node = name;
  incident.verdict = node.verdict;
  describe(ap, incident, node);
  incident.opened = ap.state.now;
  incident.detected_at = ap.state.wall;
  std::int64_t age_ms = 0;
  for (const Vote& vote : incident.votes) {
    if (is_bad(vote.opinion)) age_ms = std::max(age_ms, vote.age_ms);
  }
  incident.fault_at = WallTime{ap.state.wall.ms - age_ms};
  incident.mttd_ms = age_ms;
  node.incident = incident.id;
  const IncidentId id = incident.id;
  const std::string text =
      name + " is " + std::string(to_string(node.verdict)) + ": " + node.reason;
  ap.state.incidents.insert_or_assign(id, std::move(incident));
  note(ap, id, "incident.opened", text);
  ap.happened({.kind = "incident.opened",
               .service = node.service,
               .node = name,
               .incident = id,
               .value = std::string(to_string(node.verdict)),
               .reason = text});
}

void resolve(Applying& ap, NodeState& node, const std::string& why) {
  Incident& incident = ap.state.incidents.at(*node.incident);
  incident.resolved_at = ap.state.wall;
  incident.mttr_ms = ap.state.wall.ms - incident.fault_at.ms;
  incident.blocked_by.clear();
  note(ap, incident.id, "incident.resolved", why);
  ap.happened({.kind = "incident.resolved",
               .service = incident.service,
               .node = incident.node,
               .incident = incident.id,
               .reason = why});
  if (incident.alerted) {
    send_alert(ap, incident, ap.state.spec.route_receiver, AlertStatus::Resolved, Severity::Info,
               why, "resolved");
  }
  node.incident.reset();
}

/// The text of the run's notify.send step to the route's receiver, if it has one (CONTRACT: such a
/// step only sets the alert's text).
std::optional<std::string> playbook_text(const State& state, const Incident& incident) {
  for (const RunId id : incident.runs) {
    const auto run = state.runs.find(id);
    if (run == state.runs.end() || run->second.mode != Mode::Enforce) continue;
    for (const StepSpec& step : run->second.playbook.steps) {
      if (step.action != "notify.send") continue;
      if (text_option(step.input, "receiver") != state.spec.route_receiver) continue;
      if (auto text = substitute(text_option(step.input, "text"), run->second.bound)) return *text;
    }
  }
  return std::nullopt;
}

bool held_by_panic(const State& state, const std::string& service) {
  const auto panic = state.panics.find(service);
  return panic != state.panics.end() && panic->second.incident.has_value();
}

}  // namespace

void drop_old_incidents(State& state) {
  while (state.incidents.size() > kIncidentsKept) {
    const auto closed = std::ranges::find_if(
        state.incidents, [](const auto& entry) { return entry.second.resolved_at.has_value(); });
    if (closed == state.incidents.end()) return;
    state.incidents.erase(closed);
  }
}

void note(Applying& ap, IncidentId id, std::string what, std::string reason) {
  const auto found = ap.state.incidents.find(id);
  if (found == ap.state.incidents.end()) return;
  auto& timeline = found->second.timeline;
  if (timeline.size() >= kTimelineMax) timeline.erase(timeline.begin() + 1);
  timeline.push_back({ap.state.wall, ap.index, std::move(what), std::move(reason)});
}

void verdict_changed(Applying& ap, const std::string& name, Verdict before) {
  NodeState& node = ap.state.nodes.at(name);
  ap.touched.insert(node.service);
  PanicWatch& panic = ap.state.panics[node.service];
  if (node.verdict == Verdict::Down && !connection_cause(node.cause)) {
    panic.downs[name] = ap.state.now;
  } else if (node.verdict != Verdict::Down) {
    panic.downs.erase(name);
  }
  if (!node.incident) {
    if (is_bad(node.verdict)) open(ap, name, node);
    drop_old_incidents(ap.state);
    return;
  }
  Incident& incident = ap.state.incidents.at(*node.incident);
  if (is_bad(node.verdict)) describe(ap, incident, node);
  note(ap, incident.id, "verdict.changed",
       std::string(to_string(before)) + " to " + std::string(to_string(node.verdict)) +
           (node.reason.empty() ? "" : ": " + node.reason));
}

void resolve_if_over(Applying& ap, const std::string& name) {
  NodeState& node = ap.state.nodes.at(name);
  if (!node.incident || node.verdict != Verdict::Healthy) return;
  const bool kept_out = node.admin != Admin::InService && node.owner == Owner::Fettle;
  if (kept_out || node.isolation_in_doubt) return;
  for (const auto& [id, run] : ap.state.runs) {
    if (run.node == name && !is_over(run.state)) return;
  }
  const Incident& incident = ap.state.incidents.at(*node.incident);
  const std::string why = !incident.isolated_at ? name + " is healthy again"
                          : node.admin == Admin::InService
                              ? name + " is healthy and in service again"
                              : name + " is healthy; kept out by a person";
  resolve(ap, node, why);
}

void resolve_removed(Applying& ap, const std::string& name) {
  NodeState& node = ap.state.nodes.at(name);
  if (node.incident) resolve(ap, node, name + " was removed from the spec");
}

Time alert_due(const State& state, const Incident& incident) {
  if (incident.alerted || incident.resolved_at || incident.node.empty()) return kNever;
  const auto node = state.nodes.find(incident.node);
  if (node == state.nodes.end() || held_by_panic(state, incident.service)) return kNever;
  if (node->second.verdict == Verdict::Down) return state.now;
  if (node->second.verdict != Verdict::Degraded) return kNever;
  return node->second.verdict_at + kDegradedAlertAfter;
}

void alert_if_due(Applying& ap, const std::string& name) {
  const NodeState& node = ap.state.nodes.at(name);
  if (!node.incident) return;
  Incident& incident = ap.state.incidents.at(*node.incident);
  if (alert_due(ap.state, incident) > ap.state.now) return;
  incident.alerted = true;
  std::string text = name + " is " + std::string(to_string(node.verdict)) + ": " + incident.reason;
  if (const auto chosen = playbook_text(ap.state, incident)) text = *chosen;
  for (const std::string& blocked : incident.blocked_by) text += "; not isolated: " + blocked;
  const Severity severity = node.verdict == Verdict::Down ? Severity::Critical : Severity::Warning;
  send_alert(ap, incident, ap.state.spec.route_receiver, AlertStatus::Firing, severity,
             std::move(text), "firing");
}

void send_alert(Applying& ap, const Incident& incident, const std::string& receiver,
                AlertStatus status, Severity severity, std::string text, std::string state_word) {
  if (receiver.empty()) return note(ap, incident.id, "alert.skipped", "the spec has no route");
  if (ap.state.outbox.size() >= kOutboxMax) {
    return note(ap, incident.id, "alert.failed", "the outbox is full");
  }
  Alert alert;
  alert.key = ap.state.cluster + "/" + std::to_string(incident.id.value) + "/" + state_word + "/1";
  alert.receiver = receiver;
  alert.status = status;
  alert.severity = severity;
  alert.incident = incident.id;
  alert.text = std::move(text);
  alert.runs = incident.runs;
  alert.at = ap.state.wall;
  alert.index = ap.index;
  const std::string key = alert.key;
  note(ap, incident.id, "alert.queued", alert.text);
  ap.state.outbox.insert_or_assign(key, std::move(alert));
  ap.effects.emplace_back(effect::Deliver{key});
}

void update_panic(Applying& ap, const std::string& service) {
  const ServiceSpec* spec = ap.service(service);
  const auto found = ap.state.panics.find(service);
  if (spec == nullptr || found == ap.state.panics.end()) return;
  PanicWatch& panic = found->second;
  std::size_t active = 0;
  std::size_t recent = 0;
  std::size_t down = 0;
  for (const NodeSpec& node : spec->nodes) {
    if (node.role != NodeRole::Active) continue;
    ++active;
    const auto at = panic.downs.find(node.name);
    if (at == panic.downs.end()) continue;
    ++down;
    if (ap.state.now - at->second <= kPanicWindow) ++recent;
  }
  if (!panic.incident && recent * 2 > active && recent > 1) {
    panic.incident = open_service_incident(
        ap, service, "panic",
        std::to_string(recent) + " of " + std::to_string(active) +
            " nodes turned down within 30s: all acts on the service are held (panic)",
        Severity::Critical);
  } else if (panic.incident && down * 2 <= active) {
    close_service_incident(ap, *panic.incident, "no more than half of its nodes are down");
    panic.incident.reset();
  }
}

}  // namespace fettle::core
