// Decisions: what the log decided, told entry by entry as somebody applies it first, and what each
// decision must keep to: the spec that was in force, the limits, the playbook that its run began
// with, a key of its own, and that an attempt ends only by its own answer or its deadline. Owns its
// own account of specs, runs and attempts; never changes an engine.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/engine.h"
#include "tests/sim/counts.h"

namespace fettle::sim {

class Decisions {
 public:
  /// What is known of a run since the entry that began it.
  struct RunFacts {
    Index began;
    bool by_person = false;
    bool forced = false;
    bool reasserts = false;      // what the log holds already, at a director that lost it
    bool was_out = false;        // its node, by the log
    std::set<std::string> out;   // all nodes that were out, by the log
    std::uint64_t playbook = 0;  // its bytes' hash
    core::PlaybookSpec pinned;
  };
  struct Attempt {
    Index decided;
    core::Time deadline;
    bool open = true;
    bool was_out = false;  // its node, by the log: what it isolates counted before
  };
  struct Limits {
    std::uint32_t max_isolated = 0;
    std::size_t nodes = 0;
  };

  explicit Decisions(Counts& counts) : counts_(counts) {}

  /// An entry that nobody applied before, and the state after it; `entry` null: no command.
  /// `unlimited`: a person passed the limits, or changed a director by hand.
  void applied(Index index, const core::Engine& engine, const core::Applied& applied,
               const core::LogEntry* entry, bool unlimited);

  /// The newest one.
  const core::Spec& spec() const { return spec_; }
  std::uint64_t revision() const { return revision_; }
  /// Of the newest spec.
  bool is_director(const std::string& host) const;
  /// Those that the spec before it did not name.
  const std::set<std::string>& new_directors() const { return new_directors_; }
  /// The node stands in every spec since before `index`.
  bool in_spec_since(const std::string& node, Index index) const;
  /// The widest that were in force at `index` or later.
  Limits limits_since(const std::string& service, Index index) const;
  const RunFacts* run(RunId id) const;
  const Attempt* attempt(const core::TaskKey& key) const;

  const std::string& violation() const { return violation_; }

 private:
  void broken(std::string what) {
    if (violation_.empty()) violation_ = std::move(what);
  }
  void takes_spec(Index index, const core::State& state);
  void began(Index index, const core::State& state, const core::Run& run);
  void performs(Index index, const core::State& state, const core::Task& task);
  void isolates(Index index, const core::State& state, const core::Task& task);
  void raises_level(const core::State& state);
  void closes_attempts(const core::State& state);

  Counts& counts_;
  core::Spec spec_;
  std::uint64_t revision_ = 0;
  std::map<std::string, Index> joined_;                    // nodes of the spec
  std::map<std::string, std::map<Index, Limits>> limits_;  // by service, since
  std::set<std::string> new_directors_;
  std::map<RunId, RunFacts> runs_;
  std::map<core::TaskKey, Attempt> attempts_;
  std::set<core::TaskKey> open_;
  std::set<core::TaskKey> answered_;  // in the log
  std::string violation_;
};

}  // namespace fettle::sim
