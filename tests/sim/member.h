// Member: one simulated fettled. It drives raft, engine, judge and executor as the daemon does:
// persist → send → apply, the leader's duties, the host's acts, its looks at nodes. What its disks
// hold survives a crash; everything else is made anew at start. Driven by the world's clockwork.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/engine.h"
#include "core/engine_clock.h"
#include "core/executor.h"
#include "core/judge.h"
#include "daemon/liveness.h"
#include "raft/raft.h"
#include "tests/sim/clockwork.h"

namespace fettle::sim {

class StoredLog;
class World;

// What members send each other.
struct Report {
  core::command::ReportOpinions report;
};
struct Facts {
  core::MemberFacts facts;
};
struct Order {
  core::Task task;
  Index finished_below;
};
struct Recall {
  core::TaskKey key;
  core::Fence fence;
  std::string reason;
};
struct Answer {
  core::TaskKey key;
  core::TaskResult result;
};
struct Sight {
  core::command::ReportDirectors report;
};
using Packet = std::variant<raft::Message, Report, Facts, Order, Recall, Answer, Sight>;

template <typename Archive>
void fields(Archive& ar, Report& v) {
  ar(v.report);
}
template <typename Archive>
void fields(Archive& ar, Facts& v) {
  ar(v.facts);
}
template <typename Archive>
void fields(Archive& ar, Order& v) {
  ar(v.task, v.finished_below);
}
template <typename Archive>
void fields(Archive& ar, Recall& v) {
  ar(v.key, v.fence, v.reason);
}
template <typename Archive>
void fields(Archive& ar, Answer& v) {
  ar(v.key, v.result);
}
template <typename Archive>
void fields(Archive& ar, Sight& v) {
  ar(v.report);
}

/// What a client of one member hears: its answer, or that nobody knows.
using ClientDone = std::function<void(std::optional<core::ClientAnswer>)>;

/// What a client that reads one key of the store hears; nothing at all if the read failed.
using ReadDone = std::function<void(std::optional<core::KvValue>)>;

class Member {
 public:
  /// `first`: what the group begins with; null for a member that joins later.
  Member(World& world, std::string name, std::uint64_t seed,
         std::shared_ptr<const raft::Snapshot> first);
  ~Member();
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  /// Its process begins; it may find that it cannot go on (see halts()).
  void start();
  /// Its process ends; with `damage` a bit of its log's bytes is flipped, too.
  void crash(bool damage = false);
  /// Its process stands still until then; everything that comes meanwhile waits.
  void pause_until(Instant when) { paused_until_ = when; }
  void deliver(Packet packet);
  /// The same, from another: bytes that must be readable.
  void deliver_bytes(const std::string& bytes);
  void ask(const std::string& client, const core::Command& command, ClientDone done);
  /// A linearizable read of the key-value store, if this member leads.
  void read(const std::string& key, ReadDone done);
  /// An operator's order to Raft, or the driver's evidence.
  void order(raft::Input input);

  bool alive() const { return raft_ != nullptr; }
  const std::string& name() const { return name_; }
  /// The highest engine level that its version takes part in.
  std::uint32_t supports() const { return supports_; }
  void install(std::uint32_t level) { supports_ = level; }
  /// Its log cannot be read any more: it does not start.
  bool refuses_to_start() const { return refuses_; }
  /// Somebody sets the host's wall clock.
  void jump_wall(Instant by) { wall_offset_ += by; }
  /// Its log lies in real files from now on (tests/sim/stored_log.h).
  void store_for_real();
  bool leads() const { return alive() && raft_->leads_surely(); }
  bool is_leader() const { return alive() && raft_->role() == raft::Role::Leader; }
  const raft::Raft& raft() const { return *raft_; }
  const core::Engine& engine() const { return *engine_; }
  const raft::HardState& durable_hard() const { return hard_; }
  /// In its log, or under its snapshot.
  bool holds_durably(const raft::Entry& entry) const;
  Disk& group_disk() { return group_disk_; }
  Disk& host_disk() { return host_disk_; }

 private:
  struct Waiting {
    Term term;
    std::string client;
    ClientDone done;
  };

  /// How far an executor has come with a task; kills are counted by it.
  enum class Point : std::uint8_t { WritesBegun, Acts, WritesDone, Answered };

