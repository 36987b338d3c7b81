// Elections: pre-vote (thesis 9.6), votes (3.4), check-quorum (6.2).
#include <algorithm>

#include "base/check.h"
#include "raft/raft.h"

namespace fettle::raft {

/// A server that heard its leader within the base timeout gives no vote, so that neither a server
/// that was cut off nor an impatient one deposes a healthy leader.
bool Raft::hears_a_leader() const {
  if (role_ == Role::Leader) return true;
  return leader_heard_ && now_ - *leader_heard_ < config_.election_timeout;
}

void Raft::start_pre_vote() {
  reset_election_timer();
  set_role(Role::PreCandidate, "");
  granted_ = {config_.self};
  refused_.clear();
  say("asks for pre-votes: no leader heard in time");
  if (granted_.size() >= majority()) return campaign();
  for (const ServerId& peer : config_.voters) {
    if (peer == config_.self) continue;
    emit(peer, next(hard_.term), VoteRequest{true, log_.last_index(), log_.last_term()}, When::Now);
  }
}

void Raft::campaign() {
  set_hard({next(hard_.term), config_.self});
  set_role(Role::Candidate, "");
  out_.role_changed = true;
  granted_.clear();
  refused_.clear();
  reset_election_timer();
  say("campaigns in term " + std::to_string(hard_.term.value));
  for (const ServerId& peer : config_.voters) {
    if (peer == config_.self) continue;
    emit(peer, hard_.term, VoteRequest{false, log_.last_index(), log_.last_term()}, When::Durable);
  }
  if (!dirty_ && batches_.empty()) count_vote(config_.self);  // only with a planted defect
}

void Raft::receive(const Message& message, const VoteRequest& request) {
  const bool fresh = log_.up_to_date(request.last_index, request.last_term);
  const std::string who = (request.pre ? "pre-vote to " : "vote to ") + message.from;
  if (hears_a_leader() && message.term > hard_.term) {
    say("refuses " + who + ": it hears its leader");
    return emit(message.from, hard_.term, VoteReply{request.pre, false}, When::Now);
  }
  if (request.pre) {
    const bool grant = message.term > hard_.term && fresh;
    say((grant ? "grants " : "refuses ") + who + (fresh ? "" : ": its log is older"));
    // A refusal carries the true term, so that a candidate with the newest log learns it.
    return emit(message.from, grant ? message.term : hard_.term, VoteReply{true, grant}, When::Now);
  }
  if (message.term > hard_.term) become_follower(message.term, "", "asked for a vote");
  const bool free =
      hard_.vote.empty() || hard_.vote == message.from || FETTLE_MUTANT(raft_double_vote);
  const bool grant = message.term == hard_.term && role_ == Role::Follower && free && fresh;
  if (!grant) {
    say("refuses " + who +
        (fresh ? free ? ": older term" : ": voted for " + hard_.vote : ": its log is older"));
    return emit(message.from, hard_.term, VoteReply{false, false}, When::Now);
  }
  say("grants " + who + ": its log is up to date");
  set_hard({hard_.term, message.from});
  reset_election_timer();
  emit(message.from, hard_.term, VoteReply{false, true}, When::Durable);
}

void Raft::receive(const Message& message, const VoteReply& reply) {
  const Role asked = reply.pre ? Role::PreCandidate : Role::Candidate;
  const Term expected = reply.pre ? next(hard_.term) : hard_.term;
  if (!reply.granted && message.term > hard_.term) {
    return become_follower(message.term, "", "a refusal shows a newer term");
  }
  if (role_ != asked) return;
  if (reply.granted) {
    if (message.term == expected) count_vote(message.from);
    return;
  }
  refused_.insert(message.from);
  if (refused_.size() >= majority()) {
    say("gives up: a majority refused");
    set_role(Role::Follower, "");
  }
}

void Raft::count_vote(const ServerId& voter) {
  granted_.insert(voter);
  if (granted_.size() < majority()) return;
  if (role_ == Role::PreCandidate) return campaign();
  // Its own vote counts once it is durable; without it the majority stands on the others.
  if (role_ == Role::Candidate) become_leader();
}

void Raft::become_leader() {
  set_role(Role::Leader, config_.self);
  say("leads term " + std::to_string(hard_.term.value));
  progress_.clear();
  for (const ServerId& peer : config_.voters) {
    if (peer == config_.self) continue;
    Progress& progress = progress_[peer];
    progress.next = next(log_.last_index());
    progress.last_contact = now_;
  }
  uncommitted_bytes_ = 0;
  round_ = 0;
  quorum_check_due_ = now_ + config_.election_timeout;
  append_own(EntryKind::Noop, "");
  own_term_start_ = log_.last_index();
  heartbeat_due_ = now_ + config_.heartbeat;
  replicate();
}

void Raft::check_quorum() {
  std::size_t active = 1;
  for (const auto& [peer, progress] : progress_) {
    if (now_ - progress.last_contact < config_.election_timeout) ++active;
  }
  if (active < majority()) {
    return become_follower(hard_.term, "", "no majority answered within an election timeout");
  }
  quorum_check_due_ = now_ + config_.election_timeout;
}

}  // namespace fettle::raft
