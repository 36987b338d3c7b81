#include "raft/raft.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace fettle::raft {
namespace {

SnapshotMeta meta_of(const Start& start) {
  FETTLE_ASSERT_MSG(start.snapshot != nullptr || start.entries.empty(),
                    "a log without a snapshot does not say who its servers were");
  return start.snapshot == nullptr ? SnapshotMeta{} : start.snapshot->meta;
}

}  // namespace

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

Raft::Raft(Config config, Start start, Instant now)
    : config_(std::move(config)),
      hard_(std::move(start.hard)),
      snapshot_(start.snapshot),
      log_(meta_of(start).index, meta_of(start).term, std::move(start.entries)),
      commit_(snapshot_ == nullptr ? Index{} : snapshot_->meta.index),
      applied_(commit_),
      durable_(log_.last_index()),
      rng_(config_.seed),
      now_(now) {
  if (snapshot_ != nullptr) {
    const SnapshotMeta& meta = snapshot_->meta;
    FETTLE_ASSERT_MSG(meta.configuration_index <= meta.index, "a snapshot knows its past alone");
    history_.reset(meta.configuration_index, meta.configuration);
  }
  for (Index i = next(log_.base()); i <= log_.last_index(); i = next(i)) adopt(log_.at(i));
  reset_election_timer();
  if (voters_of(configuration()) == std::vector{config_.self}) election_deadline_ = now;
}

Output Raft::step(Instant now, Input input) {
  now_ = std::max(now_, now);
  out_ = Output{};
  std::visit([this](const auto& held) { on(held); }, input);
  promote_who_caught_up();
  seal();
  return std::exchange(out_, Output{});
}

Instant Raft::deadline() const {
  if (role_ != Role::Leader) return election_deadline_;
  const Instant due = std::min(heartbeat_due_, quorum_check_due_);
  return transferring_ ? std::min(due, transferring_->deadline) : due;
}

bool Raft::leads_surely() const {
  return role_ == Role::Leader && own_term_start_.value > 0 && commit_ >= own_term_start_;
}

void Raft::on(const Found& input) {
  if (snapshot_ != nullptr || hard_.term.value > 0 || incoming_) return;
  auto first = std::make_shared<Snapshot>();
  first->meta.configuration = input.first;
  std::ranges::sort(first->meta.configuration.servers, {}, &Server::id);
  say("begins a new group of " + std::to_string(first->meta.configuration.servers.size()));
  snapshot_ = std::move(first);
  dirty().snapshot = snapshot_;
  history_.reset(Index{}, snapshot_->meta.configuration);
  out_.configuration_changed = true;
  if (voters_of(configuration()) == std::vector{config_.self}) election_deadline_ = now_;
}

void Raft::on(const Tick&) {
  if (role_ == Role::Leader) {
    if (transferring_ && now_ >= transferring_->deadline) give_up_transfer();
    if (now_ >= quorum_check_due_) check_quorum();
    if (role_ == Role::Leader && now_ >= heartbeat_due_) send_heartbeats();
    return;
  }
  if (now_ < election_deadline_) return;
  if (may_campaign()) {
    return start_pre_vote(knows_leader_lost() ? "the leader is dead" : "no leader heard in time");
  }
  // Who has no vote starts no election; its leader is as silent for it as for others.
  set_role(Role::Follower, "");
  reset_election_timer();
}

/// Messages are taken from anybody: whoever is behind may not know the configuration in which the
/// sender, or itself, has a part (4.1). What the sender is counted for goes by our own.
void Raft::on(const Received& input) {
  const Message& message = input.message;
  if (message.to != config_.self || message.from == config_.self) return;
  std::visit([&](const auto& body) { receive(message, body); }, message.body);
}

void Raft::on(const Propose& input) {
  take(input);
  if (role_ == Role::Leader) replicate();
}

void Raft::on(const ProposeAll& input) {
  for (const Propose& proposal : input.proposals) take(proposal);
  if (role_ == Role::Leader) replicate();
}

