#include "daemon/liveness.h"

#include <algorithm>

namespace fettle::daemon {

void Liveness::up(const std::string& peer, core::Time now) { links_[peer] = {true, now}; }

void Liveness::down(const std::string& peer, core::Time now) { links_[peer] = {false, now}; }

void Liveness::begin_to_lead(core::Time now) {
  leads_since_ = now;
  proposed_.clear();
}

std::vector<core::Command> Liveness::due(const core::State& state, const std::string& self,
                                         core::Time now) {
  std::vector<core::Command> commands;
  for (const auto& [name, facts] : state.members) {
    const bool lost = state.lost.contains(name);
    const Link& link = links_[name];
    const core::Duration standing = now - std::max(link.since, leads_since_);
    const bool is_back = name == self || (link.up && now - link.since >= back_after_);
    const bool is_lost = name != self && !link.up && standing >= lost_after_;
    if (!(lost ? is_back : is_lost)) {
      proposed_.erase(name);
      continue;
    }
    const auto before = proposed_.find(name);
    if (before != proposed_.end() && now - before->second < kAgainAfter) continue;
    proposed_[name] = now;
    if (lost) {
      commands.emplace_back(core::command::MemberBack{name});
    } else {
      commands.emplace_back(core::command::MemberLost{
          name, "the leader has had no link to it for " + core::to_string(lost_after_)});
    }
  }
  return commands;
}

}  // namespace fettle::daemon
