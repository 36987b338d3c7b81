// Raft: one server's part of the agreement, as a pure function step(now, input) → output. Owns the
// log in memory, term, vote, role and what the leader knows of its peers; never reads a clock,
// sends, writes or waits. The driver in daemon/ (or the simulator) carries out the output:
//   1. make `persist` durable, in order of its batch numbers, one transaction each or several in
//   one;
//      then step(Persisted{batch});
//   2. send `send`; whatever must not leave before something is durable is held back in here until
//      Persisted comes, so the driver has nothing to order;
//   3. apply `committed` in order.
// The rules are those of Ongaro's thesis: pre-vote (9.6), check-quorum (6.2), commit by counting
// only in the own term (3.6.2), a no-op at the start of a term and ReadIndex (6.4).
//
// Planted defects for the simulator (base/check.h): raft_phantom_ack, raft_figure8,
// raft_double_vote, raft_vote_not_persisted, raft_ack_before_durable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "raft/log.h"
#include "raft/messages.h"

namespace fettle::raft {

struct Config {
  ServerId self;
  std::vector<ServerId> voters;                              // all of them, self included
  Instant election_timeout{std::chrono::milliseconds(300)};  // T; timers draw from [T, 2T)
  Instant heartbeat{std::chrono::milliseconds(60)};
  std::uint64_t seed = 1;
  std::size_t append_bytes_max = 256U * 1024;  // payload of one Append
  std::size_t inflight_max = 64;               // unanswered Appends a peer
  std::size_t uncommitted_bytes_max = 64U * 1024 * 1024;
  std::size_t reads_max = 4096;  // pending at once
  bool trace = false;
};

// Inputs.
struct Tick {};
struct Received {
  Message message;
};
/// Leader only; answered by an Accepted or a Rejected with the same token.
struct Propose {
  std::uint64_t token = 0;
  std::string data;
};
/// Everything up to this batch is durable.
struct Persisted {
  std::uint64_t batch = 0;
};
/// Leader only: a linearizable read point, or proof that this term still holds a majority.
struct Read {
  std::uint64_t token = 0;
};
using Input = std::variant<Tick, Received, Propose, Persisted, Read>;

/// To be made durable in one transaction, in this order: truncate, snapshot, compact, append, and the
/// hard state.
struct Persist {
  std::uint64_t batch = 0;
  std::optional<HardState> hard;
  std::optional<Index> truncate_from;
  std::shared_ptr<const Snapshot> snapshot;  // replaces the one before; null: it stays
  std::optional<Index> compact_to;           // entries up to here go
  std::vector<Entry> entries;
};
struct Accepted {
  std::uint64_t token = 0;
  Index index;
  Term term;
};
struct Rejected {
  std::uint64_t token = 0;
  Code code = Code::NotLeader;
};
/// `ok`: a majority confirmed the term after the Read came; apply up to `index`, then read.
struct ReadDone {
  std::uint64_t token = 0;
  bool ok = false;
  Index index;
};

enum class Role : std::uint8_t { Follower, PreCandidate, Candidate, Leader };
std::string_view to_string(Role role);

struct Output {
  std::optional<Persist> persist;
  std::vector<Message> send;
  std::vector<Entry> committed;
  std::vector<Accepted> accepted;
  std::vector<Rejected> rejected;
  std::vector<ReadDone> reads;
  bool role_changed = false;       // role, term or leader; ask the accessors
  std::vector<std::string> trace;  // facts with reasons, only with Config::trace
};

/// What the leader knows of one peer.
struct Progress {
  Index match;
  Index next{1};
  bool probing = true;         // one Append at a time until one is accepted
  bool paused = false;         // a probe is out
  std::deque<Index> inflight;  // last index of each unanswered Append
  Instant last_contact{0};
  std::uint64_t round = 0;  // newest heartbeat round it answered
};

class Raft {
 public:
  /// `hard` and `log` as the store holds them; `now` starts the first timer.
  Raft(Config config, HardState hard, std::vector<Entry> log, Instant now);

  Output step(Instant now, Input input);

  /// When the next Tick is due.
  Instant deadline() const;

  Role role() const { return role_; }
  Term term() const { return hard_.term; }
  const ServerId& leader() const { return leader_; }  // empty: none known
  Index commit_index() const { return commit_; }
  const Log& log() const { return log_; }
  const HardState& hard_state() const { return hard_; }
  Index durable_index() const { return durable_; }
  /// By peer; meaningful while leader.
  const std::map<ServerId, Progress>& progress() const { return progress_; }
  /// Leader, and an entry of its own term is committed: it may serve reads and decide.
  bool leads_surely() const;

 private:
  struct Batch {
    std::uint64_t number = 0;
    bool has_hard = false;
    Index last_index;  // of the log when the batch was made (ABA: with its term)
    Term last_term;
    std::vector<Message> held;
  };
  struct PendingRead {
    std::uint64_t token = 0;
    std::uint64_t round = 0;
    Index index;
  };
  enum class When : std::uint8_t { Now, Durable };

  // raft.cc
  void on(const Tick&);
  void on(const Received& input);
  void on(const Propose& input);
  void on(const Persisted& input);
  void on(const Read& input);
  void emit(const ServerId& to, Term term, Body body, When when);
  void append_own(EntryKind kind, std::string data);
  void set_hard(HardState hard);
  void set_role(Role role, ServerId leader);
  void become_follower(Term term, ServerId leader, const std::string& why);
  void reset_election_timer();
  void advance_commit(Index to);
  void seal();
  void say(const std::string& text);
  std::size_t majority() const;
  bool is_voter(const ServerId& id) const;
  void fail_reads();

  // election.cc
  void start_pre_vote();
  void campaign();
  void become_leader();
  void receive(const Message& message, const VoteRequest& request);
  void receive(const Message& message, const VoteReply& reply);
  bool hears_a_leader() const;
  void count_vote(const ServerId& voter);
  void check_quorum();

  // append.cc
  void receive(const Message& message, const Append& append);
  void receive(const Message& message, const AppendReply& reply);
  void take_entries(const Append& append);
  void accepted_by(const ServerId& peer, Progress& progress, Index match);
  void refused_by(const ServerId& peer, Progress& progress, const AppendReply& reply);
  void send_append(const ServerId& peer, bool even_empty);
  void send_heartbeats();
  void replicate();
  void maybe_commit();
  void confirm_reads();

  Config config_;
  HardState hard_;
  Log log_;
  Role role_ = Role::Follower;
  ServerId leader_;
  Index commit_;
  Index applied_;
  Index durable_;
  Rng rng_;

  Instant now_{0};
  Instant election_deadline_{0};
  Instant heartbeat_due_{0};
  Instant quorum_check_due_{0};
  std::optional<Instant> leader_heard_;

  std::set<ServerId> granted_;
  std::set<ServerId> refused_;
  std::map<ServerId, Progress> progress_;
  Index own_term_start_;  // the no-op of this leadership
  std::uint64_t round_ = 0;
  std::size_t uncommitted_bytes_ = 0;
  std::vector<std::uint64_t> early_reads_;  // until an own-term entry is committed
  std::deque<PendingRead> reads_;

  std::uint64_t next_batch_ = 1;
  std::deque<Batch> batches_;     // not yet durable, oldest first
  std::optional<Persist> dirty_;  // of this step
  std::vector<Message> held_;     // of this step, until its batch is durable
  Output out_;
};

}  // namespace fettle::raft
