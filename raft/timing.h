// Timing: the timeouts of one server, and how they follow from the round trips that it measures.
//
// Each server chooses by itself, and no two need choose alike. What is safe does not depend on it:
// votes, commits and reads count majorities, and no read rests on a leader's lease (ReadIndex,
// thesis 6.4). What works does, so:
// - the heartbeat is not measured. It is the same on every server that measures, a fifth of the
//   least election timeout that any of them may choose: whoever leads, all hear it in time;
// - the election timeout is ten times the round trip to the farthest voter, so that pre-vote, vote
//   and first append (three round trips) end before it, and before that of whoever is as far;
// - a server with a longer timeout than another's grants its vote later, and as leader notices
//   later that nobody answers. A failover takes as long as the longest of the majority that votes.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "raft/messages.h"

namespace fettle::raft {

struct Timing {
  Instant election_timeout{std::chrono::milliseconds(300)};  // T; timers draw from [T, 5/4 T)
  Instant heartbeat{std::chrono::milliseconds(60)};
  /// Between the ranks of those who know that the leader is dead: at least twice the time of a
  /// commit and a round trip, or the second deposes the first.
  Instant evidence_stagger{std::chrono::milliseconds(20)};
  /// Between the earliest and the latest that a timer can run out: 2.5 round trips to the farthest
  /// voter, where T is measured. Short, because the first timer decides; two that run out together
  /// split no vote, since a pre-vote is held for one of them so long (election.cc).
  Instant election_spread() const { return election_timeout / 4; }
  friend bool operator==(const Timing&, const Timing&) = default;
};

/// The newest round trips to one peer. Their median is typical: a peer that was stopped for four
/// seconds answers one round late, and that says nothing of the way to it.
class RoundTrips {
 public:
  static constexpr std::size_t kKept = 9;
  /// Below so many nothing is said.
  static constexpr std::size_t kLeast = 3;

  void add(Instant took);
  /// Nullopt: too few are known.
  std::optional<Instant> typical() const;

 private:
  std::array<Instant, kKept> newest_{};
  std::size_t count_ = 0;  // of all that were added
};

/// A value out of a few fixed ones: grows at once, shrinks by one step at a time, and only when a
/// smaller one would have done for a while.
class Steps {
 public:
  /// Ascending and not empty; outlives this.
  explicit Steps(std::span<const Instant> values) : values_(values) {}

  /// The least of the values that is not below `wanted`, or what keeps it from shrinking yet.
  Instant look(Instant now, Instant wanted);

 private:
  std::span<const Instant> values_;
  std::size_t at_ = 0;
  std::optional<Instant> enough_since_;  // a smaller one would have done since then
};

class TimingChooser {
 public:
  static constexpr Instant kElectionMin{std::chrono::milliseconds(300)};
  static constexpr Instant kElectionMax{std::chrono::seconds(5)};
  static constexpr int kElectionRoundTrips = 10;
  static constexpr int kStaggerRoundTrips = 3;
  /// How long a shorter timeout must have been enough before it is taken.
  static constexpr Instant kShrinkAfter{std::chrono::seconds(60)};

  /// `set`: election timeout and heartbeat as a person gave them, which stay; the stagger is
  /// measured all the same.
  explicit TimingChooser(std::optional<Timing> set);

  /// `farthest`: the typical round trip to the voter that is farthest. Nullopt, as long as none is
  /// known, changes nothing.
  Timing look(Instant now, std::optional<Instant> farthest);
  const Timing& timing() const { return timing_; }

 private:
  bool is_set_;
  Timing timing_;
  Steps election_;
  Steps stagger_;
};

/// What a commit waits for at least, as its leader measures it: the round trip to the farthest of
/// the nearest voters that make a majority. `own_vote`: the leader is one of them. `others`: the
/// typical round trip to each other voter, nullopt where none is known, which counts as never.
/// Nullopt: no majority is known.
std::optional<Instant> quorum_round_trip(bool own_vote,
                                         const std::vector<std::optional<Instant>>& others);

}  // namespace fettle::raft
