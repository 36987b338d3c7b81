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
/// transaction under way may or may not have made it, as a whole (docs/durability.md). While it is
/// full each write fails, which ends the process.
class Disk {
 public:
  /// What a member with real files does in the disk's place.
  struct Files {
    /// The transaction whose keeps were just called is to be made durable.
    std::function<void()> commit;
    /// The process ended; `keep` makes the transaction under way durable in the model. True: the
    /// files say that it was.
    std::function<bool(const std::function<void()>& keep)> crash;
  };
  struct Crash {
    bool torn = false;  // a transaction was under way
    bool kept = false;  // and it is there
  };

  Disk(Clockwork& clock, Rng rng) : clock_(clock), rng_(rng) {}

  void set_latency_max(Instant latency) { latency_max_ = latency; }
  void set_full(bool full) { full_ = full; }
  bool full() const { return full_; }
  void set_on_failure(std::function<void()> failed) { failed_ = std::move(failed); }
  void set_files(Files files) { files_ = std::move(files); }

  /// `keep` changes what is durable; `told` follows when the process may know of it.
  void write(std::function<void()> keep, std::function<void()> told) {
    pending_.push_back({std::move(keep), std::move(told)});
    if (flight_.empty()) fly();
  }
  Crash crash() {
    ++life_;
    Crash crash{.torn = !flight_.empty()};
    const auto keep = [this] {
      for (const Write& write : flight_) write.keep();
    };
    if (files_.crash) {
      crash.kept = files_.crash(keep) && crash.torn;
    } else if (crash.torn && rng_.chance(40)) {
      crash.kept = true;
      keep();
    }
    flight_.clear();
    pending_.clear();
    return crash;
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
      if (full_) return failed_();
      const std::vector<Write> done = std::exchange(flight_, {});
      for (const Write& write : done) write.keep();
      if (files_.commit) files_.commit();
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
  bool full_ = false;
  std::function<void()> failed_;
  Files files_;
  std::vector<Write> pending_;
  std::vector<Write> flight_;
};

}  // namespace fettle::sim
