// Watchdog: tells the service manager that this process serves, what it is doing, and that both
// loops still move. Each loop gives a sign of life from a timer of its own; only when both have
// given one since the last feeding is the manager fed. It runs on a third loop and thread: a
// wedged loop cannot feed in its own name, the log can name it before the manager ends the
// process, and a manager that does not read stops neither loop. The disk worker gives no sign: a
// slow disk is no wedge.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "core/time.h"
#include "io/loop.h"
#include "io/timer.h"

namespace fettle::daemon {

enum class Beat : std::size_t { Group, Work };

/// Pure: from the loops' signs of life to when the manager may be fed, and which loop is silent.
class Feeding {
 public:
  /// Counts silences from `now`.
  explicit Feeding(core::Time now) : last_{now, now} {}

  /// `loop` moved at `at`. True: both moved since this was last true; feed now.
  bool moved(Beat loop, core::Time at);
  /// How long `loop` has given no sign, as of `now`.
  core::Duration silence(Beat loop, core::Time now) const;

 private:
  std::array<core::Time, 2> last_;
  std::array<bool, 2> moved_{};
};

class Watchdog {
 public:
  /// How often each loop gives a sign of life when no manager watches (it refreshes STATUS=).
  static constexpr core::Duration kBeatEvery = std::chrono::milliseconds(2500);
  /// Signs of life within the manager's interval. A loop is ended for a stall of a whole interval,
  /// and never for one shorter than an interval less one beat.
  static constexpr int kBeatsPerInterval = 4;

  /// Before `group` and `work` run. `summary` is called on the group loop: one short line for
  /// STATUS=. The first signs of both loops make the process ready (READY=1).
  Watchdog(io::Loop& group, io::Loop& work, std::function<std::string()> summary);
  /// After both loops stopped for good.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  void group_moved();
  void work_moved();
  void moved(Beat loop);
  void look_for_silence();

  const core::Duration interval_;  // the manager's; zero: it does not watch
  const core::Duration every_;
  std::function<std::string()> summary_;
  io::Timer group_timer_;
  io::Timer work_timer_;

  // On the watchdog's own loop.
  io::Loop loop_;
  Feeding feeding_;
  bool ready_ = false;
  std::string status_;
  std::string told_status_;
  std::array<bool, 2> told_silent_{};
  std::unique_ptr<io::Timer> silence_timer_;
  std::thread thread_;
};

}  // namespace fettle::daemon
