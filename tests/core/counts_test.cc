// Stories of what a member counts of the log: each event once, under the words it came with.
#include "core/counts.h"

#include <gtest/gtest.h>

namespace fettle::core {
namespace {

using std::chrono::milliseconds;

template <typename Enum, std::size_t N>
std::uint64_t of(const std::array<std::uint64_t, N>& counts, Enum value) {
  return counts.at(static_cast<std::size_t>(value));
}

Event event_of(std::string kind, std::string value) {
  Event event;
  event.kind = std::move(kind);
  event.value = std::move(value);
  event.incident = IncidentId{1};
  event.run = RunId{1};
  return event;
}

TEST(EventCounts, AnIncidentIsOpenedAndResolvedWithItsTimes) {
  State state;
  Incident& incident = state.incidents[IncidentId{1}];
  incident.mttd_ms = 80;
  EventCounts counts;
  counts.count(event_of("incident.opened", "down"), state);
  incident.mttr_ms = 42000;
  counts.count(event_of("incident.resolved", ""), state);
  EXPECT_EQ(counts.incidents_opened, 1U);
  EXPECT_EQ(counts.incidents_resolved, 1U);
  EXPECT_EQ(counts.detection.sum(), milliseconds(80));
  EXPECT_EQ(counts.recovery.sum(), milliseconds(42000));
}

TEST(EventCounts, ARunIsCountedUnderItsModeAndEnd) {
  State state;
  state.runs[RunId{1}].mode = Mode::Observe;
  EventCounts counts;
  counts.count(event_of("run.started", "replace"), state);
  counts.count(event_of("run.finished", "rolled_back"), state);
  EXPECT_EQ(of(counts.runs_started, Mode::Observe), 1U);
  const auto& observed = counts.runs_finished.at(static_cast<std::size_t>(Mode::Observe));
  EXPECT_EQ(of(observed, RunState::RolledBack), 1U);
  EXPECT_EQ(of(observed, RunState::Succeeded), 0U);
}

TEST(EventCounts, AFailedAttemptAndALateAnswerAreNoEndOfAStep) {
  EventCounts counts;
  for (const char* value : {"attempt failed", "late answer", "succeeded", "would", "what"}) {
    counts.count(event_of("step.finished", value), {});
  }
  EXPECT_EQ(counts.attempts_failed, 1U);
  EXPECT_EQ(counts.late_answers, 1U);
  EXPECT_EQ(of(counts.steps_finished, StepState::Succeeded), 1U);
  EXPECT_EQ(of(counts.steps_finished, StepState::Would), 1U);
}

TEST(EventCounts, VerdictsTasksAndAlertsByTheirWords) {
  EventCounts counts;
  counts.count(event_of("verdict.changed", "down"), {});
  counts.count(event_of("alert.sent", ""), {});
  counts.count(event_of("alert.failed", ""), {});
  counts.count(TaskResult{.state = TaskState::Refused});
  EXPECT_EQ(of(counts.verdicts, Verdict::Down), 1U);
  EXPECT_EQ(counts.alerts_sent, 1U);
  EXPECT_EQ(counts.alerts_failed, 1U);
  EXPECT_EQ(of(counts.tasks, TaskState::Refused), 1U);
}

TEST(Histogram, ABoundIsInItsBucketAndWhatIsLargerInTheRest) {
  const std::array<Duration, 2> bounds{milliseconds(10), milliseconds(100)};
  Histogram histogram(bounds);
  for (const int ms : {0, 10, 11, 100, 101}) histogram.observe(milliseconds(ms));
  const std::vector<std::uint64_t> counts(histogram.counts().begin(), histogram.counts().end());
  EXPECT_EQ(counts, (std::vector<std::uint64_t>{2, 2, 1}));
  EXPECT_EQ(histogram.count(), 5U);
}

TEST(KindLooks, ALookThatWasNoneHasNoLatency) {
  KindLooks looks;
  looks.count(Outcome::Timeout, milliseconds(500));
  looks.count(Outcome::CannotProbe, milliseconds(0));
  EXPECT_EQ(of(looks.outcomes, Outcome::CannotProbe), 1U);
  EXPECT_EQ(looks.latency.count(), 1U);
}

}  // namespace
}  // namespace fettle::core
