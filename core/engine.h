// Engine: the replicated machine. apply(index, entry) → effects; nothing else changes it, and it
// reads no clock, socket or file. Every voter applies the same entries and holds equal state; only
// the leader carries out Perform, Cancel and Deliver. One file per concern: verdicts.cc,
// incidents.cc, weigh.cc, limits.cc, runs.cc, attempts.cc, apply_spec.cc, kv.cc, level.cc; all are
// steps of apply().
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "core/client_table.h"
#include "core/command.h"
#include "core/effect.h"
#include "core/kind.h"
#include "core/ring.h"
#include "core/state.h"

namespace fettle::core {

struct Applying;

class Engine {
 public:
  /// `actions` are the action kinds (their declarations decide who acts and what may be repeated);
  /// equal on every voter of one level. `supported` is the highest level it takes part in.
  explicit Engine(std::vector<KindSpec> actions, std::uint32_t supported = kEngineLevel);

  /// Applied::halt is set if the entry's level is beyond what is supported, or if the leader's
  /// state hash is not this voter's.
  Applied apply(Index index, const LogEntry& entry);

  /// The entry at `index` changed who holds the group's log: `servers`, by name. As apply(), on
  /// every voter and in the log's order; below level 2 and before the group is founded nothing
  /// happens.
  Applied configure(Index index, const std::vector<std::string>& servers);

  /// `survivor` alone is the group from `index` on, by the deliberate act of a person (keep_only).
  void keep_only(Index index, const std::string& survivor, std::uint64_t generation_seen = 0);

  /// Every task that is open and every alert not yet delivered: what a new leader goes on with.
  std::vector<Effect> outstanding() const;

  /// When (engine time) something falls due; the leader then proposes a Wake. kNever: nothing.
  Time next_wake() const;

  /// What `member` watches now.
  std::vector<Watch> watches(const std::string& member) const;
  /// The same of many members in one walk; who watches nothing is left out.
  std::map<std::string, std::vector<Watch>> watches(const std::set<std::string>& members) const;

  /// The directors that `member` owns, to be looked at now and then.
  std::vector<DirectorWatch> director_watches(const std::string& member) const;

  const State& state() const { return state_; }

  /// From level 2 on, the first entry at or past each multiple of this is hashed on every voter.
  static constexpr std::uint64_t kHashEvery = 1000;

  /// A stable hash of the whole state; equal on every voter at the same index.
  std::uint64_t digest() const;

  /// The whole state as bytes, for a snapshot.
  std::string save() const;
  /// Replaces the state by one that save() made; on an error nothing changed. Refused: it is of a
  /// level beyond what is supported.
  Status load(std::string_view bytes);

 private:
  ClientAnswer carry_out(Applying& ap, const Command& command);
  std::optional<std::string> why_halt(Index index, const LogEntry& entry) const;
  void hash_if_due(Index before, Applied& applied);
  Time falls_due() const;
  Time find_due() const;

  static constexpr std::size_t kHashesKept = 16;
  State state_;
  RingCache ring_;
  std::map<std::string, KindSpec> actions_;
  std::uint32_t supported_;
  ClientTable client_table_;  // of state_.clients
  /// When something falls due by the state as it is; found by a walk over every node, once an
  /// entry.
  mutable std::optional<Time> due_;
  /// A repeated command, which changes nothing but the time, came to or past it. Not of the state:
  /// only who leads needs to know, and proposes a Wake.
  bool stepped_over_ = false;
  std::map<Index, std::uint64_t> hashes_;  // of this voter's own state, the newest kHashesKept
};

}  // namespace fettle::core
