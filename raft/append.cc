// The follower's side of replication: AppendEntries (thesis 3.5).
#include <algorithm>

#include "base/check.h"
#include "raft/raft.h"

namespace fettle::raft {

void Raft::receive(const Message& message, const Append& append) {
  if (message.term < hard_.term) {
    // The true term deposes a stale leader; the refused prev_index belongs to no current probe.
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
  if (history_.empty() || !log_.matches(append.prev_index, append.prev_term)) {
    const Index agreed = log_.last_not_after(append.prev_index, append.prev_term);
    const Index hint = std::max(agreed, commit_);
    say("refuses appends after " + std::to_string(append.prev_index.value) + "^" +
        std::to_string(append.prev_term.value) + ": no such entry");
    return emit(message.from, hard_.term,
                AppendReply{.match = append.prev_index,
                            .hint_index = hint,
                            .hint_term = log_.term_at(hint).value_or(Term{}),
                            .round = append.round},
                When::Now);
  }
  take_entries(append);
  const Index last{append.prev_index.value + append.entries.size()};
  advance_commit(std::min(append.commit, last));
  const Index named = FETTLE_MUTANT(raft_phantom_ack) ? log_.last_index() : last;
  emit(message.from, hard_.term,
       AppendReply{.success = true, .match = named, .round = append.round}, when_durable(named));
}

void Raft::take_entries(const Append& append) {
  Index index = append.prev_index;
  for (const Entry& entry : append.entries) {
    index = next(index);
    if (entry.index != index) return;  // not ours to repair: the leader's log has no gaps
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
}

}  // namespace fettle::raft
