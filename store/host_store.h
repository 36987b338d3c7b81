// HostStore: host.db, what an acting host must not lose: the newest fence it saw and the executor's
// journal. Blocks; used from the disk worker's thread only, except before the loops run.
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

class HostStore {
 public:
  static Result<std::unique_ptr<HostStore>> open(const std::string& path);

  Result<LoadedHost> load();
  /// All writes in one transaction, in order, durable on return.
  Status save(const std::vector<core::executor::Journal>& writes);
  /// Deletes the entries whose fence stands below `index`.
  Status forget_below(Index index);
  /// Counts this start: grows by one each time, so that sequences of a restarted member go on.
  Result<std::uint64_t> count_start();

 private:
  explicit HostStore(std::unique_ptr<Database> db) : db_(std::move(db)) {}

  std::unique_ptr<Database> db_;
};

}  // namespace fettle::store
