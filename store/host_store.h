// HostStore: host.db, what an acting host must not lose: the newest fence it saw and the executor's
// journal. A lost fence would let a stale leader act, a lost `begun` would let an act happen twice,
// and no other host has a copy, so the superblock is durable before anything is acknowledged.
// Blocks; used from the disk worker's thread only, except before the loops run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "core/executor.h"
#include "store/database.h"

namespace fettle::store {

struct LoadedHost {
  std::uint64_t generation = 1;
  Term term;
  std::vector<core::JournalEntry> journal;
};

/// What host.db holds, as of a transaction.
struct HostTip {
  std::uint64_t generation = 1;
  Term term;
  std::uint64_t starts = 0;
  std::uint64_t written = 0;  // journal entries, ever
  std::uint64_t entries = 0;  // there now
  std::uint64_t sum = 0;      // of their checksums
  std::string incarnation;    // of a member without a group.db; empty: none yet
};

class HostStore {
 public:
  static Result<std::unique_ptr<HostStore>> open(const std::string& path,
                                                 const Options& options = {});

  /// Everything; something missing or a wrong checksum is Corrupt and says which.
  Result<LoadedHost> load();
  /// All writes in one transaction, in order, durable on return. After an error the process must
  /// end.
  Status save(const std::vector<core::executor::Journal>& writes);
  /// Deletes the entries whose fence stands below `index`.
  Status forget_below(Index index);
  /// Counts this start: grows by one each time, so that sequences of a restarted member go on.
  Result<std::uint64_t> count_start();
  /// The incarnation of the member whose only database this is: `fresh`, durably, if it had none.
  Result<std::string> incarnation(const std::string& fresh);

 private:
  HostStore(std::unique_ptr<Database> db, HostTip tip) : db_(std::move(db)), tip_(tip) {}
  Status put(const core::JournalEntry& entry, HostTip& tip);
  std::unexpected<Error> damaged(const std::string& what) const;

  std::unique_ptr<Database> db_;
  HostTip tip_;
};

template <typename Archive>
void fields(Archive& ar, HostTip& v) {
  ar(v.generation, v.term, v.starts, v.written, v.entries, v.sum, v.incarnation);
}

}  // namespace fettle::store
