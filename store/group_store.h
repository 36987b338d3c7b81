// GroupStore: group.db, what a voter must not lose: term and vote, the snapshot, the entries behind
// it, who it is. Blocks; used from the disk worker's thread only, except before the loops run.
//
// The snapshot lies in rows of Options::snapshot_part_bytes. A new one is staged beside the old in
// transactions of a few megabytes and comes into force by the one small transaction that carries
// the rest of its batch. In one transaction the write-ahead log would grow as large as the
// snapshot, would be read whole at the next start, and one sync would have to carry all of it. A
// crash leaves staged rows that nothing points to; they go before the next one is staged.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "raft/raft.h"
#include "store/database.h"

namespace fettle::store {

inline constexpr std::size_t kSnapshotBytesMax = 256U * 1024 * 1024;

struct LoadedGroup {
  raft::HardState hard;
  std::shared_ptr<const raft::Snapshot> snapshot;  // null: none; the log starts at 1
  /// Without a gap, and reaching the snapshot's index at least; some may lie before it.
  std::vector<raft::Entry> entries;
};

/// What group.db holds, as of a transaction.
struct GroupTip {
  raft::HardState hard;
  Index first;  // of the log; 0: it is empty
  Index last;
  Term last_term;
  bool has_snapshot = false;
  Index snapshot_index;  // 0 without one
  Term snapshot_term;
  std::uint64_t stage = 0;      // the snapshot's rows
  std::uint64_t facts = 0;      // how many
  std::uint64_t facts_sum = 0;  // the sum of their checksums
};

class GroupStore {
 public:
  static Result<std::unique_ptr<GroupStore>> open(const std::string& path,
                                                  const Options& options = {});

  /// Everything; a gap, something missing or a wrong checksum is Corrupt and says which.
  Result<LoadedGroup> load();
  /// All batches in one transaction, each in the order that raft::Persist names; durable on return.
  /// Invalid: a batch that would leave a gap, or a snapshot above kSnapshotBytesMax. After any
  /// error nothing of it counts and the process must end: what is durable is not known any more.
  Status save(const std::vector<raft::Persist>& batches);
  /// For quiet times; see Database::settle().
  Status settle() { return db_->settle(); }

  /// Small facts by name (`incarnation`).
  Result<std::optional<std::string>> meta(const std::string& name);
  Status set_meta(const std::string& name, const std::string& value);

 private:
  GroupStore(std::unique_ptr<Database> db, GroupTip tip, std::size_t part_bytes)
      : db_(std::move(db)), tip_(std::move(tip)), part_bytes_(part_bytes) {}
  Status save_one(const raft::Persist& batch, GroupTip& tip);
  Status truncate(Index from, GroupTip& tip);
  Status compact(Index to, GroupTip& tip);
  Status append(const raft::Entry& entry, GroupTip& tip);
  Status drop_stale_parts();
  Status stage(const raft::Snapshot& snapshot);
  Status replace_snapshot(const raft::Snapshot& snapshot, GroupTip& tip);
  Status load_entries(LoadedGroup& loaded);
  Status load_snapshot(LoadedGroup& loaded);
  Status check_facts();
  std::unexpected<Error> damaged(const std::string& what) const;

  std::unique_ptr<Database> db_;
  GroupTip tip_;
  const std::size_t part_bytes_;
};

template <typename Archive>
void fields(Archive& ar, GroupTip& v) {
  ar(v.hard, v.first, v.last, v.last_term, v.has_snapshot, v.snapshot_index, v.snapshot_term,
     v.stage, v.facts, v.facts_sum);
}

}  // namespace fettle::store
