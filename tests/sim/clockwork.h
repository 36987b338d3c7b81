// Clockwork: virtual time and a disk on it. Events happen in order of (time, number); nothing else
// moves time. Owns what is still to happen; the world winds it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "base/rng.h"

namespace fettle::sim {

using Instant = std::chrono::nanoseconds;
using std::chrono::milliseconds;

class Clockwork {
 public:
  Instant now() const { return now_; }
  std::uint64_t events() const { return events_; }

  void at(Instant when, std::function<void()> what) {
    queue_.push({std::max(when, now_), ++number_, std::move(what)});
  }
  void after(Instant delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }
  /// Lets the next event happen; false if there is none up to `until`.
  bool step(Instant until) {
    if (queue_.empty() || queue_.top().when > until) {
      now_ = std::max(now_, until);
      return false;
    }
    Happening next = std::move(const_cast<Happening&>(queue_.top()));  // NOLINT: popped right away
    queue_.pop();
    now_ = next.when;
    ++events_;
    next.what();
    return true;
  }

 private:
  struct Happening {
    Instant when;
    std::uint64_t number;
    std::function<void()> what;
    bool operator<(const Happening& other) const {
      return when != other.when ? when > other.when : number > other.number;
    }
  };
  std::priority_queue<Happening> queue_;
  Instant now_{0};
  std::uint64_t number_ = 0;
  std::uint64_t events_ = 0;
};

/// Writes in order, several in one transaction; a crash loses what was not durable, and the
/// transaction under way may or may not have made it.
class Disk {
 public:
  Disk(Clockwork& clock, Rng rng) : clock_(clock), rng_(rng) {}

  void set_latency_max(Instant latency) { latency_max_ = latency; }

  /// `keep` changes what is durable; `told` follows when the process may know of it.
  void write(std::function<void()> keep, std::function<void()> told) {
    pending_.push_back({std::move(keep), std::move(told)});
    if (flight_.empty()) fly();
  }
  void crash() {
    ++life_;
    if (!flight_.empty() && rng_.chance(40)) {
      for (const Write& write : flight_) write.keep();
    }
    flight_.clear();
    pending_.clear();
  }

 private:
  struct Write {
    std::function<void()> keep;
    std::function<void()> told;
  };
  void fly() {
    flight_ = std::exchange(pending_, {});
    if (flight_.empty()) return;
    const auto most = static_cast<std::uint64_t>(latency_max_.count());
    const Instant latency(static_cast<std::int64_t>(rng_.between(most / 10, most)));
    clock_.after(latency, [this, life = life_] {
      if (life != life_) return;
      const std::vector<Write> done = std::exchange(flight_, {});
      for (const Write& write : done) write.keep();
      fly();
      for (const Write& write : done) {
        if (write.told) write.told();
      }
    });
  }

  Clockwork& clock_;
  Rng rng_;
  Instant latency_max_ = milliseconds(4);
  std::uint64_t life_ = 0;
  std::vector<Write> pending_;
  std::vector<Write> flight_;
};

}  // namespace fettle::sim
