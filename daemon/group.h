// Group: the group loop's owner: Raft, engine, links, proposals. What other threads may call posts
// to the loop; answers go back to the work loop as messages. Decides nothing itself: the engine
// does, and only a leader whose term a majority has just confirmed dispatches what it decided.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "api/backend.h"
#include "core/engine.h"
#include "core/engine_clock.h"
#include "daemon/group_side.h"
#include "daemon/limping.h"
#include "daemon/links.h"
#include "daemon/liveness.h"
#include "daemon/raft_driver.h"
#include "daemon/reach.h"
#include "daemon/wire.h"
#include "io/loop.h"

namespace fettle::daemon {

struct GroupConfig {
  core::MemberFacts facts;  // of this member
  std::string cluster;
  core::Address address;               // where this one listens for the others
  std::vector<Peer> members;           // the first voters; this one may be none of them
  std::optional<raft::Timing> timing;  // as a person set it; nullopt: measured
  std::optional<core::Spec> spec;      // from this member's own files, for a group without one
  std::uint64_t seed = 1;
};

class Group final : public GroupSide {
 public:
  /// How long a caller waits before it is told that the outcome is not known.
  static constexpr core::Duration kAnswerTimeout = std::chrono::seconds(5);
  static constexpr std::size_t kPendingMax = 4096;
  /// Without a leader for this long each voter tells the route by itself (CONTRACT "Alerts").
  static constexpr core::Duration kNoLeaderAfter = std::chrono::seconds(60);

  Group(io::Loop& loop, io::Loop& work, io::Worker& disk, store::GroupStore& store,
        GroupConfig config, store::LoadedGroup loaded, std::shared_ptr<io::TlsContext> tls,
        GroupEvents events);
  ~Group() override;
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  /// Before the loop runs. Listens for peers if there are any.
  Status start(const std::optional<io::SockAddress>& listen);

  /// One short line for people: what this member is, its nodes, its open incidents.
  std::string summary() const override;
  void catch_up(std::function<void(bool)> done) override;
  void report(std::vector<core::Opinion> opinions) override;
  void answer(core::TaskKey key, core::TaskResult result) override;
  void applied(std::function<void(Index, core::Time)> done) override;
  void report_directors(std::map<std::string, core::DirectorView> views) override;
  void alert_finished(std::string key, bool delivered, std::string why) override;
  void write(core::Command command, std::string key,
             std::function<void(Result<core::ClientAnswer>)> done) override;
  void read(bool linearizable, std::function<void(Result<api::Snapshot>)> done) override;
  void read_kv(api::KvQuery query, bool linearizable,
               std::function<void(Result<api::KvRead>)> done) override;
  void metrics(std::function<void(Result<api::GroupMetrics>)> done) override;
  void change_members(api::MemberChange change,
                      std::function<void(Result<std::string>)> done) override;
  void transfer(std::string to, std::function<void(Result<std::string>)> done) override;
  void snapshot_file(std::function<void(Result<std::string>)> done) override;
  void hand_over(std::function<void()> done) override;

 private:
  using WriteDone = std::function<void(Result<core::ClientAnswer>)>;
  using TextDone = std::function<void(Result<std::string>)>;
  template <typename T>
  using Done = std::function<void(Result<T>)>;
  /// Called on the group loop once the state is as new as was asked for, or cannot be.
  using ReadReady = std::function<void(Status)>;
  struct PendingWrite {
    Term term;
    std::string key;
    WriteDone done;
    core::Time deadline;
  };
  struct PendingForward {
    std::string key;
    WriteDone done;
    core::Time deadline;
  };
  struct PendingRead {
    ReadReady ready;
    core::Time deadline;
    std::optional<Index> index;
  };

