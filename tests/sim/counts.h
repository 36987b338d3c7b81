// Counts: how often a seed met what the simulator says it tries, so that its output can show it.
// Added up over seeds; plain bytes, so that a worker can hand them to its parent.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fettle::sim {

enum class Count : std::uint8_t {
  Events,
  Entries,
  Acts,
  KvOperations,  // of clients
  Leases,        // granted
  Crashes,
  MembersLost,
  SpecChanges,
  SpecRefusals,
  LateAnswers,
  LevelsRaised,
  Upgrades,
  Downgrades,
  Halts,  // of members that met a level beyond their version's
  WallJumps,
  FullDisks,
  TornWrites,    // crashes with a write under way
  TornKept,      // of them, the write was there after all
  DamagedDisks,  // a bit flipped in what was durable
  Refusals,      // of a damaged store, to start
  Pruned,        // executors' journals
  KilledBeforeBegun,
  KilledBeforeAct,
  KilledDuringAct,
  KilledBeforeDone,
  KilledBeforeAnswer,
  Leaders,  // terms that somebody led
  MessagesLost,
  MessagesCopied,
  MessagesLate,  // so that newer ones overtook them
  Cuts,          // of one member, or of the network in two
  CutsOneWay,
  Pauses,
  SlowDisks,
  NodeFaults,
  DeadForEver,
  SnapshotsTaken,
  SnapshotsInstalled,
  MembersAdded,
  MembersPromoted,
  MembersRemoved,
  LeadersRemoved,  // of them, by themselves
  Transfers,       // done
};

inline constexpr std::array kCountNames = std::to_array<std::string_view>({"events",
                                                                           "entries",
                                                                           "acts",
                                                                           "kv_operations",
                                                                           "leases",
                                                                           "crashes",
                                                                           "members_lost",
                                                                           "spec_changes",
                                                                           "spec_refusals",
                                                                           "late_answers",
                                                                           "levels_raised",
                                                                           "upgrades",
                                                                           "downgrades",
                                                                           "halts",
                                                                           "wall_jumps",
                                                                           "full_disks",
                                                                           "torn_writes",
                                                                           "torn_kept",
                                                                           "damaged_disks",
                                                                           "refusals",
                                                                           "pruned",
                                                                           "killed_before_begun",
                                                                           "killed_before_act",
                                                                           "killed_during_act",
                                                                           "killed_before_done",
                                                                           "killed_before_answer",
                                                                           "leaders",
                                                                           "messages_lost",
                                                                           "messages_copied",
                                                                           "messages_late",
                                                                           "cuts",
                                                                           "cuts_one_way",
                                                                           "pauses",
                                                                           "slow_disks",
                                                                           "node_faults",
                                                                           "dead_for_ever",
                                                                           "snapshots_taken",
                                                                           "snapshots_installed",
                                                                           "members_added",
                                                                           "members_promoted",
                                                                           "members_removed",
                                                                           "leaders_removed",
                                                                           "transfers"});

class Counts {
 public:
  std::uint64_t& operator[](Count what) { return all_[static_cast<std::size_t>(what)]; }
  std::uint64_t operator[](Count what) const { return all_[static_cast<std::size_t>(what)]; }
  std::uint64_t at(std::size_t place) const { return all_.at(place); }
  Counts& operator+=(const Counts& other) {
    for (std::size_t i = 0; i < all_.size(); ++i) all_[i] += other.all_[i];
    return *this;
  }

 private:
  std::array<std::uint64_t, kCountNames.size()> all_{};
};
static_assert(static_cast<std::size_t>(Count::Transfers) + 1 == kCountNames.size());

}  // namespace fettle::sim
