#include "raft/raft.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "raft/quorum.h"

namespace fettle::raft {

std::string_view to_string(Role role) {
  switch (role) {
    case Role::Follower:
      return "follower";
    case Role::PreCandidate:
      return "pre-candidate";
    case Role::Candidate:
      return "candidate";
    case Role::Leader:
      return "leader";
  }
  return "unknown";
}

Raft::Raft(Config config, HardState hard, std::vector<Entry> log, Instant now)
    : config_(std::move(config)),
      hard_(std::move(hard)),
      log_(std::move(log)),
      durable_(log_.last_index()),
      rng_(config_.seed),
      now_(now) {
  FETTLE_ASSERT_MSG(is_voter(config_.self), "a server is one of its voters");
  reset_election_timer();
  if (config_.voters.size() == 1) election_deadline_ = now;
}

Output Raft::step(Instant now, Input input) {
  now_ = std::max(now_, now);
  out_ = Output{};
  std::visit([this](const auto& held) { on(held); }, input);
  seal();
  return std::exchange(out_, Output{});
}

Instant Raft::deadline() const {
  return role_ == Role::Leader ? std::min(heartbeat_due_, quorum_check_due_) : election_deadline_;
}

bool Raft::leads_surely() const {
  return role_ == Role::Leader && own_term_start_.value > 0 && commit_ >= own_term_start_;
}

void Raft::on(const Tick&) {
  if (role_ == Role::Leader) {
    if (now_ >= quorum_check_due_) check_quorum();
    if (role_ == Role::Leader && now_ >= heartbeat_due_) send_heartbeats();
    return;
  }
  if (now_ >= election_deadline_) start_pre_vote();
}

void Raft::on(const Received& input) {
  const Message& message = input.message;
  if (message.to != config_.self || !is_voter(message.from)) return;
  std::visit([&](const auto& body) { receive(message, body); }, message.body);
}

void Raft::on(const Propose& input) {
  if (role_ != Role::Leader) {
    out_.rejected.push_back({input.token, Code::NotLeader});
    return;
  }
  if (uncommitted_bytes_ > 0 &&
      uncommitted_bytes_ + input.data.size() > config_.uncommitted_bytes_max) {
    out_.rejected.push_back({input.token, Code::Busy});
    return;
  }
  uncommitted_bytes_ += input.data.size();
  append_own(EntryKind::Command, input.data);
  out_.accepted.push_back({input.token, log_.last_index(), hard_.term});
  replicate();
}

void Raft::on(const Persisted& input) {
  while (!batches_.empty() && batches_.front().number <= input.batch) {
    Batch batch = std::move(batches_.front());
    batches_.pop_front();
    // The log may have been cut and grown again since (ABA): the term says whether it is the same.
    if (log_.matches(batch.last_index, batch.last_term)) {
      durable_ = std::max(durable_, batch.last_index);
    }
    for (Message& message : batch.held) out_.send.push_back(std::move(message));
  }
  if (role_ == Role::Candidate && batches_.empty()) count_vote(config_.self);
  if (role_ == Role::Leader) maybe_commit();
}

void Raft::on(const Read& input) {
  if (role_ != Role::Leader || early_reads_.size() + reads_.size() >= config_.reads_max) {
    out_.reads.push_back({input.token, false, Index{}});
    return;
  }
  if (!leads_surely()) {
    early_reads_.push_back(input.token);
    return;
  }
  if (config_.voters.size() == 1) {
    out_.reads.push_back({input.token, true, commit_});
    return;
  }
  send_heartbeats();
  reads_.push_back({input.token, round_, commit_});
}

void Raft::emit(const ServerId& to, Term term, Body body, When when) {
  Message message{config_.self, to, term, std::move(body)};
  const bool hard_pending =
      (dirty_ && dirty_->hard) ||
      std::ranges::any_of(batches_, [](const Batch& batch) { return batch.has_hard; });
  const bool wait = hard_pending || (when == When::Durable && (dirty_ || !batches_.empty()));
  const bool early = FETTLE_MUTANT(raft_ack_before_durable);
  if (wait && !early) {
    held_.push_back(std::move(message));
  } else {
    out_.send.push_back(std::move(message));
  }
}

void Raft::append_own(EntryKind kind, std::string data) {
  Entry entry{hard_.term, next(log_.last_index()), kind, std::move(data)};
  if (!dirty_) dirty_.emplace();
  dirty_->entries.push_back(entry);
  log_.append(std::move(entry));
}

void Raft::set_hard(HardState hard) {
  if (hard == hard_) return;
  hard_ = std::move(hard);
  if (FETTLE_MUTANT(raft_vote_not_persisted)) return;
  if (!dirty_) dirty_.emplace();
  dirty_->hard = hard_;
}

void Raft::set_role(Role role, ServerId leader) {
  if (role_ == role && leader_ == leader) return;
  role_ = role;
  leader_ = std::move(leader);
  out_.role_changed = true;
}

void Raft::become_follower(Term term, ServerId leader, const std::string& why) {
  const bool led = role_ == Role::Leader;
  if (term > hard_.term) {
    say("term " + std::to_string(hard_.term.value) + " -> " + std::to_string(term.value) + ": " +
        why);
    set_hard({term, ""});
    out_.role_changed = true;
  }
  set_role(Role::Follower, std::move(leader));
  if (led) {
    say("steps down: " + why);
    progress_.clear();
    own_term_start_ = Index{};
    uncommitted_bytes_ = 0;
    fail_reads();
    reset_election_timer();
  }
}

void Raft::reset_election_timer() {
  const auto base = static_cast<std::uint64_t>(config_.election_timeout.count());
  election_deadline_ = now_ + config_.election_timeout +
                       Instant(static_cast<std::int64_t>(rng_.between(0, base - 1)));
}

void Raft::advance_commit(Index to) {
  FETTLE_ASSERT_MSG(to <= log_.last_index(), "commit stays within the log");
  if (to <= commit_) return;
  commit_ = to;
  while (applied_ < commit_) {
    applied_ = next(applied_);
    out_.committed.push_back(log_.at(applied_));
  }
}

/// Ends the step: what changed becomes a batch, and what must wait for it is held back with it.
void Raft::seal() {
  if (dirty_) {
    dirty_->batch = next_batch_++;
    batches_.push_back(
        {dirty_->batch, dirty_->hard.has_value(), log_.last_index(), log_.last_term(), {}});
    out_.persist = std::exchange(dirty_, std::nullopt);
  }
  for (Message& message : std::exchange(held_, {})) {
    if (batches_.empty()) {
      out_.send.push_back(std::move(message));
    } else {
      batches_.back().held.push_back(std::move(message));
    }
  }
}

void Raft::say(const std::string& text) {
  if (config_.trace) out_.trace.push_back(text);
}

std::size_t Raft::majority() const { return majority_of(config_.voters.size()); }

bool Raft::is_voter(const ServerId& id) const {
  return std::ranges::find(config_.voters, id) != config_.voters.end();
}

void Raft::fail_reads() {
  for (const std::uint64_t token : std::exchange(early_reads_, {})) {
    out_.reads.push_back({token, false, Index{}});
  }
  for (const PendingRead& read : std::exchange(reads_, {})) {
    out_.reads.push_back({read.token, false, Index{}});
  }
}

}  // namespace fettle::raft
