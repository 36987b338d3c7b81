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

/// Why the member cannot be taken for lost; an answer that is ok: it can, or it is lost already.
ClientAnswer check_loss(const State& state, const std::string& member) {
  if (!state.members.contains(member)) {
    return refused(Code::NotFound, member + " is not a member");
  }
  if (state.lost.contains(member)) return {.text = "known to be lost"};
  if (live_count(state) <= 1) {
    return refused(Code::Conflict, member + " is the last live member");
  }
  return {};
}

}  // namespace

bool is_live(const State& state, const std::string& member) {
  return state.members.contains(member) && !state.lost.contains(member);
}

std::size_t live_count(const State& state) { return state.members.size() - state.lost.size(); }

std::vector<std::string> live_members(const State& state) {
  std::vector<std::string> live;
  for (const auto& [name, facts] : state.members) {
    if (!state.lost.contains(name)) live.push_back(name);
  }
  return live;
}

LivenessNews take_liveness(State& state, const std::vector<command::MemberLost>& lost,
                           const std::vector<command::MemberBack>& back) {
  LivenessNews news;
  for (const command::MemberBack& one : back) {
    if (FETTLE_MUTANT(core_lost_member_stays_lost)) break;
    if (state.lost.erase(one.name) > 0) news.back.push_back(one.name);
  }
  for (const command::MemberLost& one : lost) {
    if (!check_loss(state, one.name).ok) continue;
    const LostMember since{state.now, state.wall, one.reason};
    if (state.lost.emplace(one.name, since).second) news.lost.push_back(one.name);
  }
  return news;
}

void tell_liveness(Applying& ap, const LivenessNews& news) {
  for (const std::string& name : news.lost) {
    const std::string reason = "member " + name + " is lost: " + ap.state.lost.at(name).reason;
    ap.happened({.kind = "member.lost", .value = name, .reason = reason});
    open_trouble(ap, about(name), reason);
  }
  for (const std::string& name : news.back) {
    const std::string reason = "member " + name + " is back";
    ap.happened({.kind = "member.back", .value = name, .reason = reason});
    close_trouble(ap, about(name), reason);
  }
}

ClientAnswer member_lost(Applying& ap, const command::MemberLost& command) {
  ClientAnswer answer = check_loss(ap.state, command.name);
  const LivenessNews news = take_liveness(ap.state, {command}, {});
  if (news.empty()) return answer;
  reassign(ap);
  tell_liveness(ap, news);
  return {.text = "member " + command.name + " is lost: " + command.reason};
}

ClientAnswer member_back(Applying& ap, const command::MemberBack& command) {
  const LivenessNews news = take_liveness(ap.state, {}, {command});
  if (news.empty()) return {.text = "it was not lost"};
  reassign(ap);
  tell_liveness(ap, news);
  return {.text = "member " + command.name + " is back"};
}

}  // namespace fettle::core
