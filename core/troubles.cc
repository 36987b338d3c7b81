#include "core/troubles.h"

#include "core/incidents.h"

namespace fettle::core {
namespace {

std::string about_blind(const std::string& node) { return "blind/" + node; }

}  // namespace

IncidentId open_service_incident(Applying& ap, const std::string& service, const std::string& value,
                                 const std::string& reason, Severity severity) {
  Incident incident;
  incident.id = IncidentId{ap.state.next_incident++};
  incident.service = service;
  incident.verdict = Verdict::Degraded;
  incident.reason = reason;
  incident.opened = ap.state.now;
  incident.fault_at = incident.detected_at = ap.state.wall;
  incident.alerted = true;
  const IncidentId id = incident.id;
  const Incident& kept = ap.state.incidents.insert_or_assign(id, std::move(incident)).first->second;
  note(ap, id, "incident.opened", reason);
  ap.happened({.kind = "incident.opened",
               .service = service,
               .incident = id,
               .value = value,
               .reason = reason});
  send_alert(ap, kept, ap.state.spec.route_receiver, AlertStatus::Firing, severity,
             service + ": " + reason, "firing");
  drop_old_incidents(ap.state);
  return id;
}

void close_service_incident(Applying& ap, IncidentId id, const std::string& why) {
  Incident& incident = ap.state.incidents.at(id);
  incident.resolved_at = ap.state.wall;
  incident.mttr_ms = ap.state.wall.ms - incident.fault_at.ms;
  note(ap, id, "incident.resolved", why);
  ap.happened(
      {.kind = "incident.resolved", .service = incident.service, .incident = id, .reason = why});
  send_alert(ap, incident, ap.state.spec.route_receiver, AlertStatus::Resolved, Severity::Info,
             incident.service + ": " + why, "resolved");
}

void open_trouble(Applying& ap, const std::string& about, const std::string& reason) {
  if (ap.state.troubles.contains(about)) return;
  const std::string value = about.substr(0, about.find('/'));
  ap.state.troubles[about] =
      open_service_incident(ap, kOwnService, value, reason, Severity::Warning);
}

void close_trouble(Applying& ap, const std::string& about, const std::string& why) {
  const auto open = ap.state.troubles.find(about);
  if (open == ap.state.troubles.end()) return;
  const IncidentId id = open->second;
  ap.state.troubles.erase(open);
  close_service_incident(ap, id, why);
}

void update_blind(Applying& ap, const std::string& name) {
  const NodeState& node = ap.state.nodes.at(name);
  if (node.blind_since.ns == 0) {
    return close_trouble(ap, about_blind(name), "the probes of " + name + " can look again");
  }
  if (ap.state.now - node.blind_since < kBlindAfter) return;
  open_trouble(ap, about_blind(name),
               "the probes of " + name + " cannot look at it: its verdict is an old one (blind)");
}

Time blind_due(const State& state, const std::string& name, const NodeState& node) {
  if (node.blind_since.ns == 0 || state.troubles.contains(about_blind(name))) return kNever;
  return node.blind_since + kBlindAfter;
}

}  // namespace fettle::core