/// Into the log, or refused; what was taken is not sent yet.
void Raft::take(const Propose& proposal) {
  const std::uint64_t token = proposal.token;
  if (role_ != Role::Leader) return reject(token, Code::NotLeader, "it does not lead");
  if (transferring_) return reject(token, Code::Busy, "the leadership is being transferred");
  if (uncommitted_bytes_ > 0 &&
      uncommitted_bytes_ + proposal.data.size() > config_.uncommitted_bytes_max) {
    return reject(token, Code::Busy, "too much is not committed yet");
  }
  append_own(EntryKind::Command, proposal.data);
  out_.accepted.push_back({token, log_.last_index(), hard_.term});
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

/// What shows that everything up to `index` is kept may leave at once if it is.
Raft::When Raft::when_durable(Index index) const {
  return index <= durable_ ? When::Now : When::Durable;
}

Persist& Raft::dirty() {
  if (!dirty_) dirty_.emplace();
  return *dirty_;
}

void Raft::append_entry(Entry entry) {
  dirty().entries.push_back(entry);
  adopt(entry);
  log_.append(std::move(entry));
}

void Raft::append_own(EntryKind kind, std::string data) {
  uncommitted_bytes_ += data.size();
  append_entry({hard_.term, next(log_.last_index()), kind, std::move(data)});
}

void Raft::set_hard(HardState hard) {
  if (hard == hard_) return;
  hard_ = std::move(hard);
  if (FETTLE_MUTANT(raft_vote_not_persisted)) return;
  dirty().hard = hard_;
}

void Raft::set_role(Role role, ServerId leader) {
  if (role_ == role && leader_ == leader) return;
  role_ = role;
  leader_ = std::move(leader);
  out_.role_changed = true;
}

void Raft::become_follower(Term term, ServerId leader, const std::string& why) {
  const bool led = role_ == Role::Leader;
  const bool newer = term > hard_.term;
  if (newer) {
    say("term " + std::to_string(hard_.term.value) + " -> " + std::to_string(term.value) + ": " +
        why);
    set_hard({term, ""});
    out_.role_changed = true;
  }
  set_role(Role::Follower, std::move(leader));
  if (led) stop_leading(newer, why);
}

void Raft::stop_leading(bool deposed, const std::string& why) {
  say("steps down: " + why);
  progress_.clear();
  own_term_start_ = Index{};
  uncommitted_bytes_ = 0;
  fail_reads();
  if (transferring_) {
    const Code code = deposed ? Code::NotLeader : Code::Unreachable;
    out_.transfers.push_back({transferring_->token, deposed, code, why});
    transferring_.reset();
  }
  reset_election_timer();
}

void Raft::reset_election_timer() {
  const auto spread = static_cast<std::uint64_t>(config_.election_spread().count());
  election_deadline_ = now_ + config_.election_timeout +
                       Instant(static_cast<std::int64_t>(rng_.between(0, spread - 1)));
}

void Raft::advance_commit(Index to) {
  FETTLE_ASSERT_MSG(to <= log_.last_index(), "commit stays within the log");
  if (to <= commit_) return;
  commit_ = to;
  while (applied_ < commit_) {
    applied_ = next(applied_);
    const Entry& entry = log_.at(applied_);
    uncommitted_bytes_ -= std::min(uncommitted_bytes_, entry.data.size());
    out_.committed.push_back(entry);
  }
  if (incoming_ && incoming_->meta.index <= commit_) incoming_.reset();
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

/// Each fact once a step.
void Raft::say(const std::string& text) {
  if (!config_.trace || std::ranges::find(out_.trace, text) != out_.trace.end()) return;
  out_.trace.push_back(text);
}

void Raft::say_term_over(const std::string& what, const Message& message) {
  say(what + ": term " + std::to_string(message.term.value) + " is over");
}

void Raft::reject(std::uint64_t token, Code code, std::string why) {
  out_.rejected.push_back({token, code, std::move(why)});
}

}  // namespace fettle::raft
