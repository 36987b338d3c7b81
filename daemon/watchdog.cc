// The happy path: a timer fires on the group loop and one on the work loop, each posts its sign of
// life here, and the second of the two feeds the manager. Failure: a loop that does not come round
// posts nothing, so nobody feeds; half an interval later the log says which one it is, and the
// manager ends the process (SIGABRT) and starts it again.
#include "daemon/watchdog.h"

#include <utility>

#include "daemon/log.h"
#include "io/service.h"

namespace fettle::daemon {
namespace {

constexpr std::size_t at(Beat loop) { return static_cast<std::size_t>(loop); }

std::string milliseconds(core::Duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) +
         " ms";
}

}  // namespace

bool Feeding::moved(Beat loop, core::Time now) {
  last_[at(loop)] = now;
  moved_[at(loop)] = true;
  if (!moved_[at(Beat::Group)] || !moved_[at(Beat::Work)]) return false;
  moved_ = {};
  return true;
}

core::Duration Feeding::silence(Beat loop, core::Time now) const { return now - last_[at(loop)]; }

Watchdog::Watchdog(io::Loop& group, io::Loop& work, std::function<std::string()> summary)
    : interval_(io::manager_watch_interval()),
      every_(interval_.count() > 0 ? interval_ / kBeatsPerInterval : kBeatEvery),
      summary_(std::move(summary)),
      group_timer_(group),
      work_timer_(work),
      feeding_(io::Loop::now()) {
  group_timer_.start_repeating(every_, [this] { group_moved(); });
  work_timer_.start_repeating(every_, [this] { work_moved(); });
  group.post([this] { group_moved(); });
  work.post([this] { work_moved(); });
  if (interval_.count() > 0) {
    silence_timer_ = std::make_unique<io::Timer>(loop_);
    silence_timer_->start_repeating(every_, [this] { look_for_silence(); });
  }
  thread_ = std::thread([this] {
    io::name_thread("fettle-watchdog");
    loop_.run();
  });
}

Watchdog::~Watchdog() {
  loop_.stop();
  thread_.join();
}

/// A full mailbox here means that this thread stands still: then nobody feeds, as it should be.
void Watchdog::group_moved() {
  loop_.post([this, status = summary_()]() mutable {
    status_ = std::move(status);
    moved(Beat::Group);
  });
}

void Watchdog::work_moved() {
  loop_.post([this] { moved(Beat::Work); });
}

void Watchdog::moved(Beat loop) {
  if (std::exchange(told_silent_[at(loop)], false)) {
    log::warn(std::string("watchdog.recovered loop=") + (loop == Beat::Group ? "group" : "work"));
  }
  if (!feeding_.moved(loop, io::Loop::now())) return;
  std::string state = "WATCHDOG=1";
  if (!std::exchange(ready_, true)) state += "\nREADY=1";
  if (status_ != told_status_) state += "\nSTATUS=" + status_;
  told_status_ = status_;
  io::notify_manager(state);
}

void Watchdog::look_for_silence() {
  const core::Time now = io::Loop::now();
  for (const Beat loop : {Beat::Group, Beat::Work}) {
    const core::Duration silence = feeding_.silence(loop, now);
    if (silence < interval_ / 2 || std::exchange(told_silent_[at(loop)], true)) continue;
    log::error(std::string("watchdog.silent loop=") + (loop == Beat::Group ? "group" : "work") +
               ": no sign of life for " + milliseconds(silence) +
               "; the service manager ends this process after " + milliseconds(interval_));
  }
}

}  // namespace fettle::daemon
