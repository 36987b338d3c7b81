// Incidents: one open incident a node; it opens with a verdict, gathers votes and runs, alerts
// once, and closes when the node is healthy and in service again. The only place that opens or
// closes one.
#pragma once

#include <string>

#include "core/applying.h"

namespace fettle::core {

/// A degraded node alerts only after this long.
inline constexpr Duration kDegradedAlertAfter = std::chrono::minutes(2);
/// More than half of a service turning down within this, not refused or reset, is a panic.
inline constexpr Duration kPanicWindow = std::chrono::seconds(30);

/// The verdict of `node` has just changed (it was `before`): opens or updates its incident.
void verdict_changed(Applying& ap, const std::string& node, Verdict before);

/// Closes the node's incident if the node is healthy and nothing of Fettle keeps it out.
void resolve_if_over(Applying& ap, const std::string& node);

/// Closes it because the node left the spec.
void resolve_removed(Applying& ap, const std::string& node);

/// Sends the firing alert of the node's incident if it is due and was not sent.
void alert_if_due(Applying& ap, const std::string& node);

/// Puts one alert into the outbox, to be delivered at least once under `key`.
void send_alert(Applying& ap, const Incident& incident, const std::string& receiver,
                AlertStatus status, Severity severity, std::string text, std::string state_word);

/// Forgets the oldest closed incidents beyond kIncidentsKept.
void drop_old_incidents(State& state);

/// Starts or ends the panic hold of a service: while it lasts no act is decided on it.
void update_panic(Applying& ap, const std::string& service);

/// When the incident's alert falls due (kNever: sent, or nothing to wait for).
Time alert_due(const State& state, const Incident& incident);

}  // namespace fettle::core
