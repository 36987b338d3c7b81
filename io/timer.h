// Timer: calls a function once or repeatedly on its loop. Destroying or stopping it cancels; it may
// be destroyed inside its own function. Not movable: its address is known to the loop.
#pragma once

#include <functional>

#include "core/time.h"
#include "io/handle.h"
#include "io/loop.h"

namespace fettle::io {

class Timer {
 public:
  explicit Timer(Loop& loop);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Calls `fn` once, `after` from now (rounded up to a millisecond). Replaces what was pending.
  void start(core::Duration after, std::function<void()> fn);
  /// Calls `fn` every `every`.
  void start_repeating(core::Duration every, std::function<void()> fn);
  void stop();
  bool active() const;

 private:
  void fire() noexcept;

  Handle<uv_timer_t> handle_;
  std::function<void()> fn_;
  bool repeating_ = false;
};

}  // namespace fettle::io
