// Replication: AppendEntries and its replies (thesis 3.5), commit (3.6), ReadIndex (6.4).
#include <algorithm>

#include "base/check.h"
#include "raft/quorum.h"
#include "raft/raft.h"

namespace fettle::raft {

void Raft::receive(const Message& message, const Append& append) {
  if (message.term < hard_.term) {
    // The true term deposes a stale leader; the refused prev_index belongs to no current probe.
    return emit(message.from, hard_.term, AppendReply{.match = append.prev_index}, When::Now);
  }
  FETTLE_ASSERT_MSG(role_ != Role::Leader || message.term > hard_.term, "one leader a term");
  become_follower(message.term, message.from, "appends of " + message.from);
  leader_heard_ = now_;
  reset_election_timer();
  if (append.prev_index < commit_) {
    // Everything up to the commit index agrees already (leader completeness, 3.6.3).
    return emit(message.from, hard_.term,
                AppendReply{.success = true, .match = commit_, .round = append.round},
                When::Durable);
  }
  if (!log_.matches(append.prev_index, append.prev_term)) {
    const Index hint = log_.last_not_after(append.prev_index, append.prev_term);
    say("refuses appends after " + std::to_string(append.prev_index.value) + "^" +
        std::to_string(append.prev_term.value) + ": no such entry");
    return emit(message.from, hard_.term,
                AppendReply{.match = append.prev_index,
                            .hint_index = hint,
                            .hint_term = log_.term_at(hint),
                            .round = append.round},
                When::Now);
  }
  take_entries(append);
  const Index last{append.prev_index.value + append.entries.size()};
  advance_commit(std::min(append.commit, last));
  const Index named = FETTLE_MUTANT(raft_phantom_ack) ? log_.last_index() : last;
  emit(message.from, hard_.term,
       AppendReply{.success = true, .match = named, .round = append.round}, When::Durable);
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
      if (!dirty_) dirty_.emplace();
      dirty_->truncate_from = index;
    }
    if (!dirty_) dirty_.emplace();
    dirty_->entries.push_back(entry);
    log_.append(entry);
  }
}

void Raft::receive(const Message& message, const AppendReply& reply) {
  if (message.term > hard_.term) {
    return become_follower(message.term, "", "a reply shows a newer term");
  }
  if (role_ != Role::Leader || message.term < hard_.term) return;
  const auto found = progress_.find(message.from);
  if (found == progress_.end()) return;
  Progress& progress = found->second;
  progress.last_contact = now_;
  progress.round = std::max(progress.round, reply.round);
  if (reply.success) {
    accepted_by(message.from, progress, reply.match);
  } else {
    refused_by(message.from, progress, reply);
  }
  confirm_reads();
}

void Raft::accepted_by(const ServerId& peer, Progress& progress, Index match) {
  if (match > log_.last_index()) match = log_.last_index();
  const bool heartbeat_only = match <= progress.match;
  progress.paused = false;
  if (match > progress.match) {
    progress.match = match;
    progress.probing = false;
  }
  progress.next = std::max(progress.next, fettle::next(progress.match));
  while (!progress.inflight.empty() && progress.inflight.front() <= match) {
    progress.inflight.pop_front();
  }
  if (heartbeat_only && progress.match < log_.last_index()) {
    // A heartbeat was answered while entries are missing: what was in flight may be lost.
    if (progress.inflight.size() >= config_.inflight_max) progress.inflight.pop_front();
    return send_append(peer, true);
  }
  maybe_commit();
  if (role_ == Role::Leader && progress.next <= log_.last_index()) send_append(peer, false);
}

void Raft::refused_by(const ServerId& peer, Progress& progress, const AppendReply& reply) {
  if (progress.probing) {
    if (reply.match.value + 1 != progress.next.value) return;  // an older probe's
  } else if (reply.match <= progress.match) {
    return;  // refused before what it has accepted since
  }
  Index hint = log_.last_not_after(reply.hint_index, reply.hint_term);
  hint = std::max(hint, progress.match);
  progress.next = std::min(fettle::next(hint), reply.match.value == 0 ? Index{1} : reply.match);
  progress.next = std::max(progress.next, fettle::next(progress.match));
  progress.probing = true;
  progress.paused = false;
  progress.inflight.clear();
  say("probes " + peer + " from " + std::to_string(progress.next.value) + ": it refused");
  send_append(peer, true);
}

void Raft::send_append(const ServerId& peer, bool even_empty) {
  Progress& progress = progress_.at(peer);
  if (progress.probing && progress.paused) return;
  if (!progress.probing && progress.inflight.size() >= config_.inflight_max) return;
  const Index prev{progress.next.value - 1};
  Append append{.prev_index = prev,
                .prev_term = log_.term_at(prev),
                .commit = commit_,
                .round = round_,
                .entries = log_.slice(progress.next, config_.append_bytes_max)};
  if (append.entries.empty() && !even_empty) return;
  if (!append.entries.empty()) {
    const Index last = append.entries.back().index;
    if (!progress.probing) {
      progress.next = fettle::next(last);
      progress.inflight.push_back(last);
    }
  }
  if (progress.probing) progress.paused = true;
  emit(peer, hard_.term, std::move(append), When::Now);
}

void Raft::send_heartbeats() {
  heartbeat_due_ = now_ + config_.heartbeat;
  ++round_;
  for (auto& [peer, progress] : progress_) {
    progress.paused = false;
    emit(peer, hard_.term,
         Append{.prev_index = progress.match,
                .prev_term = log_.term_at(progress.match),
                .commit = std::min(commit_, progress.match),
                .round = round_,
                .entries = {}},
         When::Now);
  }
}

void Raft::replicate() {
  for (auto& [peer, progress] : progress_) send_append(peer, false);
  maybe_commit();
}

void Raft::maybe_commit() {
  std::vector<Index> reached{durable_};
  for (const auto& [peer, progress] : progress_) reached.push_back(progress.match);
  const Index index = reached_by_majority(std::move(reached));
  if (index <= commit_) return;
  const bool own_term = log_.term_at(index) == hard_.term;
  if (!own_term && !FETTLE_MUTANT(raft_figure8)) return;
  const bool was_sure = leads_surely();
  advance_commit(index);
  for (const Entry& entry : out_.committed) {
    uncommitted_bytes_ -= std::min(uncommitted_bytes_, entry.data.size());
  }
  for (auto& [peer, progress] : progress_) {
    if (!progress.probing && progress.next > log_.last_index()) send_append(peer, true);
  }
  if (was_sure || !leads_surely()) return;
  for (const std::uint64_t token : std::exchange(early_reads_, {})) on(Read{token});
}

void Raft::confirm_reads() {
  if (role_ != Role::Leader) return;
  std::vector<std::uint64_t> rounds{round_};
  for (const auto& [peer, progress] : progress_) rounds.push_back(progress.round);
  const std::uint64_t confirmed = reached_by_majority(std::move(rounds));
  while (!reads_.empty() && reads_.front().round <= confirmed) {
    out_.reads.push_back({reads_.front().token, true, reads_.front().index});
    reads_.pop_front();
  }
}

}  // namespace fettle::raft
