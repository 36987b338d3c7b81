#include "core/apply_spec.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "core/codec.h"
#include "core/incidents.h"
#include "core/level.h"
#include "core/limits.h"
#include "core/liveness.h"
#include "core/ring.h"
#include "core/runs.h"
#include "core/troubles.h"
#include "core/verdicts.h"

namespace fettle::core {
namespace {

ClientAnswer refused(Code code, std::string text) {
  return {.ok = false, .code = code, .text = std::move(text)};
}

template <typename T>
void add_missing(const std::vector<T>& before, const std::vector<T>& after, const char* kind,
                 std::vector<std::string>& deleted) {
  for (const T& old : before) {
    const bool kept =
        std::ranges::any_of(after, [&](const T& now) { return now.name == old.name; });
    if (!kept) deleted.push_back(std::string(kind) + " " + old.name);
  }
}

std::vector<std::string> deletions(const Spec& before, const Spec& after) {
  std::vector<std::string> deleted;
  add_missing(before.services, after.services, "service", deleted);
  add_missing(before.playbooks, after.playbooks, "playbook", deleted);
  add_missing(before.receivers, after.receivers, "receiver", deleted);
  for (const ServiceSpec& service : before.services) {
    for (const NodeSpec& node : service.nodes) {
      if (find_node(after, node.name) == nullptr) deleted.push_back("node " + node.name);
    }
  }
  return deleted;
}

/// What an observer must know of a node; a change of it makes older opinions count no more.
std::string watch_bytes(const ServiceSpec& service, const NodeSpec& node) {
  Writer writer;
  writer(node.address, service.probes, service.confirm_gap);
  return writer.take();
}

Duration start_period(const ServiceSpec& service) {
  Duration longest{0};
  for (const ProbeSpec& probe : service.probes) longest = std::max(longest, probe.start_period);
  return longest;
}

/// What its directors showed of it goes, too: it would be taken for a look at one that is added
/// under its name later.
void remove_node(Applying& ap, const std::string& name) {
  for (auto& [host, views] : ap.state.directors) {
    for (auto& [service, view] : views) view.servers.erase(name);
  }
  cancel_runs_of(ap, name, name + " was removed from the spec");
  resolve_removed(ap, name);
  ap.state.joined.erase(name);
  ap.state.nodes.erase(name);
}

void add_nodes(Applying& ap) {
  for (const ServiceSpec& service : ap.state.spec.services) {
    ap.touched.insert(service.name);
    for (const NodeSpec& spec : service.nodes) {
      NodeState& node = ap.state.nodes[spec.name];
      if (node.service.empty()) {
        node.since = node.admin_since = ap.state.wall;
        node.verdict_at = ap.state.now;
        node.reason = "no quorum of its observers has a view yet";
        const Duration start = start_period(service);
        if (start.count() > 0) node.start_until = ap.state.now + start;
      }
      node.service = service.name;
    }
  }
}

std::size_t observer_count(const State& state, const ServiceSpec& service) {
  const std::size_t wanted = service.observers == 0 ? 3 : service.observers;
  return std::min(wanted, live_count(state));
}

/// One of the live members at the service's director, or nobody.
std::string observer_at_director(const State& state, const ServiceSpec& service) {
  for (const std::string& host : director_hosts(state, service)) {
    if (is_live(state, host)) return host;
  }
  return "";
}

/// Gives the node other observers. Those who stay keep their opinions; one who joins counts from
/// its own rise or fall on, and the verdict stands until then.
void replace_observers(Applying& ap, const std::string& name, std::vector<std::string> observers) {
  NodeState& node = ap.state.nodes.at(name);
  const bool anew = node.watch_revision == 0 || ap.state.level < kLevel2;
  const auto before = std::exchange(node.observers, std::move(observers));
  if (anew) {
    node.watch_revision = ap.index.value;
    if (!FETTLE_MUTANT(core_old_watch_counted)) node.opinions.clear();
    ap.state.joined.erase(name);
    return;
  }
  const auto holds = [](const std::vector<std::string>& list, const std::string& one) {
    return std::ranges::find(list, one) != list.end();
  };
  auto& joined = ap.state.joined[name];
  for (const std::string& observer : before) {
    if (holds(node.observers, observer)) continue;
    if (!FETTLE_MUTANT(core_dead_members_opinions_counted)) node.opinions.erase(observer);
    joined.erase(observer);
  }
  for (const std::string& observer : node.observers) {
    if (!holds(before, observer)) joined[observer] = ap.index.value;
  }
  if (joined.empty()) ap.state.joined.erase(name);
  ap.touched.insert(node.service);
  update_verdict(ap, name);
}

}  // namespace

void forget_what_left(Applying& ap) {
  for (auto& [name, node] : ap.state.nodes) {
    const ServiceSpec* service = ap.service(node.service);
    const auto foreign = [&](const std::string& host) {
      return service == nullptr || !has_director(ap.state, *service, host);
    };
    std::erase_if(node.pending_hosts, foreign);
    std::erase_if(node.holds, [&](const auto& hold) { return foreign(hold.first); });
  }
  for (auto& [host, views] : ap.state.directors) {
    std::erase_if(views, [&](const auto& view) { return ap.service(view.first) == nullptr; });
  }
  std::vector<std::string> gone;
  for (const auto& [about, id] : ap.state.troubles) {
    if (about.starts_with(kAboutMember)) continue;
    const std::string of = about.substr(about.rfind('/') + 1);
    const auto node = ap.state.nodes.find(of);
    const std::string& service = node == ap.state.nodes.end() ? of : node->second.service;
    const ServiceSpec* spec = ap.service(service);
    const std::size_t slash = about.find('/');
    const std::string host = about.substr(slash + 1, about.rfind('/') - slash - 1);
    const bool of_host = about.rfind('/') != slash;  // kind/host/what, else kind/what
    if (spec == nullptr || (of_host && !has_director(ap.state, *spec, host))) {
      gone.push_back(about);
    }
  }
  for (const std::string& about : gone) close_trouble(ap, about, "it left the spec");
}

void assign_observers(Applying& ap) {
  std::vector<RingMember> members;
  for (const auto& [name, facts] : ap.state.members) {
    if (is_live(ap.state, name)) members.push_back({name, facts.zone});
  }
  const Ring& ring = ap.ring.of(std::move(members));
  for (const ServiceSpec& service : ap.state.spec.services) {
    const std::string at_director = observer_at_director(ap.state, service);
    const std::size_t count = observer_count(ap.state, service);
    for (const NodeSpec& spec : service.nodes) {
      const NodeState& node = ap.state.nodes.at(spec.name);
      auto observers = ring.observers(spec.name, count, at_director);
      if (observers == node.observers && node.watch_revision != 0) continue;
      replace_observers(ap, spec.name, std::move(observers));
    }
  }
  ap.effects.emplace_back(effect::WatchesChanged{});
}

void reassign(Applying& ap) {
  assign_observers(ap);
  for (const ServiceSpec& service : ap.state.spec.services) ap.touched.insert(service.name);
}

ClientAnswer apply_spec(Applying& ap, const command::ApplySpec& command) {
  State& state = ap.state;
  if (!command.any_base && command.base != state.revision) {
    return refused(Code::Conflict, "the spec moved: revision " + std::to_string(state.revision) +
                                       ", yours was based on " + std::to_string(command.base));
  }
  if (state.revision > 0 && encode(command.spec) == encode(state.spec)) {
    return {.text = "unchanged", .number = state.revision};
  }
  const auto deleted = deletions(state.spec, command.spec);
  if (!deleted.empty() && command.removal == command::Removal::Refuse) {
    std::string list;
    for (const std::string& one : deleted) list += (list.empty() ? "" : ", ") + one;
    return refused(Code::Conflict, "this would delete " + list + ": apply with --prune");
  }
  if (command.removal != command::Removal::Abandon) {
    for (const auto& [name, node] : state.nodes) {
      if (find_node(command.spec, name) != nullptr || node.owner != Owner::Fettle) continue;
      return refused(Code::Conflict, name +
                                         " is held isolated by Fettle: restore it first, or apply "
                                         "with --force abandon, and it stays so at its director");
    }
  }
  std::vector<std::string> removed;
  std::vector<std::string> rewatched;
  for (const auto& [name, node] : state.nodes) {
    const NodeSpec* before = find_node(state.spec, name);
    const NodeSpec* after = find_node(command.spec, name);
    if (after == nullptr) {
      removed.push_back(name);
      continue;
    }
    for (const ServiceSpec& service : command.spec.services) {
      const bool mine =
          std::ranges::any_of(service.nodes, [&](const NodeSpec& n) { return n.name == name; });
      if (!mine) continue;
      const ServiceSpec* old_service = find_service(state.spec, node.service);
      if (watch_bytes(*old_service, *before) != watch_bytes(service, *after))
        rewatched.push_back(name);
    }
  }
  for (const std::string& name : removed) remove_node(ap, name);
  state.spec = command.spec;
  ++state.revision;
  for (const std::string& name : rewatched) state.nodes.at(name).watch_revision = 0;
  add_nodes(ap);
  forget_what_left(ap);
  assign_observers(ap);
  ap.happened({.kind = "spec.applied",
               .value = std::to_string(state.revision),
               .reason = "applied by " + command.by});
  return {.text = "revision " + std::to_string(state.revision), .number = state.revision};
}

}  // namespace fettle::core
