// KvChanges: the last changes of the key-value store, so that a watcher can begin, or go on, after
// a revision. Pure: it knows no connection; server.cc keeps each watcher's place in it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/backend.h"
#include "core/effect.h"

namespace fettle::api {

class KvChanges {
 public:
  static constexpr std::size_t kKept = 8192;
  static constexpr std::size_t kKeptBytes = 16U * 1024 * 1024;  // of keys and values

  /// Changes come in the order of their revisions, each once.
  void add(const core::effect::KvChanged& change);
  /// This member took over a snapshot of the store at `revision`: what lies before it and was not
  /// added is not known here.
  void skip_to(std::uint64_t revision);

  /// True if every change after `revision` that this member knows of is kept; false too if it knows
  /// of none.
  bool covers(std::uint64_t revision) const;

  struct Batch {
    bool gap = false;  // some changes after the revision are no longer kept
    std::vector<const core::effect::KvChanged*> changes;  // valid until the next add()
    std::uint64_t place = 0;                              // to go on after
  };
  /// The first changes after `revision` to keys that begin with `prefix`, at most `changes_max`.
  Batch after(std::uint64_t revision, std::string_view prefix, std::size_t changes_max) const;

 private:
  std::optional<std::uint64_t> from_;  // every change after it is kept
  std::deque<core::effect::KvChanged> changes_;
  std::size_t bytes_ = 0;
};

/// One change as a server-sent event: `id` its revision, `event` put or delete.
std::string kv_sse(const core::effect::KvChanged& change);
/// For a watcher whose place is no longer kept: `event: reset`, then what there is now, as puts.
std::string kv_sse_reset(const KvRead& now);

}  // namespace fettle::api
