// Scheduler: who is due to look. Owns the probes of every watched node and one timer. Each (node,
// probe) has a fixed phase within its interval, on slots of 10 ms, and at most one look in flight.
// What a look means is the judge's: on_sample says whether to look again after confirm_gap, ahead
// of the slot. A kept connection that the node closed makes all probes of the node look, after
// kSettle.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/counts.h"
#include "core/sample.h"
#include "io/timer.h"
#include "probes/probe.h"

namespace fettle::probes {

class Scheduler {
 public:
  static constexpr core::Duration kSlot = std::chrono::milliseconds(10);
  /// From an alarm to the look that it asks for. The kernel closes a dead process's sockets one by
  /// one, its connections often before its listener: a look at once would still find the port open.
  static constexpr core::Duration kSettle = std::chrono::milliseconds(2);
  /// Takes the sample; true: look again after the node's confirm_gap.
  using OnSample = std::function<bool(const core::Sample&)>;

  Scheduler(ProbeContext context, OnSample on_sample);
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// Replaces what is watched; a (node, revision) that stays keeps its probes and connections.
  /// Answers what could not be made, as sentences.
  std::vector<std::string> watch(const std::vector<core::Watch>& watches);

  /// Of every look since the start.
  const core::LookCounts& counts() const { return counts_; }

 private:
  struct Target {
    std::string node;
    std::uint64_t revision = 0;
    core::Duration confirm_gap{0};
    core::ProbeSpec spec;
    std::unique_ptr<Probe> probe;
    core::Duration phase{0};
    core::Time due;
    core::Time began;
    bool in_flight = false;
    bool again = false;  // an alarm came while it was looking
  };
  using Key = std::pair<std::string, std::string>;  // node, probe

  void add(const core::Watch& watch, const core::ProbeSpec& spec,
           std::vector<std::string>& problems);
  void set_due(const Key& key, Target& target, core::Time due);
  core::Time next_slot(const Target& target, core::Time after) const;
  void arm();
  void run_due();
  void look(const Key& key, Target& target);
  void finished(const Key& key, Look look);
  void alarm(const std::string& node);

  ProbeContext context_;
  OnSample on_sample_;
  core::LookCounts counts_;
  io::Timer timer_;
  std::map<Key, Target> targets_;
  std::set<std::pair<core::Time, Key>> due_;
};

}  // namespace fettle::probes