  // Machinery (member.cc).
  Instant clock() const;
  core::Time time() const;
  void later(Instant delay, std::function<void()> what);
  void run_at(Instant when, std::uint64_t life, std::function<void()> what);
  void input(raft::Input in);
  void carry_out(raft::Output out);
  void persist(const raft::Persist& persist);
  void keep(const raft::Persist& batch);
  void restore(const raft::Snapshot& snapshot);
  bool load(const raft::Snapshot& snapshot);
  void halt(const std::string& why);
  bool crash_files(const std::function<void()>& keep);
  void compact();
  void apply(const raft::Entry& entry);
  void answer_waiting(const raft::Entry& entry, const core::ClientAnswer& answer);
  void arm_raft();
  void propose(core::Command command, const std::string& client = "", ClientDone done = nullptr);
  core::Time engine_now() const;
  void send(const std::string& to, Packet packet);
  void send_to_leader(Packet packet);

  // Leading (leading.cc).
  void every_beat();
  void lead();
  void go_on();
  void tend_members();
  void found_group();
  void effect(const core::Effect& effect);
  void after_read(std::function<void()> then);
  void dispatch(core::Task task);
  Index finished_below() const;
  void recall(const core::effect::Cancel& cancel);
  void deliver_alert(const std::string& key);
  void take(const Report& report);
  void take(const Facts& facts);
  void take(const Answer& answer);
  void take(const Sight& sight);

  // Hosting and looking (hosting.cc).
  void take(const Order& order);
  void take(const Recall& recall);
  void take(const raft::Message& message);
  void executor_step(core::executor::Event event);
  void executor_effect(const core::executor::Effect& effect);
  void reaches(const core::TaskKey& key, Point point);
  void count_killed();
  void journal(const core::executor::Journal& write);
  void arm_executor();
  void watch();
  void look_at_directors();
  void look(const std::string& node, std::uint64_t revision, bool again);
  void seen(const core::Sample& sample, Instant expected, std::uint64_t revision);
  void report(std::vector<core::Opinion> opinions);
  void report_missing();

  World& world_;
  std::string name_;
  Rng rng_;
  Instant clock_offset_;
  std::int64_t clock_ppm_;  // what its clock gains
  Instant wall_offset_{0};
  std::uint32_t supports_ = core::kEngineLevel;

  // Durable.
  raft::HardState hard_;
  std::shared_ptr<const raft::Snapshot> snapshot_;
  std::vector<raft::Entry> entries_;
  std::map<core::TaskKey, core::JournalEntry> journal_;
  std::uint64_t generation_ = 1;
  Term fence_term_;
  std::string incarnation_;
  std::uint64_t starts_ = 0;
  Disk group_disk_, host_disk_;
  std::unique_ptr<StoredLog> files_;  // null: only what stands above
  std::vector<raft::Persist> unsaved_;
  bool damage_ = false;  // the next crash flips a bit
  bool refuses_ = false;

  // Of this process.
  std::uint64_t life_ = 0;
  Instant paused_until_{0};
  std::unique_ptr<raft::Raft> raft_;
  std::unique_ptr<core::Engine> engine_;
  std::unique_ptr<core::Judge> judge_;
  std::unique_ptr<core::Executor> executor_;
  std::map<core::TaskKey, Point> points_;
  std::uint64_t journaled_ = 0;  // since the last prune
  std::deque<raft::Input> inputs_;
  bool stepping_ = false;
  bool halting_ = false;
  Instant raft_armed_{-1};
  core::Time executor_armed_ = core::kNever;
  Instant applied_clock_{0};
  Index applied_;
  core::EngineClock engine_clock_{core::Time{}};
  Term seen_term_;
  Term led_term_;  // in which outstanding work was taken on
  std::uint64_t token_ = 0;
  std::map<std::uint64_t, Waiting> proposed_;
  std::map<Index, Waiting> waiting_;
  std::map<std::uint64_t, std::function<void()>> reading_;
  /// Sooner than the daemon's, so that the short faults of a seed lose members too.
  static constexpr core::Duration kLostAfter = milliseconds(400);
  static constexpr core::Duration kBackAfter = milliseconds(200);
  daemon::Liveness liveness_{kLostAfter, kBackAfter};
  std::map<std::string, Instant> heard_;   // when each peer was heard last
  std::map<std::string, bool> linked_;     // which of them count as linked
  std::map<std::string, Instant> recent_;  // what a leader did lately, so as not to repeat it
  std::map<std::string, core::Watch> watches_;
};

}  // namespace fettle::sim
