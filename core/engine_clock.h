// EngineClock: engine time as one member reads it, to stamp entries with (DESIGN §4 "Engine time").
// It goes on from the last entry that another leader stamped, by this host's own clock; of the time
// that such an entry was on its way it counts nothing, so that engine time never runs ahead of real
// time from one entry to the next. Its own entries, still on their way to be committed, do not hold
// it up: or the more was written, the slower time would pass. Pure: the host's clock comes in.
#pragma once

#include "base/check.h"
#include "core/time.h"

namespace fettle::core {

class EngineClock {
 public:
  /// `local`: the host's clock now.
  explicit EngineClock(Time local) : local_(local) {}

  /// An entry was applied, or a snapshot taken over, and engine time is `engine_now` after it.
  /// `own`: this member stamped it, in the term in which it still leads.
  void applied(Time engine_now, Time local, bool own) {
    if (own && engine_now <= read(local)) return;
    engine_ = engine_now;
    if (FETTLE_MUTANT(core_engine_time_runs_ahead) && local_.ns != 0) return;
    local_ = local;
  }
  /// Engine time by the host's clock `local`.
  Time read(Time local) const { return engine_ + (local - local_); }

 private:
  Time engine_;
  Time local_;
};

}  // namespace fettle::core
