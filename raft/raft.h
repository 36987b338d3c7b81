// Raft: one server's part of the agreement, as a pure function step(now, input) → output. Owns the
// log in memory, term, vote, role, the configuration in force and what the leader knows of its
// peers; never reads a clock, sends, writes or waits. The driver in daemon/ (or the simulator)
// carries out the output:
//   1. make `persist` durable, in order of its batch numbers, one transaction each or several in
//   one; then step(Persisted{batch});
//   2. send `send`; whatever must not leave before something is durable is held back in here until
//      Persisted comes, so the driver has nothing to order;
//   3. load `restore` into the machine, then apply `committed` in order.
// The rules are those of Ongaro's thesis: pre-vote (9.6), check-quorum (6.2), commit by counting
// only in the own term (3.6.2), a no-op at the start of a term, ReadIndex (6.4), leadership
// transfer (3.10), membership one server at a time (4.1 to 4.3), snapshots (5). One file a concern.
//
// Planted defects for the simulator (base/check.h) are named raft_…; docs/simulator.md has them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "raft/configuration.h"
#include "raft/log.h"
#include "raft/messages.h"
#include "raft/progress.h"
#include "raft/step.h"

namespace fettle::raft {

class Raft {
 public:
  /// `start` as the store holds it; its snapshot is the machine's state already, and counts as
  /// applied. `now` starts the first timer.
  Raft(Config config, Start start, Instant now);

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
  const Timing& timing() const { return config_; }
  /// The one in force, committed or not, and the index of its entry (or of its snapshot's).
  const Configuration& configuration() const { return history_.newest().configuration; }
  Index configuration_index() const { return history_.newest().index; }
  bool is_self_voter() const { return is_voter(configuration(), config_.self); }
  /// Null: none was ever made or received.
  const std::shared_ptr<const Snapshot>& snapshot() const { return snapshot_; }
  /// By peer; empty unless it leads.
  const std::map<ServerId, Progress>& progress() const { return progress_; }
  /// Leader, and an entry of its own term is committed: it may serve reads and decide.
  bool leads_surely() const;
  /// Leader that is handing over: proposals are refused meanwhile.
  bool is_transferring() const { return transferring_.has_value(); }

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
  struct Transferring {
    std::uint64_t token = 0;
    ServerId target;
    Instant deadline;
    bool told = false;  // TimeoutNow is out
  };
  /// A snapshot that comes in, chunk by chunk.
  struct Incoming {
    SnapshotMeta meta;
    std::uint64_t total = 0;
    std::uint64_t checksum = 0;
    Term sent_in;  // by the leader of this term
    std::string data;
  };
  enum class When : std::uint8_t { Now, Durable };

  // raft.cc
  void on(const Found& input);
  void on(const Tick&);
  void on(const Received& input);
  void on(const Propose& input);
  void on(const ProposeAll& input);
  void take(const Propose& proposal);
  void on(const Persisted& input);
  void on(const Retime& input) { static_cast<Timing&>(config_) = input.timing; }
  void emit(const ServerId& to, Term term, Body body, When when);
  When when_durable(Index index) const;
  Persist& dirty();
  void append_entry(Entry entry);
  void append_own(EntryKind kind, std::string data);
  void set_hard(HardState hard);
  void set_role(Role role, ServerId leader);
  void become_follower(Term term, ServerId leader, const std::string& why);
  void stop_leading(bool deposed, const std::string& why);
  void reset_election_timer();
  void advance_commit(Index to);
  void seal();
  void say(const std::string& text);
  void say_term_over(const std::string& what, const Message& message);
  void reject(std::uint64_t token, Code code, std::string why);

