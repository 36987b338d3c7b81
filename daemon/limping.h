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

  /// What takes longer than this is slow.
  static constexpr core::Duration patience_of(core::Duration election_timeout) {
    return election_timeout / 2;
  }

  /// The worst since the look before, of the loop's lag and of the writes to the log; `write`
  /// nullopt: there was none, which says nothing of the disk. True: hand over now.
  bool look(core::Time now, core::Duration lag, std::optional<core::Duration> write,
            core::Duration patience) {
    loop_.note(now, lag > patience);
    if (write) disk_.note(now, *write > patience);
    if (!loop_.lasts(now) && !disk_.lasts(now)) return false;
    if (handed_over_ && now - *handed_over_ < kPause) return false;
    handed_over_ = now;
    forget();
    return true;
  }
  /// Another leads: its own looks count.
  void forget() { loop_ = disk_ = Slow{}; }

 private:
  /// Slow looks in a row, no two of them further apart than kAfter.
  struct Slow {
    std::optional<core::Time> since;
    core::Time newest;

    void note(core::Time now, bool slow) {
      if (!slow || (since && now - newest > kAfter)) since.reset();
      if (!slow) return;
      if (!since) since = now;
      newest = now;
    }
    bool lasts(core::Time now) const { return since && newest == now && now - *since >= kAfter; }
  };

  Slow loop_, disk_;
  std::optional<core::Time> handed_over_;
};

}  // namespace fettle::daemon
