// Limping: whether a leader that still answers is too slow to lead (DESIGN §5 "A limping leader").
// Pure: it is told each look's time and numbers.
#pragma once

#include <optional>

#include "core/time.h"

namespace fettle::daemon {

class Limping {
 public:
  /// So long without one good look, and the leader hands over.
  static constexpr core::Duration kAfter = std::chrono::seconds(5);
  /// At most once in this time, so that two slow hosts do not pass it to and fro.
  static constexpr core::Duration kPause = std::chrono::minutes(10);

  /// `slowest`: the worst of loop lag and commit latency since the look before. True: hand over
  /// now.
  bool look(core::Time now, core::Duration slowest, core::Duration election_timeout) {
    if (slowest <= election_timeout / 2) {
      since_.reset();
      return false;
    }
    if (!since_) since_ = now;
    if (now - *since_ < kAfter) return false;
    if (handed_over_ && now - *handed_over_ < kPause) return false;
    handed_over_ = now;
    since_.reset();
    return true;
  }
  /// Another leads: its own looks count.
  void forget() { since_.reset(); }

 private:
  std::optional<core::Time> since_;
  std::optional<core::Time> handed_over_;
};

}  // namespace fettle::daemon