  // group.cc: the loop's events
  void send(const raft::Message& message);
  void restore(const raft::Snapshot& snapshot);
  void compact();
  void apply(const raft::Entry& entry);
  void tell_new_leader(const raft::Entry& first);
  void remember_term(const raft::Entry& entry);
  /// Of the entry at `index`; 0: from before what this member has applied since its start.
  Term term_at(Index index) const;
  void apply_configuration(const raft::Entry& entry);
  void answer_write(const raft::Entry& entry, const core::ClientAnswer& answer);
  void stepped(bool role_changed);
  void begin_to_lead();
  void carry_out(const core::Effect& effect);
  void deliver(const std::string& key);
  void dispatch(core::Task task);
  void dispatch_confirmed(std::uint64_t token, bool ok);
  void cancel(const core::effect::Cancel& order);
  void resend_to(const std::set<std::string>& hosts);
  void tell_watches();
  void arm_wake();
  void sweep();
  void watch_leadership();
  void tell_no_leader(core::AlertStatus status, const std::string& text);
  void load(const raft::Snapshot& snapshot);
  [[noreturn]] void halt(const std::string& why) const;
  Index finished_below() const;
  void to_work(std::function<void()> message);
  /// From the work loop: runs `task` on the group loop; if that has no room, `done` is told so.
  template <typename T>
  void ask(std::function<void()> task, Done<T> done) {
    if (loop_.post(std::move(task))) return;
    work_.post([done = std::move(done)] { done(fail(Code::Busy, "this member is overloaded")); });
  }
  /// From the work loop: `done` gets what `make` makes, on the group loop, of a state that is as
  /// new as was asked for.
  template <typename T>
  void read_state(bool linearizable, Done<T> done, std::type_identity_t<std::function<T()>> make) {
    const auto answer = [this, done, make = std::move(make)](const Status& ready) {
      if (!ready) return to_work([done, error = ready.error()] { done(std::unexpected(error)); });
      to_work([done, made = make()] { done(made); });
    };
    ask<T>([this, linearizable, answer] { do_read(linearizable, answer); }, done);
  }

  // proposals.cc: what others ask of the leader
  void propose(core::Command command, std::string client, WriteDone done);
  void accepted(const raft::Accepted& accepted);
  void rejected(const raft::Rejected& rejected);
  void take_report(const core::command::ReportOpinions& report);
  void propose_reports();
  void take_directors(const core::command::ReportDirectors& report);
  void take_answer(const core::TaskKey& key, const core::TaskResult& result);
  void send_answers();
  void no_longer_proposed(const core::Command& command);
  void propose_refused();
  void commit_facts(const core::MemberFacts& facts);
  void do_write(core::Command command, std::string key, WriteDone done);
  void do_read(bool linearizable, ReadReady ready);
  void read_done(const raft::ReadDone& read);
  void client_read_done(const raft::ReadDone& read);
  void finish_reads();
  void fail_waiting();
  api::Snapshot snapshot();
  std::int64_t stale_ms() const;
  api::GroupStatus status() const;
  core::Time stamp() const;

  // duties.cc: what a leader does without being asked
  void tend_level();
  void tend_members();
  void tend_health();

  // timing.cc: round trips, and what follows from them
  void tend_timing();
  std::optional<double> rtt_ms(const std::string& peer) const;
  std::optional<raft::Instant> quorum_round_trip() const;
  void tell_timing(api::GroupStatus& status) const;

  // membership.cc: who the group is
  bool in_group() const;
  bool has_begun() const;
  raft::Configuration first_configuration() const;
  std::vector<Peer> peers() const;
  void configuration_changed();
  void link_to_peers();
  wire::Hello own_hello() const;
  Status meet(const wire::Hello& hello);
  void unreachable(const std::string& peer);
  void refused_by(const std::string& peer, const wire::Refused& refusal);
  std::string incarnation_of(const std::string& name) const;
  bool is_ahead(const wire::Hello& hello) const;
  void follow_ahead(const Peer& peer);
  void tend_ahead();
  Status is_known_incarnation(const wire::Hello& hello) const;
  void drop_other_incarnations();
  void found_if_agreed();
  void do_change(const api::MemberChange& change, WriteDone done);
  void change_as_leader(const api::MemberChange& change, WriteDone done);
  void change_agent(const api::MemberChange& change, WriteDone done);
  void do_transfer(const std::string& to, WriteDone done);
  void transferred(const raft::Transferred& transferred);
  void forward(const std::function<wire::Frame(std::uint64_t id)>& make, std::string key,
               WriteDone done);
  std::string state_file() const;
  WriteDone reply_to(const std::string& peer, std::uint64_t id);

