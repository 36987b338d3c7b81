// GroupStore: group.db, what a voter must not lose: snapshot, log entries, term, vote, who it is.
// Blocks; used from the disk worker's thread only, except before the loops run.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "raft/raft.h"
#include "store/database.h"

namespace fettle::store {

struct LoadedGroup {
  raft::HardState hard;
  std::shared_ptr<const raft::Snapshot> snapshot;  // null: none was saved yet
  std::vector<raft::Entry> entries;
};

class GroupStore {
 public:
  static Result<std::unique_ptr<GroupStore>> open(const std::string& path);

  /// Everything; a gap or a wrong checksum is Corrupt and names the index.
  Result<LoadedGroup> load();
  /// All batches in one transaction, durable on return. After an error nothing of it counts and the
  /// process must end: what is durable is not known any more.
  Status save(const std::vector<raft::Persist>& batches);

  /// Small facts by name (`incarnation`).
  Result<std::optional<std::string>> meta(const std::string& name);
  Status set_meta(const std::string& name, const std::string& value);

 private:
  explicit GroupStore(std::unique_ptr<Database> db) : db_(std::move(db)) {}
  Status load_snapshot(LoadedGroup& into);
  Status save_one(const raft::Persist& batch);
  Status save_snapshot(const raft::Snapshot& snapshot);

  std::unique_ptr<Database> db_;
};

}  // namespace fettle::store
