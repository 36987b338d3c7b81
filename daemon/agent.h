// Agent: the group's side of a member without a log (DESIGN §6): it observes and acts by the word
// of the voters that it has links to, and keeps nothing of the group but what it needs for that.
// Which voter it speaks to does not matter to the group: the leader is reached through any. Owns
// the links and what waits for an answer; decides nothing. Calls from the work loop post to its
// own.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/group_side.h"
#include "daemon/uplinks.h"

namespace fettle::daemon {

struct AgentConfig {
  core::MemberFacts facts;  // of this agent
  std::string cluster;
  std::vector<wire::Voter> voters;  // as its file names them; from the first link on the group does
  std::uint64_t generation = 1;     // the newest that this host has heard of
  std::uint64_t seed = 1;
};

class Agent final : public GroupSide {
 public:
  /// How long a caller waits before it is told that the outcome is not known.
  static constexpr core::Duration kAnswerTimeout = std::chrono::seconds(6);
  /// What waits for a voter's answer, or for a voter, at once.
  static constexpr std::size_t kPendingMax = 4096;

  Agent(io::Loop& loop, io::Loop& work, AgentConfig config, std::shared_ptr<io::TlsContext> tls,
        GroupEvents events);
  ~Agent() override;
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  /// Before the loop runs.
  void start();

  std::string summary() const override;
  /// The links that are up, TLS handshakes since the start. On its loop.
  const Uplinks& uplinks() const { return uplinks_; }

  void catch_up(std::function<void(bool)> done) override;
  void report(std::vector<core::Opinion> opinions) override;
  void answer(core::TaskKey key, core::TaskResult result) override;
  void applied(std::function<void(Index, core::Time)> done) override;
  void report_directors(std::map<std::string, core::DirectorView> views) override;
  /// Nothing is delivered by agents.
  void alert_finished(std::string, bool, std::string) override {}
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
  using StateDone = std::function<void(Result<wire::StateRead>)>;
  /// A question to a voter: one of the two is set.
  struct Pending {
    std::string voter;
    std::string key;
    WriteDone write;
    StateDone read;
    core::Time deadline;
  };
  /// What was read last, for when no voter answers.
  struct Known {
    api::Snapshot snapshot;
    core::Time at;
  };

  void on_up(const std::string& voter);
  void on_down(const std::string& voter);
  Status on_hello(const wire::Hello& hello) const;
  void on_frame(const std::string& voter, wire::Frame frame);
  void take_led(const std::string& voter, wire::Led led);
  void take_watches(wire::Watches watches);
  void take_forwarded(const wire::Forwarded& frame);
  void take_state(wire::StateRead read);
  void choose_voter();
  void tell_leader();
  void send_answers();
  void ask_write(const std::function<wire::Frame(std::uint64_t id)>& make, std::string key,
                 WriteDone done);
  void ask_state(wire::ReadState read, StateDone done);
  void add_pending(std::uint64_t id, Pending pending);
  void give_up(Pending pending);
  void sweep();
  Result<api::Snapshot> known_snapshot(const wire::StateRead& read);
  Result<api::Snapshot> last_known() const;
  void fill_in(api::GroupStatus& status) const;
  /// From the work loop: runs `task` on this one's; if that has no room, `done` is told so.
  template <typename T>
  void post(std::function<void()> task, std::function<void(Result<T>)> done) {
    if (loop_.post(std::move(task))) return;
    work_.post([done = std::move(done)] { done(fail(Code::Busy, "this agent is overloaded")); });
  }
  void to_work(std::function<void()> message);
  const std::string& self() const { return config_.facts.name; }

  io::Loop& loop_;
  io::Loop& work_;
  AgentConfig config_;
  GroupEvents events_;
  Uplinks uplinks_;
  io::Timer sweeper_;
  std::map<std::string, wire::Led> led_;  // by voter with a link: its newest word
  std::string voter_;                     // what is said goes to it; empty: none has a leader
  wire::Led told_;                        // the newest that the work loop was told
  Index applied_;                         // by a voter of this generation
  core::Time engine_time_;                // there
  Index watches_at_;
  std::uint64_t next_id_;
  std::map<std::uint64_t, Pending> pending_;
  std::map<core::TaskKey, core::TaskResult> unsent_answers_;
  std::optional<Known> known_;
};

}  // namespace fettle::daemon
