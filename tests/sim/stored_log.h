// StoredLog: the log of one member in real files, written by store::GroupStore to a disk in memory.
// A crash ends it at any operation of a transaction under way, with the power or without, and the
// power loss keeps any subset of what was not synced (tests/store/platter.h). Driven by a member;
// one at a time.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "store/group_store.h"
#include "tests/store/fault_vfs.h"

namespace fettle::sim {

class StoredLog {
 public:
  /// `first`: what the group begins with; null: nothing.
  StoredLog(Rng rng, std::shared_ptr<const raft::Snapshot> first);

  Status save(const std::vector<raft::Persist>& batches);

  struct Crash {
    std::vector<raft::Persist> under_way;  // one transaction
    bool full = false;                     // there is no room for it
    bool damage = false;                   // one bit is flipped in the files
  };
  /// The process ends, a new one opens what is left. An error: it does not open.
  Result<store::LoadedGroup> crash(const Crash& crash);

 private:
  Status open();
  /// What is left of the disk.
  std::unique_ptr<store::FaultDisk> after(const Crash& crash);

  Rng rng_;
  std::unique_ptr<store::FaultDisk> disk_;
  std::unique_ptr<store::GroupStore> store_;
};

/// Both are the same term and vote, entries and snapshot.
bool holds(const store::LoadedGroup& loaded, const raft::HardState& hard,
           const raft::Snapshot* snapshot, const std::vector<raft::Entry>& entries);

}  // namespace fettle::sim
