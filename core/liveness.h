// Liveness: which members the group counts on (DESIGN §6 "Assignment"). The leader commits that a
// member is lost, or back; observers are then assigned anew over the live ones, a lost one's
// opinions are dropped, and steps on its host fail at once. One step of apply().
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/applying.h"
#include "core/command.h"

namespace fettle::core {

/// A member of the group that is not committed as lost.
bool is_live(const State& state, const std::string& member);
/// How many they are.
std::size_t live_count(const State& state);
/// By name.
std::vector<std::string> live_members(const State& state);

/// What of it is new, by name.
struct LivenessNews {
  std::vector<std::string> lost;
  std::vector<std::string> back;
  bool empty() const { return lost.empty() && back.empty(); }
};
/// Marks who is lost and who is back, and nothing else: the caller has observers assigned anew
/// (reassign()), then tells (tell_liveness()).
LivenessNews take_liveness(State& state, const std::vector<command::MemberLost>& lost,
                           const std::vector<command::MemberBack>& back);
void tell_liveness(Applying& ap, const LivenessNews& news);

/// Conflict: it is the last live member. NotFound: it is no member. Twice is once.
ClientAnswer member_lost(Applying& ap, const command::MemberLost& command);
ClientAnswer member_back(Applying& ap, const command::MemberBack& command);

}  // namespace fettle::core
