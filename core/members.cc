#include "core/members.h"

#include <algorithm>

#include "core/apply_spec.h"
#include "core/liveness.h"

namespace fettle::core {
namespace {

void remove_member(Applying& ap, const std::string& name) {
  member_back(ap, {name});  // its absence troubles nobody any more
  ap.state.members.erase(name);
  ap.state.directors.erase(name);
  ap.happened({.kind = "member.removed",
               .value = name,
               .reason = "member " + name + " was removed from the group"});
}

void add_member(Applying& ap, const std::string& name) {
  MemberFacts facts;
  facts.name = name;
  ap.state.members.emplace(name, std::move(facts));
  ap.happened({.kind = "member.added",
               .value = name,
               .reason = "member " + name + " was added to the group"});
}

}  // namespace

void configure_members(Applying& ap, const std::vector<std::string>& servers) {
  std::vector<std::string> gone;
  for (const auto& [name, facts] : ap.state.members) {
    const bool holds_log = facts.role == MemberRole::Voter;
    if (holds_log && std::ranges::find(servers, name) == servers.end()) gone.push_back(name);
  }
  bool changed = !gone.empty();
  for (const std::string& name : gone) remove_member(ap, name);
  for (const std::string& name : servers) {
    if (ap.state.members.contains(name)) continue;
    add_member(ap, name);
    changed = true;
  }
  if (!changed) return;
  forget_what_left(ap);
  assign_observers(ap);
  for (const ServiceSpec& service : ap.state.spec.services) ap.touched.insert(service.name);
}

void keep_only(Applying& ap, const std::string& survivor) {
  State& state = ap.state;
  ++state.generation;
  MemberFacts facts;
  facts.name = survivor;
  while (!state.lost.empty()) member_back(ap, {state.lost.begin()->first});
  state.members = {{survivor, std::move(facts)}};
  std::erase_if(state.directors, [&](const auto& host) { return host.first != survivor; });
  // An attempt under way keeps its key: the host that has done it says so and does nothing again.
  for (auto& [id, run] : state.runs) {
    for (StepProgress& step : run.steps) {
      for (TaskProgress& task : step.tasks) task.task.fence.generation = state.generation;
    }
  }
  forget_what_left(ap);
  assign_observers(ap);
  for (const ServiceSpec& service : state.spec.services) ap.touched.insert(service.name);
  ap.happened({.kind = "member.alone",
               .value = survivor,
               .reason = survivor + " goes on alone, as generation " +
                         std::to_string(state.generation) + ": all others are given up"});
}

}  // namespace fettle::core
