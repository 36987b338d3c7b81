// Loop: one libuv loop and the thread that runs it. Owns the loop's real clock and its mailbox;
// other threads reach it only through post(). Nothing that runs on it may block.
#pragma once

#include <uv.h>

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/time.h"
#include "io/handle.h"

namespace fettle::io {

class Loop {
 public:
  /// Messages that may wait in the mailbox at once.
  static constexpr std::size_t kMailboxMax = 65536;

  Loop();
  /// Every handle of others must be gone; asserts that the loop closes clean.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Runs until stop().
  void run();
  /// Runs what is due and returns when nothing is left but the loop's own handles, or after stop().
  void run_pending();
  /// One turn without waiting; for tearing down what needs the loop to turn.
  void turn();
  /// From any thread.
  void stop();
  /// Runs `message` on the loop's thread, in order. False if the mailbox is full: nothing happens.
  bool post(std::function<void()> message);

  /// Runs `task` once, when what the loop had at hand is done and before it waits again: for what
  /// gathers in a turn and goes out at its end. On the loop's thread.
  void before_waiting(std::function<void()> task);

  /// CLOCK_BOOTTIME, read now: monotonic, and it goes on while the host sleeps.
  static core::Time now();
  /// Wall clock, for people.
  static core::WallTime wall_now();

  /// How late the loop's last regular check came, measured every kLagInterval. Any thread.
  core::Duration lag() const { return core::Duration{lag_ns_.load(std::memory_order_relaxed)}; }
  /// The largest lag() since measure_lag(). Any thread.
  core::Duration lag_max() const {
    return core::Duration{lag_max_ns_.load(std::memory_order_relaxed)};
  }
  static constexpr core::Duration kLagInterval = std::chrono::milliseconds(100);
  /// Starts measuring lag() (it keeps the loop awake ten times a second).
  void measure_lag();

  struct Mailbox {
    std::size_t waiting = 0;  // messages posted and not yet run
    std::size_t most = 0;     // that ever waited
  };
  /// On the loop's thread.
  Mailbox mailbox();

  uv_loop_t* raw() { return &loop_; }

 private:
  void drain() noexcept;
  void end_turn() noexcept;

  uv_loop_t loop_{};
  Handle<uv_async_t> wake_;
  Handle<uv_timer_t> lag_timer_;
  Handle<uv_prepare_t> turn_end_;
  std::vector<std::function<void()>> before_waiting_;
  core::Time lag_due_;
  std::atomic<std::int64_t> lag_ns_{0};
  std::atomic<std::int64_t> lag_max_ns_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::deque<std::function<void()>> mailbox_;
  std::size_t most_waited_ = 0;  // in mailbox_ at once
  std::size_t batch_left_ = 0;   // of drain(), on the loop's thread
};

}  // namespace fettle::io