  // election.cc
  void start_pre_vote(const std::string& why);
  void campaign(bool transfer);
  void become_leader();
  void receive(const Message& message, const VoteRequest& request);
  void receive(const Message& message, const VoteReply& reply);
  void answer_pre_vote(const Message& message, const VoteRequest& request);
  std::string why_no_pre_vote(const Message& message, const VoteRequest& request) const;
  bool holds_pre_vote() const;
  void hold_pre_vote_for(const ServerId& server);
  void stand_back_for(const ServerId& other);
  bool asks_again_soon() const;
  bool hears_a_leader() const;
  bool may_campaign() const;
  bool may_vote() const;
  bool knows_leader_lost() const { return leader_lost_in_ == hard_.term; }
  bool was_leader(const ServerId& server) const;
  void heard_leader(const Message& message);
  void count_vote(const ServerId& voter);
  std::size_t votes_in(const std::set<ServerId>& from) const;
  void check_quorum();
  void on(const LeaderLost& input);
  std::size_t rank_without(const ServerId& gone) const;

  // append.cc: the follower's side of AppendEntries
  void receive(const Message& message, const Append& append);
  Index take_entries(const Append& append);

  // replicate.cc: the leader's side
  Progress* answering_peer(const Message& message);
  void receive(const Message& message, const AppendReply& reply);
  void accepted_by(const ServerId& peer, Progress& progress, Index match);
  void refused_by(const ServerId& peer, Progress& progress, const AppendReply& reply);
  void send_append(const ServerId& peer, bool even_empty);
  void send_heartbeats();
  void replicate();
  void maybe_commit();
  bool is_window_full(const Progress& progress) const;
  std::uint64_t reached(std::uint64_t own, std::uint64_t (*of)(const Progress&)) const;

  // reads.cc
  void on(const Read& input);
  void confirm_reads();
  void fail_reads();

  // snapshot.cc
  void on(const Compact& input);
  void receive(const Message& message, const SnapshotChunk& chunk);
  void receive(const Message& message, const SnapshotReply& reply);
  bool assemble(Term sent_in, const SnapshotChunk& chunk);
  void install();
  void begin_snapshot(const ServerId& peer, Progress& progress);
  void send_chunk(const ServerId& peer, Progress& progress);
  void resend_chunk(const ServerId& peer, Progress& progress);
  void restored(const ServerId& peer, Progress& progress, Index match);

  // membership.cc
  void on(const AddServer& input);
  void on(const RemoveServer& input);
  void on(const PromoteServer& input);
  bool may_change(std::uint64_t token);
  std::string_view why_no_change() const;
  std::string why_no_majority(const Configuration& to) const;
  bool may_become(const Configuration& to, std::uint64_t token);
  void change(Configuration to, const std::string& what);
  void adopt(const Entry& entry);
  void configuration_moved();
  void follow_configuration();
  void note_round(Progress& progress);
  void promote_who_caught_up();
  void step_down_if_removed();

  // transfer.cc
  void on(const Transfer& input);
  void receive(const Message& message, const TimeoutNow&);
  void tell_target();
  void give_up_transfer();
  ServerId newest_voter() const;

  Config config_;
  HardState hard_;
  std::shared_ptr<const Snapshot> snapshot_;
  Log log_;
  ConfigurationHistory history_;
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
  Term heard_term_;                     // the newest whose leader it heard,
  ServerId heard_leader_;               // and that leader: known still when it asks for votes
  std::optional<Term> leader_lost_in_;  // its leader is known to be dead

  ServerId pre_vote_holder_;  // itself: while it asks
  Term pre_vote_held_in_;     // the next term has real votes
  Instant pre_vote_held_until_{0};

  std::set<ServerId> granted_;
  std::set<ServerId> refused_;
  std::map<ServerId, Progress> progress_;
  Index own_term_start_;  // the no-op of this leadership
  std::uint64_t round_ = 0;
  std::size_t uncommitted_bytes_ = 0;
  std::vector<std::uint64_t> early_reads_;  // until an own-term entry is committed
  std::deque<PendingRead> reads_;
  std::optional<Transferring> transferring_;
  std::optional<Incoming> incoming_;
  std::shared_ptr<const Snapshot> checksum_of_;
  std::uint64_t checksum_ = 0;

  std::uint64_t next_batch_ = 1;
  std::deque<Batch> batches_;     // not yet durable, oldest first
  std::optional<Persist> dirty_;  // of this step
  std::vector<Message> held_;     // of this step, until its batch is durable
  Output out_;
};

}  // namespace fettle::raft
