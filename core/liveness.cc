#include "core/liveness.h"

#include "base/check.h"
#include "core/apply_spec.h"
#include "core/troubles.h"

namespace fettle::core {
namespace {

ClientAnswer refused(Code code, std::string text) {
  return {.ok = false, .code = code, .text = std::move(text)};
}

std::string about(const std::string& member) { return kAboutMember + member; }

void changed(Applying& ap, const std::string& kind, const std::string& member,
             const std::string& reason) {
  assign_observers(ap);
  for (const ServiceSpec& service : ap.state.spec.services) ap.touched.insert(service.name);
  ap.happened({.kind = kind, .value = member, .reason = reason});
}

}  // namespace

bool is_live(const State& state, const std::string& member) {
  return state.members.contains(member) && !state.lost.contains(member);
}

std::vector<std::string> live_members(const State& state) {
  std::vector<std::string> live;
  for (const auto& [name, facts] : state.members) {
    if (!state.lost.contains(name)) live.push_back(name);
  }
  return live;
}

ClientAnswer member_lost(Applying& ap, const command::MemberLost& command) {
  State& state = ap.state;
  if (!state.members.contains(command.name)) {
    return refused(Code::NotFound, command.name + " is not a member");
  }
  if (state.lost.contains(command.name)) return {.text = "known to be lost"};
  if (live_members(state).size() <= 1) {
    return refused(Code::Conflict, command.name + " is the last live member");
  }
  state.lost.emplace(command.name, LostMember{state.now, state.wall, command.reason});
  const std::string reason = "member " + command.name + " is lost: " + command.reason;
  changed(ap, "member.lost", command.name, reason);
  open_trouble(ap, about(command.name), reason);
  return {.text = reason};
}

ClientAnswer member_back(Applying& ap, const command::MemberBack& command) {
  if (FETTLE_MUTANT(core_lost_member_stays_lost)) return {};
  if (ap.state.lost.erase(command.name) == 0) return {.text = "it was not lost"};
  const std::string reason = "member " + command.name + " is back";
  changed(ap, "member.back", command.name, reason);
  close_trouble(ap, about(command.name), reason);
  return {.text = reason};
}

}  // namespace fettle::core
