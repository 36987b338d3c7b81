// The leader's side of replication (thesis 3.5), commit by counting (3.6), and flow control.
#include <algorithm>

#include "base/check.h"
#include "raft/quorum.h"
#include "raft/raft.h"

namespace fettle::raft {

/// Whose reply a leader of that term got; null: it is for nobody any more.
Progress* Raft::answering_peer(const Message& message) {
  if (message.term > hard_.term) {
    become_follower(message.term, "", "a reply shows a newer term");
    return nullptr;
  }
  if (role_ != Role::Leader || message.term < hard_.term) return nullptr;
  const auto found = progress_.find(message.from);
  if (found == progress_.end()) return nullptr;
  found->second.hear(now_);
  return &found->second;
}

void Raft::receive(const Message& message, const AppendReply& reply) {
  Progress* known = answering_peer(message);
  if (known == nullptr) return;
  Progress& progress = *known;
  progress.round = std::max(progress.round, reply.round);
  confirm_reads();
  if (reply.success) {
    accepted_by(message.from, progress, reply.match);
  } else {
    refused_by(message.from, progress, reply);
  }
}

void Raft::accepted_by(const ServerId& peer, Progress& progress, Index match) {
  match = std::min(match, log_.last_index());
  const bool news = match > progress.match;
  progress.match = std::max(progress.match, match);
  progress.answered_up_to(match);
  note_round(progress);
  switch (progress.state) {
    case ProgressState::Probe:
      if (fettle::next(progress.match) >= progress.next) progress.replicate();
      break;
    case ProgressState::Replicate:
      progress.next = std::max(progress.next, fettle::next(progress.match));
      break;
    case ProgressState::Snapshot:
      if (!news || !log_.term_at(progress.match)) return;
      progress.replicate();
      break;
  }
  const bool lacks = progress.match < log_.last_index();
  // A heartbeat was answered while entries are missing: what was in flight may be lost.
  if (!news && lacks) return send_append(peer, true);
  if (lacks) send_append(peer, false);
  const bool may_take_over = transferring_ && transferring_->target == peer && !lacks;
  if (may_take_over && !transferring_->told) tell_target();
  maybe_commit();
  // What was committed before it had the entries, or while it was probed, it does not know.
  const bool leads = role_ == Role::Leader;
  if (leads && std::min(commit_, progress.match) > progress.commit_sent) send_append(peer, true);
}

void Raft::refused_by(const ServerId& peer, Progress& progress, const AppendReply& reply) {
  if (progress.state == ProgressState::Snapshot) return;
  // Who does not even agree at index 0 knows no configuration; a heartbeat may show it.
  if (reply.match.value == 0) return begin_snapshot(peer, progress);
  const bool probing = progress.state == ProgressState::Probe;
  if (probing && fettle::next(reply.match) != progress.next) return;  // an older probe's
  if (!probing && reply.match <= progress.match) return;  // before what it has accepted since
  const Index hint = log_.last_not_after(reply.hint_index, reply.hint_term);
  const Index from = std::min(fettle::next(hint), reply.match);
  progress.probe(std::max(from, fettle::next(progress.match)));
  say("probes " + peer + " from " + std::to_string(progress.next.value) + ": it refused");
  send_append(peer, true);
}

bool Raft::is_window_full(const Progress& progress) const {
  return progress.inflight.size() >= config_.inflight_max ||
         progress.inflight_bytes >= config_.inflight_bytes_max;
}

void Raft::send_append(const ServerId& peer, bool even_empty) {
  Progress& progress = progress_.at(peer);
  if (progress.state == ProgressState::Snapshot) return;
  const bool probing = progress.state == ProgressState::Probe;
  if (probing && progress.paused) return;
  const Index prev{progress.next.value - 1};
  const std::optional<Term> prev_term = log_.term_at(prev);
  if (!prev_term) return begin_snapshot(peer, progress);
  Append append{.prev_index = prev,
                .prev_term = *prev_term,
                .commit = commit_,
                .round = round_,
                .entries = {}};
  const bool full = !probing && is_window_full(progress);
  if (!full) append.entries = log_.slice(progress.next, config_.append_bytes_max);
  if (append.entries.empty() && !even_empty) return;
  if (!append.entries.empty() && !probing) {
    std::size_t bytes = 0;
    for (const Entry& entry : append.entries) bytes += entry.data.size();
    progress.sent_up_to(append.entries.back().index, bytes);
  }
  if (probing) progress.paused = true;
  const Index last{prev.value + append.entries.size()};
  progress.commit_sent = std::max(progress.commit_sent, std::min(commit_, last));
  emit(peer, hard_.term, std::move(append), When::Now);
}

/// Empty Appends where the peer is known to agree; where that is compacted, at index 0, which its
/// commit index answers.
void Raft::send_heartbeats() {
  heartbeat_due_ = now_ + config_.heartbeat;
  ++round_;
  for (auto& [peer, progress] : progress_) {
    progress.paused = false;
    const std::optional<Term> term = log_.term_at(progress.match);
    const Index agreed = term ? progress.match : Index{};
    progress.commit_sent = std::max(progress.commit_sent, std::min(commit_, agreed));
    emit(peer, hard_.term,
         Append{.prev_index = agreed,
                .prev_term = term.value_or(Term{}),
                .commit = std::min(commit_, agreed),
                .round = round_,
                .entries = {}},
         When::Now);
    if (progress.state == ProgressState::Snapshot) resend_chunk(peer, progress);
  }
  if (transferring_) tell_target();
}

void Raft::replicate() {
  for (auto& [peer, progress] : progress_) send_append(peer, false);
  maybe_commit();
}

/// The largest number that a majority of the voters has reached. A leader that is no voter any more
/// counts the others alone (4.2.2); learners never count.
std::uint64_t Raft::reached(std::uint64_t own, std::uint64_t (*of)(const Progress&)) const {
  std::vector<std::uint64_t> values;
  for (const ServerId& voter : voters_of(configuration())) {
    values.push_back(voter == config_.self ? own : of(progress_.at(voter)));
  }
  if (FETTLE_MUTANT(raft_removed_leader_counts_itself) && !is_self_voter()) values.push_back(own);
  return reached_by_majority(std::move(values));
}

void Raft::maybe_commit() {
  const bool eager = FETTLE_MUTANT(raft_leader_commits_own_before_durable);
  const Index own = eager ? log_.last_index() : durable_;
  const Index index{reached(own.value, [](const Progress& peer) { return peer.match.value; })};
  if (index <= commit_) return;
  const Term term = log_.at(index).term;
  if (term != hard_.term && !FETTLE_MUTANT(raft_figure8)) {
    return say("does not commit " + std::to_string(index.value) + "^" + std::to_string(term.value) +
               " by counting: it is of an older term");
  }
  const bool was_sure = leads_surely();
  advance_commit(index);
  for (auto& [peer, progress] : progress_) {
    const bool idle = progress.next > log_.last_index();
    if (progress.state == ProgressState::Replicate && idle) send_append(peer, true);
  }
  if (!was_sure && leads_surely()) {
    for (const std::uint64_t token : std::exchange(early_reads_, {})) on(Read{token});
  }
  step_down_if_removed();
}

}  // namespace fettle::raft
