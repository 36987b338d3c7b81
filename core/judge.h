// Judge: one observer's samples of its watched nodes → opinions after rise and fall (DESIGN §7).
// Owns the counters of every watched (node, probe). Never looks, sends or waits; the scheduler of
// the work loop feeds it and follows its wish to look again soon. Nearly every sample ends here.
//
// A probe: `rise` passes in a row make it Healthy. `fall` failures in a row make it bad: Down or
// Degraded as the probe affects; Slow never counts towards Down. CannotProbe counts neither way and
// ends no streak. A probe that affects nothing (Affects::None) has no part in any opinion.
// A class: the worst of its probes, Unknown while none is bad and one has no grade yet. An opinion
// holds the classes that have a grade, and as Unknown those of which a probe could not look `fall`
// times in a row (`blind`, said beside a grade too); a missing class is one that nothing is known
// about.
// The outcome behind a bad grade is the latest when it was reached; a different one replaces it
// once seen `fall` times in a row, so alternating outcomes cost no message each. start_period hides
// nothing here: the engine does that.
//
// Self-doubt: these failures count as CannotProbe, for it may be the observer that is ill:
// - one seen while the observer's own loop lagged more than kLoopLagMax;
// - mass failure: of at least kMassNodesMin watched nodes more than half, on at least two address
//   hosts, turned from passing to failing within the last kMassWindow of sample time. A node turns
//   once until it passes again, so a true mass failure is only delayed: its failures count again
//   kMassWindow after the nodes turned.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/model.h"
#include "core/sample.h"
#include "core/time.h"

namespace fettle::core {

/// What one sample led to.
struct Judgement {
  /// The node's whole opinion, if a grade, the outcome behind a bad one or ends_start changed.
  std::optional<Opinion> opinion;
  /// Look again after confirm_gap, ahead of the slot: this sample failed and `fall` is not reached.
  bool confirm = false;
};

class Judge {
 public:
  /// A late loop makes late looks: above this lag a failed look counts as "could not look".
  static constexpr Duration kLoopLagMax = std::chrono::milliseconds(250);
  static constexpr Duration kMassWindow = std::chrono::seconds(2);
  static constexpr std::size_t kMassNodesMin = 4;

  /// Replaces what is watched. The counters of a (node, revision) that stays are kept.
  void watch(const std::vector<Watch>& watches);

  /// Counts one sample; samples come in the order in which the looks ended. `loop_lag` is the
  /// observer's own recent lag (self-doubt). What is not watched is ignored.
  Judgement observe(const Sample& sample, Duration loop_lag);

  /// Every opinion as it stands, with the sequence it was returned under, ages taken at `now`; for
  /// a new leader or a new link. Nodes that nothing was returned about are left out.
  std::vector<Opinion> table(Time now) const;

 private:
  struct ProbeState {
    ProbeSpec spec;
    std::uint32_t passes = 0;         // in a row
    std::uint32_t failures = 0;       // in a row
    std::uint32_t hard_failures = 0;  // those of the row that are not Slow
    std::uint32_t blind = 0;          // CannotProbe in a row
    std::uint32_t same = 0;           // failures in a row with `latest`
    Outcome latest = Outcome::Pass;
    Verdict grade = Verdict::Unknown;
    Outcome outcome = Outcome::CannotProbe;
    Time streak_began;  // first sample of the current streak of passes or failures
    Time grade_began;   // first sample of the streak that led to the grade
    bool ever_passed = false;
    bool looks_bad = false;  // the last look that could look failed, doubted or not
  };
  struct NodeState {
    std::string host;
    std::uint64_t revision = 0;
    std::uint64_t sequence = 0;
    std::vector<ProbeState> probes;
    std::vector<ClassOpinion> reported;  // ages left at zero
  };
  struct Turn {
    Time at;
    std::string node;
    std::string host;
  };

  bool doubts_itself(const std::string& name, const NodeState& node, ProbeState& probe,
                     const Sample& sample);
  static bool count(ProbeState& probe, const Sample& sample, Outcome outcome);
  static bool count_pass(ProbeState& probe, const Sample& sample);
  static bool count_failure(ProbeState& probe, const Sample& sample, Outcome outcome);
  static std::vector<ClassOpinion> grade(const NodeState& node, Time now);
  static std::optional<ClassOpinion> grade_class(const NodeState& node, FaultClass fault_class,
                                                 Time now);

  std::map<std::string, NodeState> nodes_;
  std::deque<Turn> turns_;  // the last kMassWindow's, one a node at most
  std::uint64_t sequence_ = 0;
};

}  // namespace fettle::core