  // agents.cc: members without a log, by links of this voter's or by way of another's
  Status meet_agent(const wire::Hello& hello) const;
  void agent_up(const wire::Hello& hello);
  void agent_down(const std::string& agent);
  void agent_frame(const std::string& agent, wire::Frame frame);
  void agent_asks(const std::string& agent, wire::Forward& frame);
  void agent_reads(const std::string& agent, const wire::ReadState& frame);
  Result<wire::StateRead> state_read(const wire::ReadState& frame);
  void pass_up(const std::string& agent, wire::Frame frame);
  void take_from_agent(const std::string& agent, wire::Frame frame);
  bool send_to(const std::string& member, const wire::Frame& frame);
  void tell_links(wire::AgentLinks links);
  void tell_all_links();
  void take_links(const std::string& voter, const wire::AgentLinks& links);
  void agents_moved(const Reach::News& news);
  wire::Led led() const;
  void tell_agents_of_leader();
  void tell_agents(std::vector<std::string> agents, const wire::Frame& frame);
  void tell_agents_watches();
  std::map<std::string, std::uint64_t> watch_digests() const;
  void tend_agents();
  std::vector<core::MemberFacts> agents_news();

  // metrics.cc: the numbers of this loop
  void count(Index index, const core::LogEntry& entry, const core::Applied& applied);
  api::GroupMetrics gather() const;

  // frames.cc: what peers say
  Status on_hello(const wire::Hello& hello);
  void on_frame(const std::string& peer, wire::Frame frame);
  void on_up(const std::string& peer);
  void on_down(const std::string& peer);
  void on(const std::string& peer, wire::Hello&) { static_cast<void>(peer); }
  void on(const std::string& peer, wire::Raft& frame);
  void on(const std::string& peer, wire::Report& frame);
  void on(const std::string& peer, wire::Forward& frame);
  void on(const std::string& peer, wire::Forwarded& frame);
  void on(const std::string& peer, wire::Perform& frame);
  void on(const std::string& peer, wire::Cancel& frame);
  void on(const std::string& peer, wire::Answer& frame);
  void on(const std::string& peer, wire::ReadIndex& frame);
  void on(const std::string& peer, wire::ReadIndexReply& frame);
  void on(const std::string& peer, wire::Directors& frame);
  void on(const std::string& peer, wire::ChangeMembers& frame);
  void on(const std::string& peer, wire::HandOver& frame);
  void on(const std::string& peer, wire::AgentLinks& frame);
  void on(const std::string& peer, wire::Relay& frame);
  void on(const std::string&, wire::Led&) {}
  void on(const std::string&, wire::Applied&) {}
  void on(const std::string&, wire::Watches&) {}
  void on(const std::string&, wire::ReadState&) {}
  void on(const std::string&, wire::StateRead&) {}
  void on(const std::string&, wire::Refused&) {}
  void on(const std::string&, wire::Ping&) {}
  void on(const std::string&, wire::Pong&) {}

  const std::string& self() const { return config_.facts.name; }
  bool leads() const { return leading_; }

