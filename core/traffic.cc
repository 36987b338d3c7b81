#include "core/traffic.h"

#include <algorithm>

#include "core/limits.h"
#include "core/runs.h"
#include "core/troubles.h"

namespace fettle::core {
namespace {

/// Every director that confirmed had found the node out already: somebody else did that.
bool was_out_before(const NodeState& node, const Run& run) {
  bool any = false;
  for (const TaskProgress& task : run.steps[run.step].tasks) {
    const auto hold = node.holds.find(task.host);
    if (task.state != TaskState::Done || hold == node.holds.end()) continue;
    if (hold->second.found == ServerAdmin::Ready) return false;
    any = true;
  }
  return any;
}

void isolated(Applying& ap, const Run& run) {
  NodeState& node = ap.state.nodes.at(run.node);
  const bool kept_out = node.admin != Admin::InService;  // re-asserted: it was out before
  if (!kept_out) {
    const bool again =
        node.isolated_time.ns != 0 && ap.state.now - node.isolated_time < kRelapseWindow;
    node.relapses = again ? node.relapses + 1 : 0;
    node.isolated_time = ap.state.now;
  }
  const bool by_other = !kept_out && !node.isolation_in_doubt && was_out_before(node, run);
  node.isolation_in_doubt = node.restoration_in_doubt = false;
  if (node.incident) {
    Incident& incident = ap.state.incidents.at(*node.incident);
    if (!incident.isolated_at) incident.isolated_at = ap.state.wall;
    incident.blocked_by.clear();
  }
  const bool kept = node.owner == Owner::Person;  // re-asserted, not taken over
  set_admin(ap, run.node, kept_out ? node.admin : Admin::Isolated,
            run.by_person || kept || by_other ? Owner::Person : Owner::Fettle,
            by_other ? "external: it was out already" : run.steps[run.step].reason);
}

void restored(Applying& ap, const Run& run) {
  NodeState& node = ap.state.nodes.at(run.node);
  node.isolation_in_doubt = node.restoration_in_doubt = false;
  set_admin(ap, run.node, Admin::InService, Owner::Nobody, run.steps[run.step].reason);
}

/// The spec, which may have changed while an attempt was open, has a director of the service there.
bool steers(const Applying& ap, const std::string& host, const std::string& service) {
  const ServiceSpec* spec = ap.service(service);
  return spec != nullptr && has_director(ap.state, *spec, host);
}

/// The hosts that confirmed are in the wanted state; those out of reach must be brought there.
void update_pending(Applying& ap, const Run& run, const AttemptEnd& end) {
  NodeState& node = ap.state.nodes.at(run.node);
  for (const TaskProgress& task : run.steps[run.step].tasks) {
    if (task.state != TaskState::Done) continue;
    node.pending_hosts.erase(task.host);
    close_trouble(ap, "drift/" + task.host + "/" + run.node,
                  run.node + " is as the log wants it again at " + task.host);
  }
  for (const std::string& host : end.absent) {
    if (!steers(ap, host, run.service)) continue;
    node.pending_hosts.insert(host);
    open_trouble(ap, "director/" + host + "/" + run.service,
                 "the director of " + run.service + " on " + host +
                     " is out of reach: " + run.node + " is not yet in the wanted state there");
  }
}

}  // namespace

bool is_traffic(const std::string& action) { return action.starts_with("traffic."); }

Options traffic_input(const ServiceSpec& service, const NodeSpec& spec, const NodeState& node,
                      const std::string& host) {
  Options input = service.traffic.options;
  input["director"] = service.traffic.kind;
  input["node"] = spec.name;
  input["server"] = spec.server.empty() ? spec.name : spec.server;
  input["verdict"] = std::string(to_string(node.verdict));
  const auto before = node.holds.find(host);
  if (before != node.holds.end()) {
    input["pid"] = before->second.process;
    input["found"] = std::string(to_string(before->second.found));
    input["set"] = std::string(to_string(before->second.set));
  }
  return input;
}

std::string traffic_resource(const ServiceSpec& service, const Options& input) {
  return service.traffic.kind + ":" + text_option(service.traffic.options, "socket") + "/" +
         text_option(input, "server");
}

void remember_director(Applying& ap, const Run& run, const TaskProgress& task,
                       const TaskResult& result) {
  if (!is_traffic(run.steps[run.step].action) || task.state != TaskState::Done) return;
  const auto node = ap.state.nodes.find(run.node);
  if (node == ap.state.nodes.end()) return;  // it left the spec meanwhile
  auto& holds = node->second.holds;
  const auto found = server_admin_from(text_option(result.output, "found"));
  const auto set = server_admin_from(text_option(result.output, "set"));
  const std::string process = text_option(result.output, "pid");
  if (process.empty() || !set || !steers(ap, task.host, run.service)) {
    holds.erase(task.host);  // the next look at its director tells, if it ever has one again
    return;
  }
  const auto before = holds.find(task.host);
  const bool ours = before != holds.end() && before->second.process == process &&
                    before->second.set != ServerAdmin::Ready;
  holds[task.host] = {process, ours ? before->second.found : found.value_or(ServerAdmin::Ready),
                      *set};
}

void settle_traffic(Applying& ap, const Run& run, const AttemptEnd& end) {
  const std::string& action = run.steps[run.step].action;
  const auto found = ap.state.nodes.find(run.node);
  if (!is_traffic(action) || found == ap.state.nodes.end()) return;
  found->second.traffic_index = ap.index;
  for (const TaskProgress& task : run.steps[run.step].tasks) {
    const bool unknown = task.state == TaskState::InDoubt || task.state == TaskState::Expired;
    if (unknown) found->second.holds.erase(task.host);  // what it holds is not known any more
  }
  if (end.ok) update_pending(ap, run, end);
  if (action == "traffic.isolate") {
    if (end.ok) return isolated(ap, run);
    if (end.in_doubt) found->second.isolation_in_doubt = true;
  }
  if (action == "traffic.restore") {
    if (end.ok) return restored(ap, run);
    // For a node in service nothing is in doubt: the next looks tell what its directors hold.
    const bool out = found->second.admin != Admin::InService;
    if (end.in_doubt && out) found->second.restoration_in_doubt = true;
  }
}

void set_admin(Applying& ap, const std::string& name, Admin admin, Owner owner,
               const std::string& reason) {
  NodeState& node = ap.state.nodes.at(name);
  if (node.admin == admin && node.owner == owner) return;
  node.admin = admin;
  node.owner = owner;
  node.admin_since = ap.state.wall;
  if (node.incident) {
    note(ap, *node.incident, "node.admin_changed",
         std::string(to_string(admin)) + (reason.empty() ? "" : ": " + reason));
  }
  ap.happened({.kind = "node.admin_changed",
               .service = node.service,
               .node = name,
               .incident = node.incident,
               .value = std::string(to_string(admin)),
               .reason = reason});
}

}  // namespace fettle::core
