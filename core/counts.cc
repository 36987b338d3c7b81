#include "core/counts.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace fettle::core {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

template <typename Enum>
std::size_t at(Enum value) {
  return static_cast<std::size_t>(value);
}

/// The value that is spelt `word`.
template <typename Enum>
std::optional<std::size_t> spelt(std::string_view word) {
  for (std::size_t i = 0; i < enum_size<Enum>(); ++i) {
    if (to_string(static_cast<Enum>(i)) == word) return i;
  }
  return std::nullopt;
}

template <std::size_t N>
void add(std::array<std::uint64_t, N>& counts, std::optional<std::size_t> which) {
  if (which) ++counts[*which];
}

void count_incident(EventCounts& counts, const Event& event, const State& state) {
  const bool opened = event.kind == "incident.opened";
  ++(opened ? counts.incidents_opened : counts.incidents_resolved);
  const auto found = event.incident ? state.incidents.find(*event.incident) : state.incidents.end();
  if (found == state.incidents.end()) return;
  const Incident& incident = found->second;
  if (opened) counts.detection.observe(milliseconds(incident.mttd_ms));
  if (!opened && incident.mttr_ms) counts.recovery.observe(milliseconds(*incident.mttr_ms));
}

void count_run(EventCounts& counts, const Event& event, const State& state) {
  const auto found = event.run ? state.runs.find(*event.run) : state.runs.end();
  if (found == state.runs.end()) return;
  const std::size_t mode = at(found->second.mode);
  if (event.kind == "run.started") {
    ++counts.runs_started[mode];
  } else {
    add(counts.runs_finished[mode], spelt<RunState>(event.value));
  }
}

void count_step(EventCounts& counts, const Event& event) {
  if (event.value == "attempt failed") {
    ++counts.attempts_failed;
  } else if (event.value == "late answer") {
    ++counts.late_answers;
  } else {
    add(counts.steps_finished, spelt<StepState>(event.value));
  }
}

}  // namespace

Histogram::Histogram(std::span<const Duration> bounds)
    : bounds_(bounds.begin(), bounds.end()), counts_(bounds.size() + 1) {}

void Histogram::observe(Duration value) {
  const auto bucket = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
  ++counts_[static_cast<std::size_t>(bucket)];
  ++count_;
  sum_ += value;
}

std::span<const Duration> latency_bounds() {
  static constexpr std::array<Duration, 12> kBounds{
      milliseconds(1),   milliseconds(2),    milliseconds(5),    milliseconds(10),
      milliseconds(25),  milliseconds(50),   milliseconds(100),  milliseconds(250),
      milliseconds(500), milliseconds(1000), milliseconds(2500), milliseconds(10000)};
  return kBounds;
}

std::span<const Duration> detection_bounds() {
  static constexpr std::array<Duration, 10> kBounds{
      milliseconds(50),   milliseconds(100),  milliseconds(250), milliseconds(500), seconds(1),
      milliseconds(2500), milliseconds(5000), seconds(10),       seconds(30),       minutes(1)};
  return kBounds;
}

std::span<const Duration> recovery_bounds() {
  static constexpr std::array<Duration, 10> kBounds{
      seconds(1), seconds(5),  seconds(10), seconds(30), minutes(1),
      minutes(5), minutes(15), hours(1),    hours(4),    hours(24)};
  return kBounds;
}

void KindLooks::count(Outcome outcome, Duration took) {
  ++outcomes[at(outcome)];
  if (outcome != Outcome::CannotProbe) latency.observe(took);
}

void EventCounts::count(const Event& event, const State& state) {
  if (event.kind == "verdict.changed") {
    add(verdicts, spelt<Verdict>(event.value));
  } else if (event.kind == "incident.opened" || event.kind == "incident.resolved") {
    count_incident(*this, event, state);
  } else if (event.kind == "run.started" || event.kind == "run.finished") {
    count_run(*this, event, state);
  } else if (event.kind == "step.finished") {
    count_step(*this, event);
  } else if (event.kind == "alert.sent") {
    ++alerts_sent;
  } else if (event.kind == "alert.failed") {
    ++alerts_failed;
  }
}

void EventCounts::count(const TaskResult& result) { ++tasks[at(result.state)]; }

}  // namespace fettle::core
