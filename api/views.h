// Views: state → JSON for the API, the event stream and the webhook; keys in their documented
// order. Nothing else formats JSON for the outside. Pure; the sentences in it are the state's own.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "api/backend.h"
#include "core/state.h"

namespace fettle::api {

nlohmann::ordered_json status_view(const Snapshot& snapshot);
nlohmann::ordered_json members_view(const Snapshot& snapshot);
/// The members, how far a majority is, and the timeouts of the member that is asked.
nlohmann::ordered_json group_view(const Snapshot& snapshot);
nlohmann::ordered_json services_view(const core::State& state);
nlohmann::ordered_json node_view(const core::State& state, const std::string& name);
/// What would act on the node now, what blocks it, until when.
nlohmann::ordered_json why_view(const core::State& state, const std::string& name);
nlohmann::ordered_json nodes_view(const core::State& state);
nlohmann::ordered_json incident_view(const core::Incident& incident);
nlohmann::ordered_json incidents_view(const core::State& state);
nlohmann::ordered_json run_view(const core::Run& run);
nlohmann::ordered_json runs_view(const core::State& state);
/// The leases that somebody holds.
nlohmann::ordered_json leases_view(const core::State& state);
nlohmann::ordered_json spec_view(const core::State& state);
nlohmann::ordered_json event_view(const core::Event& event);
nlohmann::ordered_json error_view(std::string_view code, const std::string& message,
                                  const std::string& path);

/// The body that a receiver gets for an alert. `term_at` fills in the terms of its runs' fences,
/// which the state leaves out.
std::string webhook_body(const core::State& state, const core::Alert& alert, core::WallTime sent_at,
                         const std::function<Term(Index)>& term_at = nullptr);

/// One line of text; bytes that are no UTF-8 are replaced.
std::string dump(const nlohmann::ordered_json& json);

}  // namespace fettle::api
