#include "core/members.h"

#include <algorithm>

#include "core/apply_spec.h"
#include "core/level.h"
#include "core/liveness.h"

namespace fettle::core {
namespace {

ClientAnswer refused(Code code, std::string text) {
  return {.ok = false, .code = code, .text = std::move(text)};
}

std::size_t agent_count(const State& state) {
  return static_cast<std::size_t>(std::ranges::count_if(
      state.members, [](const auto& member) { return member.second.role == MemberRole::Agent; }));
}

/// Why these facts are not taken; an answer that is ok: they are, or they are known.
ClientAnswer check_facts(const State& state, const MemberFacts& facts) {
  const auto known = state.members.find(facts.name);
  if (known == state.members.end()) {
    const bool joins = facts.role == MemberRole::Agent && state.level >= kLevel2;
    if (!joins) return refused(Code::NotFound, facts.name + " is not a member");
    if (agent_count(state) >= kAgentsMax) {
      return refused(Code::Refused, "there are " + std::to_string(kAgentsMax) + " agents already");
    }
    return {};
  }
  if (state.level >= kLevel2 && known->second.role != facts.role) {
    return refused(Code::Conflict, facts.name + " is a member already, as " +
                                       std::string(to_string(known->second.role)));
  }
  const std::string& before = known->second.incarnation;
  if (!before.empty() && before != facts.incarnation) {
    return refused(Code::Conflict, facts.name + " is known under another incarnation");
  }
  return {};
}

/// True: something changed.
bool keep_facts(State& state, const MemberFacts& facts) {
  MemberFacts& kept = state.members[facts.name];
  if (kept == facts) return false;
  kept = facts;
  return true;
}

void tell_facts(Applying& ap, const std::string& name) {
  ap.happened({.kind = "member.changed", .value = name, .reason = name + " said who it is"});
}

/// Nothing stays of hosts that are none any more, and the others watch.
void members_changed(Applying& ap) {
  forget_what_left(ap);
  reassign(ap);
}

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
  if (changed) members_changed(ap);
}

ClientAnswer set_facts(Applying& ap, const command::SetFacts& command) {
  ClientAnswer answer = check_facts(ap.state, command.facts);
  if (!answer.ok || !keep_facts(ap.state, command.facts)) return answer;
  members_changed(ap);
  tell_facts(ap, command.facts.name);
  return answer;
}

ClientAnswer remove_agent(Applying& ap, const command::RemoveAgent& command) {
  const auto found = ap.state.members.find(command.name);
  if (found == ap.state.members.end() || found->second.role != MemberRole::Agent) {
    return refused(Code::NotFound, command.name + " is no agent of this group");
  }
  remove_member(ap, command.name);
  members_changed(ap);
  return {.text = command.name + " is removed: stop its daemon, or it joins again"};
}

ClientAnswer update_members(Applying& ap, const command::UpdateMembers& command) {
  std::vector<std::string> said;
  for (const MemberFacts& facts : command.facts) {
    const bool good = check_facts(ap.state, facts).ok;
    if (good && keep_facts(ap.state, facts)) said.push_back(facts.name);
  }
  const LivenessNews news = take_liveness(ap.state, command.lost, command.back);
  if (said.empty() && news.empty()) return {.text = "nothing new"};
  if (said.empty()) {
    reassign(ap);
  } else {
    members_changed(ap);
  }
  for (const std::string& name : said) tell_facts(ap, name);
  tell_liveness(ap, news);
  return {.text = std::to_string(said.size() + news.lost.size() + news.back.size()) + " members"};
}

void keep_only(Applying& ap, const std::string& survivor, std::uint64_t generation_seen) {
  State& state = ap.state;
  state.generation = std::max(state.generation, generation_seen) + 1;
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
  members_changed(ap);
  ap.happened({.kind = "member.alone",
               .value = survivor,
               .reason = survivor + " goes on alone, as generation " +
                         std::to_string(state.generation) + ": all others are given up"});
}

}  // namespace fettle::core
