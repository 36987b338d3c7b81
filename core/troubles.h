// Troubles: incidents that are not of one node's verdict: a panic of a service, a director that
// missed an act, a restarted director, probes that cannot look, a lost member. Open one at a time
// by what they are about, told once, resolved once. All but the first are of the service `fettle`.
#pragma once

#include <string>

#include "core/applying.h"

namespace fettle::core {

inline constexpr const char* kOwnService = "fettle";
/// What the trouble of a lost member is about: this and its name.
inline constexpr const char* kAboutMember = "member/";
/// Probes that cannot look for this long are an incident (CONTRACT "Verdicts", `blind`).
inline constexpr Duration kBlindAfter = std::chrono::minutes(5);

/// Opens an incident without a node and tells the route.
IncidentId open_service_incident(Applying& ap, const std::string& service, const std::string& value,
                                 const std::string& reason, Severity severity);
/// Resolves it and tells the route.
void close_service_incident(Applying& ap, IncidentId id, const std::string& why);

/// Opens the trouble called `about` (`blind/chat-a`), unless it is open.
void open_trouble(Applying& ap, const std::string& about, const std::string& reason);
/// Closes it, if it is open.
void close_trouble(Applying& ap, const std::string& about, const std::string& why);

/// Opens or closes the node's `blind` trouble as its probes can look or not.
void update_blind(Applying& ap, const std::string& node);
/// When the node's blindness becomes a trouble (kNever: it is none, or it is told already).
Time blind_due(const State& state, const std::string& name, const NodeState& node);

}  // namespace fettle::core
