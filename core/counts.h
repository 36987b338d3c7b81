// Counts: what one process counts since its start for those who watch Fettle itself. Plain data;
// nothing is decided by it. Each part belongs to the loop that counts it and is copied to others.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/state.h"
#include "core/time.h"
#include "core/words.h"

namespace fettle::core {

/// How many values of an enum there are: its arrays are indexed by the value.
template <typename Enum>
constexpr std::size_t enum_size() {
  return static_cast<std::size_t>(enum_last(Enum{})) + 1;
}

/// Durations counted into fixed buckets.
class Histogram {
 public:
  /// `bounds`: the buckets' inclusive upper bounds, ascending; beyond the last stands "the rest".
  explicit Histogram(std::span<const Duration> bounds);

  void observe(Duration value);

  std::span<const Duration> bounds() const { return bounds_; }
  /// Per bucket, not cumulative; one more than bounds(), the last being the rest.
  std::span<const std::uint64_t> counts() const { return counts_; }
  std::uint64_t count() const { return count_; }
  Duration sum() const { return sum_; }

 private:
  std::vector<Duration> bounds_;
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  Duration sum_{0};
};

/// 1 ms to 10 s: what a network or a disk may take.
std::span<const Duration> latency_bounds();
/// 50 ms to 1 min: until a quorum has seen a fault.
std::span<const Duration> detection_bounds();
/// 1 s to 1 day: until an incident is over.
std::span<const Duration> recovery_bounds();

/// The looks of one probe kind.
struct KindLooks {
  std::array<std::uint64_t, enum_size<Outcome>()> outcomes{};
  Histogram latency{latency_bounds()};  // of every look that was one: not of cannot_probe

  void count(Outcome outcome, Duration took);
};

/// The looking side of a host.
struct LookCounts {
  std::map<std::string, KindLooks> kinds;
  Histogram late{latency_bounds()};  // how long after its due time a look began
  std::uint64_t missed = 0;          // slots that passed while the look before was still out
};

/// What the log's entries made happen. A function of the entries that were counted: members that
/// counted the same entries hold the same numbers.
struct EventCounts {
  std::array<std::uint64_t, enum_size<Verdict>()> verdicts{};  // turns to each
  std::uint64_t incidents_opened = 0;
  std::uint64_t incidents_resolved = 0;
  Histogram detection{detection_bounds()};
  Histogram recovery{recovery_bounds()};
  std::array<std::uint64_t, enum_size<Mode>()> runs_started{};
  std::array<std::array<std::uint64_t, enum_size<RunState>()>, enum_size<Mode>()> runs_finished{};
  std::array<std::uint64_t, enum_size<StepState>()> steps_finished{};
  std::uint64_t attempts_failed = 0;
  std::uint64_t late_answers = 0;
  std::array<std::uint64_t, enum_size<TaskState>()> tasks{};  // hosts' committed answers
  std::uint64_t alerts_sent = 0;
  std::uint64_t alerts_failed = 0;

  /// `state` as it is after the entry that the event is of.
  void count(const Event& event, const State& state);
  void count(const TaskResult& result);
};

}  // namespace fettle::core
