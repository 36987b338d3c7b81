// The follower's side of replication: AppendEntries (thesis 3.5).
#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "raft/raft.h"

namespace fettle::raft {
namespace {

bool is_readable(const Entry& entry) {
  return entry.kind != EntryKind::Configuration || decode<Configuration>(entry.data).has_value();
}

}  // namespace

void Raft::receive(const Message& message, const Append& append) {
  if (message.term < hard_.term) {
    // The true term deposes a stale leader; the refused prev_index belongs to no current probe.
    say_term_over("refuses an append of " + message.from, message);
    return emit(message.from, hard_.term, AppendReply{.match = append.prev_index}, When::Now);
  }
  heard_leader(message);
  const bool below = append.prev_index < commit_ && !FETTLE_MUTANT(raft_refuse_below_commit);
  if (below) {
    // Everything up to the commit index agrees already (leader completeness, 3.6.3).
    return emit(message.from, hard_.term,
                AppendReply{.success = true, .match = commit_, .round = append.round},
                when_durable(commit_));
  }
  // Without a snapshot it does not even agree at index 0: who the servers are is not known.
  const bool follows = FETTLE_MUTANT(raft_previous_term_ignored)
                           ? append.prev_index <= log_.last_index()
                           : log_.matches(append.prev_index, append.prev_term);
  if (history_.empty() || !follows) {
    const Index agreed = log_.last_not_after(append.prev_index, append.prev_term);
    const Index hint = std::max(agreed, commit_);
    say("refuses appends after " + std::to_string(append.prev_index.value) + "^" +
        std::to_string(append.prev_term.value) +
        (history_.empty() ? ": it knows no configuration" : ": no such entry"));
    return emit(message.from, hard_.term,
                AppendReply{.match = append.prev_index,
                            .hint_index = hint,
                            .hint_term = log_.term_at(hint).value_or(Term{}),
                            .round = append.round},
                When::Now);
  }
  const Index last = take_entries(append);
  advance_commit(std::min(append.commit, last));
  const Index named = FETTLE_MUTANT(raft_phantom_ack) ? log_.last_index() : last;
  emit(message.from, hard_.term,
       AppendReply{.success = true, .match = named, .round = append.round}, when_durable(named));
}

/// The index up to which the log agrees with what the message holds. What no leader's log has, and
/// whatever follows it there, is not taken.
Index Raft::take_entries(const Append& append) {
  Index agreed = append.prev_index;
  for (const Entry& entry : append.entries) {
    const Index index = next(agreed);
    if (entry.index != index || !is_readable(entry)) {
      say("takes nothing from " + std::to_string(index.value) + " on: it is malformed");
      return agreed;
    }
    agreed = index;
    if (log_.matches(index, entry.term)) continue;
    if (log_.contains(index)) {
      FETTLE_ASSERT_MSG(index > commit_, "a committed entry never changes");
      log_.truncate_from(index);
      durable_ = std::min(durable_, log_.last_index());
      dirty().truncate_from = index;
      // What the log loses, the configuration in force loses with it (4.1).
      const bool kept = FETTLE_MUTANT(raft_config_rollback_lost);
      if (!kept && history_.truncate_from(index)) configuration_moved();
    }
    append_entry(entry);
  }
  return agreed;
}

}  // namespace fettle::raft
