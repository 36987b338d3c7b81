// Liveness: which members a leader reaches, from its links → what it is to commit of them. Slow on
// purpose in both directions, so that a flapping link moves no observers about. Pure: time comes
// in.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/command.h"
#include "core/state.h"

namespace fettle::daemon {

class Liveness {
 public:
  /// A link that is down this long (beside Links::kSilenceMax, if its peer only fell silent) is a
  /// lost member.
  static constexpr core::Duration kLostAfter = std::chrono::seconds(3);
  /// A link that is up this long is a member that is back.
  static constexpr core::Duration kBackAfter = std::chrono::seconds(2);
  /// What was proposed and is not applied is proposed again after this.
  static constexpr core::Duration kAgainAfter = std::chrono::seconds(2);

  explicit Liveness(core::Duration lost_after = kLostAfter, core::Duration back_after = kBackAfter)
      : lost_after_(lost_after), back_after_(back_after) {}

  void up(const std::string& peer, core::Time now);
  void down(const std::string& peer, core::Time now);
  /// This member leads from now on: nobody's silence before counts.
  void begin_to_lead(core::Time now);

  /// What the leader `self` is to propose now, of members that `state` holds for something else.
  std::vector<core::Command> due(const core::State& state, const std::string& self, core::Time now);

 private:
  struct Link {
    bool up = false;
    core::Time since;
  };

  core::Duration lost_after_;
  core::Duration back_after_;
  std::map<std::string, Link> links_;
  std::map<std::string, core::Time> proposed_;
  core::Time leads_since_;
};

}  // namespace fettle::daemon
