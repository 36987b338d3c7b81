// Tables: the API's documents as a person reads them.
#pragma once

#include <nlohmann/json.hpp>

namespace fettle::cli {

using nlohmann::ordered_json;

void print_status(const ordered_json& status);
void print_members(const ordered_json& answer);
void print_nodes(const ordered_json& answer);
void print_node(const ordered_json& node);
void print_incidents(const ordered_json& answer);
void print_incident(const ordered_json& incident);
void print_runs(const ordered_json& answer);
void print_run(const ordered_json& run);
void print_why(const ordered_json& why);
void print_event(const ordered_json& event);

}  // namespace fettle::cli
