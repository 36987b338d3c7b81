#include "core/drift.h"

#include <algorithm>

#include "core/liveness.h"
#include "core/runs.h"
#include "core/traffic.h"
#include "core/troubles.h"

namespace fettle::core {
namespace {

std::string about_drift(const std::string& host, const std::string& node) {
  return "drift/" + host + "/" + node;
}

/// What the host saw, if it looked after the node's last traffic act; else null.
const DirectorView* fresh_view(const State& state, const std::string& host, const NodeState& node) {
  const auto of_host = state.directors.find(host);
  if (of_host == state.directors.end()) return nullptr;
  const auto view = of_host->second.find(node.service);
  if (view == of_host->second.end() || !view->second.problem.empty()) return nullptr;
  return view->second.seen < node.traffic_index ? nullptr : &view->second;
}

/// A run is at a traffic step of the node: what its director holds is in the making.
bool traffic_under_way(const State& state, const std::string& node) {
  return std::ranges::any_of(state.runs, [&](const auto& entry) {
    const Run& run = entry.second;
    if (run.node != node || is_over(run.state) || run.step >= run.steps.size()) return false;
    const StepProgress& step = run.steps[run.step];
    return is_traffic(step.action) && (step.attempt > 0 || !step.tasks.empty());
  });
}

Admin admin_of(ServerAdmin set, Admin before) {
  switch (set) {
    case ServerAdmin::Ready:
      return Admin::InService;
    case ServerAdmin::Drain:
      return Admin::Draining;
    case ServerAdmin::Maint:
      return Admin::Isolated;
    case ServerAdmin::Mixed:
      break;
  }
  return before;
}

/// What Fettle itself did at the other directors is made undone there too, or the log would say in
/// service of a node that some of them keep out.
void undo_elsewhere(NodeState& node, const std::string& host) {
  for (const auto& [other, hold] : node.holds) {
    const bool ours = hold.set != ServerAdmin::Ready && hold.found == ServerAdmin::Ready;
    if (other != host && ours) node.pending_hosts.insert(other);
  }
}

/// A person changed the director: that stands, whatever the log wanted, and runs on the node end.
void adopt(Applying& ap, const std::string& name, const std::string& host,
           const DirectorView& view) {
  NodeState& node = ap.state.nodes.at(name);
  const ServerAdmin now = view.servers.at(name);
  node.holds[host] = {view.process, now, now};
  const Admin admin = admin_of(now, node.admin);
  if (admin == Admin::InService && node.admin == Admin::InService) return;  // mixed: still in
  node.traffic_index = ap.index;
  node.pending_hosts.erase(host);
  if (admin == Admin::InService) undo_elsewhere(node, host);
  const std::string why = "external: a person set " + name + " to " + std::string(to_string(now)) +
                          " at the director on " + host;
  cancel_runs_of(ap, name, why);
  const bool simply_in = admin == Admin::InService && node.verdict == Verdict::Healthy;
  set_admin(ap, name, admin, simply_in ? Owner::Nobody : Owner::Person, why);
}

void reconcile_host(Applying& ap, const std::string& name, const std::string& host,
                    const DirectorView& view) {
  NodeState& node = ap.state.nodes.at(name);
  const auto seen = view.servers.find(name);
  if (seen == view.servers.end()) return;
  const ServerAdmin now = seen->second;
  const bool wants_out = node.admin != Admin::InService;
  const auto hold = node.holds.find(host);
  const bool same_process = hold != node.holds.end() && hold->second.process == view.process;
  if (same_process && !node.pending_hosts.contains(host)) {
    if (now != hold->second.set) adopt(ap, name, host, view);
    return;
  }
  const bool as_wanted = now != ServerAdmin::Mixed && wants_out == (now != ServerAdmin::Ready);
  if (as_wanted) {
    node.holds[host] = {view.process, same_process ? hold->second.found : now, now};
    if (node.pending_hosts.erase(host) > 0) {
      close_trouble(ap, about_drift(host, name), name + " is as the log wants it at " + host);
    }
    return;
  }
  if (!wants_out && !node.pending_hosts.contains(host)) return adopt(ap, name, host, view);
  if (!node.pending_hosts.insert(host).second || hold == node.holds.end()) return;
  open_trouble(ap, about_drift(host, name),
               "the director on " + host + " was restarted (process " + hold->second.process +
                   " → " + view.process + ") and had " + name + " in its traffic");
}

bool misses_something(const State& state, const std::string& host, const std::string& service) {
  return std::ranges::any_of(state.nodes, [&](const auto& entry) {
    return entry.second.service == service && entry.second.pending_hosts.contains(host);
  });
}

bool same_sight(const DirectorView& a, const DirectorView& b) {
  return a.process == b.process && a.servers == b.servers && a.problem == b.problem;
}

/// The kept view is from before a node's last traffic act, and one as of `seen` is not.
bool outdated(const State& state, const std::string& service, const DirectorView& kept,
              Index seen) {
  return std::ranges::any_of(state.nodes, [&](const auto& entry) {
    const NodeState& node = entry.second;
    return node.service == service && kept.seen < node.traffic_index && seen >= node.traffic_index;
  });
}

}  // namespace

void take_directors(Applying& ap, const command::ReportDirectors& report) {
  if (!ap.state.members.contains(report.host)) return;
  for (const auto& [service, view] : report.views) {
    const ServiceSpec* spec = ap.service(service);
    if (spec == nullptr || !has_director(ap.state, *spec, report.host)) continue;
    DirectorView& kept = ap.state.directors[report.host][service];
    if (view.seen < kept.seen) continue;
    kept = view;
    std::erase_if(kept.servers, [&](const auto& server) {
      const auto node = ap.state.nodes.find(server.first);
      return node == ap.state.nodes.end() || node->second.service != service;
    });
    ap.touched.insert(service);
  }
}

void reconcile(Applying& ap, const std::string& name) {
  NodeState& node = ap.state.nodes.at(name);
  const ServiceSpec* service = ap.service(node.service);
  if (service == nullptr || service->traffic.kind.empty()) return;
  if (node.owner == Owner::Person && node.admin == Admin::InService &&
      node.verdict == Verdict::Healthy) {
    node.owner = Owner::Nobody;  // what a person put back is well: the next fault is ours again
  }
  const bool unclear = node.isolation_in_doubt || node.restoration_in_doubt;
  for (const std::string& host : director_hosts(ap.state, *service)) {
    const DirectorView* view = fresh_view(ap.state, host, node);
    if (view == nullptr) continue;
    if (!unclear && !traffic_under_way(ap.state, name)) reconcile_host(ap, name, host, *view);
    const std::string about = "director/" + host + "/" + node.service;
    if (ap.state.troubles.contains(about) && !misses_something(ap.state, host, node.service)) {
      close_trouble(ap, about,
                    "the director of " + node.service + " on " + host +
                        " is reached again and in the wanted state");
    }
  }
}

std::vector<std::string> returned_hosts(const State& state, const std::string& name) {
  const NodeState& node = state.nodes.at(name);
  std::vector<std::string> hosts;
  for (const std::string& host : node.pending_hosts) {
    if (is_live(state, host) && fresh_view(state, host, node) != nullptr) hosts.push_back(host);
  }
  return hosts;
}

command::ReportDirectors news_of(const State& state, const command::ReportDirectors& report) {
  command::ReportDirectors news{report.host, {}};
  const auto of_host = state.directors.find(report.host);
  for (const auto& [service, view] : report.views) {
    if (find_service(state.spec, service) == nullptr) continue;
    const DirectorView* kept = nullptr;
    if (of_host != state.directors.end()) {
      const auto found = of_host->second.find(service);
      if (found != of_host->second.end()) kept = &found->second;
    }
    if (kept == nullptr || !same_sight(*kept, view) || outdated(state, service, *kept, view.seen)) {
      news.views.emplace(service, view);
    }
  }
  return news;
}

std::vector<DirectorWatch> director_watches(const State& state, const std::string& member) {
  std::vector<DirectorWatch> watches;
  for (const ServiceSpec& service : state.spec.services) {
    if (!has_director(state, service, member)) continue;
    DirectorWatch watch{service.name, service.traffic.kind, service.traffic.options, {}};
    for (const NodeSpec& node : service.nodes) {
      watch.servers.emplace(node.name, node.server.empty() ? node.name : node.server);
    }
    watches.push_back(std::move(watch));
  }
  return watches;
}

}  // namespace fettle::core
