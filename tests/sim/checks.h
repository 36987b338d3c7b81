// Checks: what must hold of the whole of Fettle after every event: one act a key, fences, limits,
// verdicts that a quorum saw, alerts and answers that are not lost, equal state at equal positions.
// It is told what really happened; the first broken rule stays as a sentence.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "core/engine.h"
#include "core/executor.h"
#include "tests/sim/counts.h"
#include "tests/sim/decisions.h"

namespace fettle::sim {

class Checks {
 public:
  explicit Checks(Counts& counts) : counts_(counts), decisions_(counts) {}

  // Of hosts and directors.
  void acts(const std::string& host, const core::Task& task);
  void ended(const std::string& host, const core::Task& task);
  void seen_undone(const core::TaskKey& key) { undone_.insert(key); }
  void isolates(const std::string& host, const std::string& node, const core::TaskKey& key);
  /// A person changed a director: what is out is not Fettle's alone any more.
  void meddled() { forced_ = true; }
  void restores(const std::string& host, const std::string& node);
  /// A program has begun its work; it may not once more for the same step of the same run, unless
  /// its own exit code said that it failed.
  void program_ran(const core::TaskKey& key);
  void program_said_no(const core::TaskKey& key);
  /// The newest term that the host's journal holds.
  void fence_persisted(const std::string& host, Term term);

  // Of observers.
  void looked(const std::string& observer, const std::string& node, bool failed);
  void forgot(const std::string& observer);  // its process started again
  /// It watches the node anew, by another spec: older looks say nothing of it.
  void rewatched(const std::string& observer, const std::string& node) {
    failures_.erase({observer, node});
  }
  void says(const std::string& observer, const core::Opinion& opinion, std::uint32_t fall);

  // Of engines and clients.
  /// `entry` null: no command. `real`: the time since before any clock of the
  /// group's began.
  void applied(const std::string& member, Index index, const core::Engine& engine,
               const core::Applied& applied, const core::LogEntry* entry, core::Duration real);
  /// A member took over a snapshot of the state at `index`.
  void restored(const std::string& member, Index index, const core::Engine& engine) {
    holds(member, index, engine);
  }
  void received(const std::string& key, IncidentId incident, core::AlertStatus status);
  void answered(const std::string& client, const core::ClientAnswer& answer);
  /// What must hold once all is healed and quiet.
  void at_end(const core::Engine& leader);

  void broken(std::string what) {
    if (violation_.empty()) violation_ = std::move(what);
  }
  const std::string& violation() const {
    return violation_.empty() ? decisions_.violation() : violation_;
  }
  const Decisions& decisions() const { return decisions_; }
  /// True once every firing alert that was ever queued was received.
  bool all_alerts_received() const;

 private:
  void holds(const std::string& member, Index index, const core::Engine& engine);
  void first_applied(Index index, const core::Engine& engine, const core::Applied& applied,
                     const core::LogEntry* entry, core::Duration real);
  void performs(Index index, const core::Engine& engine, const core::Task& task);
  void delivers(const core::Engine& engine, const std::string& key);
  void counts_as_out(const std::string& node, const Decisions::RunFacts& run, Index decided);
  void run_started(Index index, const core::Event& event, const core::Engine& engine);
  void happened(Index index, const core::Event& event, const core::Engine& engine);
  void no_longer_out();
  void verdict_down(Index index, const std::string& node, const core::Engine& engine);

  std::set<core::TaskKey> acted_, undone_;
  std::map<std::pair<std::string, std::string>, core::TaskKey> acting_;  // by host, resource
  std::map<std::pair<RunId, std::uint32_t>, core::TaskKey> ran_;         // by run, step
  std::map<std::string, Term> fences_;                                   // durable, by host
  std::map<std::string, std::set<std::string>> out_;                     // node → hosts
  /// By an unforced act, until no living director holds it out: a restore is done when every
  /// living one confirmed.
  std::set<std::string> out_freely_;
  std::set<std::string> lost_;  // members that the log calls lost
  bool forced_ = false;         // a person passed the limits, or meddled with a director
  std::map<std::pair<std::string, std::string>, std::uint32_t> failures_;  // observer, node
  /// By observer, sequence: the revision of the watch it looked by.
  std::map<std::pair<std::string, std::uint64_t>, std::uint64_t> backed_;
  std::map<Index, std::pair<std::uint64_t, std::string>> digests_;
  std::map<std::string, std::pair<IncidentId, core::AlertStatus>> alerts_;
  std::set<std::string> received_;
  std::map<std::string, core::ClientAnswer> answers_;
  std::string violation_;
  Counts& counts_;
  Decisions decisions_;
};

}  // namespace fettle::sim
