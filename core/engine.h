// Engine: the replicated machine. apply(index, entry) → effects; nothing else changes it, and it
// reads no clock, socket or file. Every voter applies the same entries and holds equal state; only
// the leader carries out Perform, Cancel and Deliver. One file per concern: verdicts.cc,
// incidents.cc, weigh.cc, limits.cc, runs.cc, attempts.cc, apply_spec.cc, kv.cc, level.cc; all are
// steps of apply().
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/command.h"
#include "core/effect.h"
#include "core/kind.h"
#include "core/state.h"

namespace fettle::core {

struct Applying;

class Engine {
 public:
  /// `actions` are the action kinds (their declarations decide who acts and what may be repeated);
  /// equal on every voter of one level. `supported` is the highest level it takes part in.
  explicit Engine(std::vector<KindSpec> actions, std::uint32_t supported = kEngineLevel);

  /// Applied::halt is set if the entry's level is beyond what is supported.
  Applied apply(Index index, const LogEntry& entry);

  /// Every task that is open and every alert not yet delivered: what a new leader goes on with.
  std::vector<Effect> outstanding() const;

  /// When (engine time) something falls due; the leader then proposes a Wake. kNever: nothing.
  Time next_wake() const;

  /// What `member` watches now.
  std::vector<Watch> watches(const std::string& member) const;

  /// The directors that `member` owns, to be looked at now and then.
  std::vector<DirectorWatch> director_watches(const std::string& member) const;

  const State& state() const { return state_; }

  /// A stable hash of the whole state; equal on every voter at the same index.
  std::uint64_t digest() const;

  /// The whole state as bytes, for a snapshot.
  std::string save() const;
  /// Replaces the state by one that save() made; on an error nothing changed. Refused: it is of a
  /// level beyond what is supported.
  Status load(std::string_view bytes);

 private:
  ClientAnswer carry_out(Applying& ap, const Command& command);

  State state_;
  std::map<std::string, KindSpec> actions_;
  std::uint32_t supported_;
};

}  // namespace fettle::core