  io::Loop& loop_;
  io::Loop& work_;
  GroupConfig config_;
  GroupEvents events_;
  core::Engine engine_;
  std::unique_ptr<Links> links_;
  Liveness liveness_;
  Limping limping_;
  raft::TimingChooser timing_;
  std::optional<raft::Instant> leader_quorum_;         // what the leader said of its majority last
  Reach reach_;                                        // while this member leads
  std::map<std::string, core::MemberFacts> agents_;    // by name: with a link to this voter
  std::map<std::string, std::uint64_t> told_watches_;  // by agent: a digest of what it was told
  bool watches_changed_ = false;                       // since the agents were told
  std::map<std::string, std::pair<core::MemberFacts, core::Time>>
      proposed_facts_;  // of agents: when, for those that may not be applied yet
  core::Time resent_;   // open tasks, to agents
  std::uint64_t dropped_relays_ = 0;
  io::Timer wake_timer_;
  io::Timer sweeper_;
  bool leading_ = false;  // leads, and everything up to its no-op is applied
  bool wake_proposed_ = false;
  bool raise_proposed_ = false;
  core::EngineClock clock_;
  core::Time leader_heard_;
  core::Time leader_known_;             // when one was last known
  std::optional<Term> no_leader_told_;  // the term in which its absence was told
  std::size_t log_bytes_ = 0;           // applied since the last snapshot
  Index compacted_;                     // what Raft was handed a snapshot of last
  Index told_before_;  // entries up to here were told before this start, as far as they stood
  Term loaded_term_;   // of the log's last entry then
  std::map<Index, Term> term_starts_;  // the first entry of each term that was applied here
  std::string told_leader_;
  Term told_term_;
  std::vector<core::Event> told_events_;          // of this step, not yet posted
  std::vector<core::effect::KvChanged> told_kv_;  // likewise
  core::EventCounts counts_;                      // of what was applied anew since this start
  std::uint64_t leader_changes_ = 0;

  // Of a member whose group has not begun.
  std::vector<Peer> callers_;       // who called and is not in the file
  std::set<std::string> founders_;  // who said that it knows of no group that has begun
  std::set<std::string> settled_;   // who said that it is in one
  std::set<std::string> tried_;     // who answered, or could not be reached, since the start
  bool told_waits_ = false;
  std::vector<Peer> linked_;  // the newest peers()
  /// Who joined or moved by entries that this member does not hold yet.
  std::vector<Peer> ahead_;
  /// Removed members, kept in reach for a moment: by name, with the end of it.
  static constexpr core::Duration kFarewell = std::chrono::seconds(2);
  std::map<std::string, std::pair<Peer, core::Time>> leaving_;
  bool was_member_ = false;
  bool facts_changed_ = false;  // in this step: links may be another incarnation's
  std::map<std::string, std::string> logged_incarnations_;  // by name, of the log at the start

  // Begins by chance: a peer's late reply to what this member asked before its last start names a
  // number that is not used again.
  std::uint64_t next_token_ = config_.seed;
  std::map<std::uint64_t, std::pair<std::string, WriteDone>>
      proposing_;                                 // by token, until accepted
  std::map<std::uint64_t, PendingWrite> writes_;  // by log index
  std::map<std::uint64_t, PendingForward> forwards_;
  std::map<std::uint64_t, WriteDone> transfers_;  // by token
  std::map<std::uint64_t, PendingRead> reads_;
  std::map<std::uint64_t, std::pair<core::Task, core::Time>>
      confirming_;  // dispatches with their deadlines in engine time, by read token
  std::map<std::uint64_t, std::pair<std::string, std::uint64_t>>
      peer_reads_;  // token → peer, its id
  std::map<std::pair<std::string, std::string>, std::uint64_t>
      proposed_;  // (observer, node) → sequence, not yet applied
  std::map<std::pair<std::string, std::string>, std::vector<core::Opinion>>
      reported_;  // (observer, incarnation) → this turn's news
  std::vector<core::command::ReportOpinions> early_reports_;  // before it leads surely
  std::set<std::pair<std::string, std::string>>
      proposed_directors_;  // (host, service) proposed, not yet applied
  // Proposed as leader, not yet applied; proposed again if there was no room.
  std::map<core::TaskKey, core::TaskResult> answers_;
  std::map<std::string, core::command::AlertFinished> finished_alerts_;
  bool propose_again_ = false;
  std::map<core::TaskKey, core::TaskResult>
      unsent_answers_;                               // of this host: no way to the leader yet
  std::shared_ptr<const core::State> shared_state_;  // for readers; null once it is old

  std::unique_ptr<RaftDriver> driver_;  // last: its callbacks reach all of the above
};

}  // namespace fettle::daemon
