// Happy path: an input → raft → its batch to the disk, its messages to the network, its committed
// entries to the engine, their effects to the leader's duties. Failures: a crash drops everything
// that was under way (the life number), a pause holds everything back.
#include "tests/sim/member.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/codec.h"
#include "core/lease.h"
#include "core/level.h"
#include "tests/sim/stored_log.h"
#include "tests/sim/world.h"

namespace fettle::sim {

Member::Member(World& world, std::string name, std::uint64_t seed,
               std::shared_ptr<const raft::Snapshot> first)
    : world_(world),
      name_(std::move(name)),
      rng_(seed),
      clock_offset_(milliseconds(rng_.between(1'000, 10'000'000))),
      clock_ppm_(static_cast<std::int64_t>(rng_.between(0, 2 * world.profile().drift_ppm)) -
                 static_cast<std::int64_t>(world.profile().drift_ppm)),
      snapshot_(std::move(first)),
      incarnation_("i-" + name_),
      group_disk_(world.clock(), rng_.split()),
      host_disk_(world.clock(), rng_.split()) {
  const auto fails = [this] {
    world_.note(name_, "ends: its disk is full");
    crash();
  };
  group_disk_.set_on_failure(fails);
  host_disk_.set_on_failure(fails);
}

Member::~Member() = default;

Instant Member::clock() const {
  constexpr std::int64_t kMillion = 1'000'000;
  const Instant now = world_.clock().now();
  return now + clock_offset_ + now * clock_ppm_ / kMillion;
}
core::Time Member::time() const { return core::Time{clock().count()}; }

void Member::start() {
  ++life_;
  ++starts_;
  raft::Config config = world_.raft_config();
  config.self = name_;
  config.seed = rng_.next();
  config.trace = world_.tracing();
  raft_ = std::make_unique<raft::Raft>(config, raft::Start{hard_, snapshot_, entries_}, clock());
  engine_ = std::make_unique<core::Engine>(world_.actions(), supports_);
  applied_ = raft_->commit_index();
  judge_ = std::make_unique<core::Judge>();
  std::vector<core::JournalEntry> journal;
  for (const auto& [key, entry] : journal_) journal.push_back(entry);
  executor_ = std::make_unique<core::Executor>(journal, generation_, fence_term_);
  applied_clock_ = clock();
  engine_clock_ = core::EngineClock(time());
  seen_term_ = Term{};
  led_term_ = Term{};
  world_.raft_checks().restarted(name_, *raft_);
  world_.checks().forgot(name_);
  if (snapshot_ != nullptr && !load(*snapshot_)) return;
  watch();
  executor_step(core::executor::SawFence{1, raft_->term()});
  arm_raft();
  later(milliseconds(rng_.between(1, 100)), [this] { every_beat(); });
  later(milliseconds(rng_.between(1, 1000)), [this] { look_at_directors(); });
}

void Member::crash(bool damage) {
  if (!alive()) return;
  count_killed();
  ++life_;
  halting_ = false;
  raft_.reset();
  engine_.reset();
  judge_.reset();
  executor_.reset();
  inputs_.clear();
  raft_armed_ = Instant{-1};
  executor_armed_ = core::kNever;
  proposed_.clear();
  waiting_.clear();
  reading_.clear();
  recent_.clear();
  liveness_ = daemon::Liveness{kLostAfter, kBackAfter};
  heard_.clear();
  linked_.clear();
  watches_.clear();
  paused_until_ = Instant{0};
  points_.clear();
  damage_ = damage;
  const Disk::Crash torn = group_disk_.crash();
  host_disk_.crash();
  if (torn.torn) ++world_.counts()[Count::TornWrites];
  if (torn.kept) ++world_.counts()[Count::TornKept];
  if (damage && files_ == nullptr) refuses_ = true;
  world_.director(name_).crash();
  ++world_.counts()[Count::Crashes];
}

void Member::store_for_real() {
  files_ = std::make_unique<StoredLog>(rng_.split(), snapshot_);
  group_disk_.set_files({.commit =
                             [this] {
                               const Status saved = files_->save(std::exchange(unsaved_, {}));
                               FETTLE_ASSERT_MSG(saved.has_value(), "nothing fails this save");
                             },
                         .crash = [this](const auto& keep) { return crash_files(keep); }});
}

/// What the files hold is what was durable, or the whole transaction under way beside.
bool Member::crash_files(const std::function<void()>& keep) {
  const auto before = std::tuple(hard_, snapshot_, entries_);
  unsaved_.clear();
  keep();
  const StoredLog::Crash end{std::exchange(unsaved_, {}), group_disk_.full(), damage_};
  const auto loaded = files_->crash(end);
  if (!loaded) {
    std::tie(hard_, snapshot_, entries_) = before;
    refuses_ = true;
    if (!damage_) world_.checks().broken(name_ + " refuses to start: " + loaded.error().what);
    return false;
  }
  if (holds(*loaded, hard_, snapshot_.get(), entries_)) return true;
  std::tie(hard_, snapshot_, entries_) = before;
  if (!holds(*loaded, hard_, snapshot_.get(), entries_)) {
    world_.checks().broken("the files of " + name_ + " hold something else than was durable");
  }
  return false;
}

void Member::later(Instant delay, std::function<void()> what) {
  run_at(world_.clock().now() + delay, life_, std::move(what));
}

void Member::run_at(Instant when, std::uint64_t life, std::function<void()> what) {
  world_.clock().at(when, [this, life, what = std::move(what)]() mutable {
    if (life != life_ || !alive() || halting_) return;
    if (paused_until_ > world_.clock().now()) return run_at(paused_until_, life, std::move(what));
    what();
  });
}

bool Member::holds_durably(const raft::Entry& entry) const {
  if (snapshot_ != nullptr && entry.index <= snapshot_->meta.index) return true;
  if (entries_.empty() || entry.index < entries_.front().index) return false;
  const std::uint64_t at = entry.index.value - entries_.front().index.value;
  return at < entries_.size() && entries_[at].term == entry.term;
}

void Member::deliver(Packet packet) {
  if (!alive()) return;
  later(Instant{0}, [this, packet = std::move(packet)] {
    std::visit([this](const auto& held) { take(held); }, packet);
  });
}

void Member::deliver_bytes(const std::string& bytes) {
  auto packet = decode<Packet>(bytes);
  if (!packet) return world_.checks().broken("a packet is not readable: " + packet.error().what);
  deliver(std::move(*packet));
}

void Member::ask(const std::string& client, const core::Command& command, ClientDone done) {
  if (!alive()) return done(std::nullopt);
  later(Instant{0}, [this, client, command, done] { propose(command, client, done); });
}

void Member::read(const std::string& key, ReadDone done) {
  if (!alive()) return;
  later(Instant{0}, [this, key, done = std::move(done)] {
    const std::uint64_t token = ++token_;
    reading_[token] = [this, key, done] {
      const auto& values = engine_->state().kv.values;
      const auto found = values.find(key);
      done(found == values.end() ? std::nullopt : std::optional(found->second));
    };
    world_.raft_checks().read_asked(name_, token);
    input(raft::Read{token});
  });
}

void Member::order(raft::Input in) {
  if (!alive()) return;
  later(Instant{0}, [this, in = std::move(in)] { input(in); });
}

void Member::send(const std::string& to, Packet packet) {
  world_.send(name_, to, std::move(packet));
}

void Member::send_to_leader(Packet packet) {
  if (raft_->leader().empty()) return;
  if (raft_->leader() == name_) return deliver(std::move(packet));
  send(raft_->leader(), std::move(packet));
}

void Member::take(const raft::Message& message) {
  heard_[message.from] = clock();
  input(raft::Received{message});
}

void Member::input(raft::Input in) {
  inputs_.push_back(std::move(in));
  if (stepping_) return;
  stepping_ = true;
  while (!inputs_.empty() && !halting_) {
    const raft::Input next = std::move(inputs_.front());
    inputs_.pop_front();
    const Term led = is_leader() ? raft_->term() : Term{};
    raft::Output out = raft_->step(clock(), next);
    if (is_leader() && raft_->term() != led) ++world_.counts()[Count::Leaders];
    world_.raft_checks().stepped(name_, *raft_, is_leader() ? raft_->term() : led, out);
    carry_out(std::move(out));
  }
  stepping_ = false;
  if (!halting_) arm_raft();
}

void Member::carry_out(raft::Output out) {
  for (const std::string& fact : out.trace) world_.trace(name_, fact);
  if (out.role_changed) {
    world_.note(name_, "is " + std::string(raft::to_string(raft_->role())) + " in term " +
                           std::to_string(raft_->term().value));
    if (raft_->term() > seen_term_) {
      seen_term_ = raft_->term();
      executor_step(core::executor::SawFence{1, seen_term_});
    }
  }
  if (out.persist) persist(*out.persist);
  for (raft::Message& message : out.send) {
    world_.raft_checks().sent(message, hard_);
    const std::string to = message.to;
    send(to, std::move(message));
  }
  for (const raft::Accepted& accepted : out.accepted) {
    auto node = proposed_.extract(accepted.token);
    if (node.empty()) continue;
    node.mapped().term = accepted.term;
    waiting_.insert_or_assign(accepted.index, std::move(node.mapped()));
  }
  for (const raft::Rejected& rejected : out.rejected) {
    auto node = proposed_.extract(rejected.token);
    if (!node.empty() && node.mapped().done) node.mapped().done(std::nullopt);
  }
  if (out.restore != nullptr) ++world_.counts()[Count::SnapshotsInstalled];
  if (out.restore != nullptr) restore(*out.restore);
  for (const raft::Entry& entry : out.committed) {
    if (!halting_) apply(entry);
  }
  for (const raft::Transferred& one : out.transfers) {
    if (one.ok) ++world_.counts()[Count::Transfers];
  }
  if (halting_) return;
  if (leads() && led_term_ != raft_->term()) {
    led_term_ = raft_->term();
    liveness_.begin_to_lead(time());
    go_on();
  }
  for (const raft::ReadDone& read : out.reads) {
    auto node = reading_.extract(read.token);
    if (!node.empty() && read.ok) node.mapped()();
  }
}

void Member::persist(const raft::Persist& batch) {
  group_disk_.write([this, batch] { keep(batch); },
                    [this, number = batch.batch] {
                      later(Instant{0}, [this, number] { input(raft::Persisted{number}); });
                    });
}

void Member::keep(const raft::Persist& batch) {
  if (files_ != nullptr) unsaved_.push_back(batch);
  if (batch.truncate_from) {
    std::erase_if(entries_, [&](const auto& entry) { return entry.index >= *batch.truncate_from; });
  }
  if (batch.snapshot != nullptr) snapshot_ = batch.snapshot;
  if (batch.compact_to) {
    std::erase_if(entries_, [&](const auto& entry) { return entry.index <= *batch.compact_to; });
  }
  for (const raft::Entry& entry : batch.entries) {
    const Index last = entries_.empty() ? snapshot_->meta.index : entries_.back().index;
    FETTLE_ASSERT_MSG(entry.index == next(last), "the disk's log has no gaps");
    entries_.push_back(entry);
  }
  if (!batch.hard) return;
  world_.raft_checks().persisted(name_, hard_, *batch.hard);
  hard_ = *batch.hard;
}

/// Hands Raft what it has applied, as a snapshot.
void Member::compact() {
  if (applied_.value == 0) return;
  const auto before = raft_->snapshot();
  input(raft::Compact{applied_, engine_->save()});
  if (raft_->snapshot() != before) ++world_.counts()[Count::SnapshotsTaken];
}

/// False: it cannot, and ends.
bool Member::load(const raft::Snapshot& snapshot) {
  if (snapshot.meta.index.value == 0) return true;
  const Status loaded = engine_->load(snapshot.data);
  if (!loaded) {
    halt(loaded.error().what);
    return false;
  }
  applied_ = snapshot.meta.index;
  applied_clock_ = clock();
  engine_clock_.applied(engine_->state().now, time(), false);
  world_.note(name_, "restores", applied_.value, snapshot.meta.term.value);
  world_.checks().restored(name_, applied_, *engine_);
  return true;
}

/// To go on would be to decide otherwise than the others do: the process ends now.
void Member::halt(const std::string& why) {
  halting_ = true;
  ++life_;
  inputs_.clear();
  world_.halts(*this, why);
}

void Member::restore(const raft::Snapshot& snapshot) {
  if (!load(snapshot)) return;
  watch();
  // What became of these is in the snapshot, and not to be told from it.
  for (auto at = waiting_.begin(); at != waiting_.end() && at->first <= applied_;) {
    const Waiting waiting = std::move(at->second);
    at = waiting_.erase(at);
    if (waiting.done) waiting.done(std::nullopt);
  }
}

void Member::apply(const raft::Entry& entry) {
  core::Applied applied;
  std::optional<core::LogEntry> command;
  if (entry.kind == raft::EntryKind::Command) {
    auto decoded = core::decode_entry(entry.data, supports_);
    if (!decoded && decoded.error().code == Code::Refused) return halt(decoded.error().what);
    FETTLE_ASSERT_MSG(decoded.has_value(), "the log holds only commands");
    applied = engine_->apply(entry.index, *decoded);
    if (applied.halt) return halt(*applied.halt);
    if (engine_->state().level > supports_) {
      world_.checks().broken(name_ + " goes on at a level that its version does not know");
    }
    command = std::move(*decoded);
    applied_clock_ = clock();
    const bool own = leads() && entry.term == raft_->term();
    engine_clock_.applied(engine_->state().now, time(), own);
  } else if (entry.kind == raft::EntryKind::Configuration) {
    applied = engine_->configure(entry.index, raft::servers_of(raft::configuration_in(entry)));
  }
  applied_ = entry.index;
  world_.checks().applied(name_, entry.index, *engine_, applied, command ? &*command : nullptr,
                          world_.clock().now());
  world_.note(name_, "applies", entry.index.value, entry.term.value);
  bool rewatch = false;
  for (const core::Effect& one : applied.effects) {
    if (std::holds_alternative<core::effect::WatchesChanged>(one)) rewatch = true;
    if (const auto* happened = std::get_if<core::effect::Happened>(&one)) {
      const core::Event& e = happened->event;
      world_.trace(name_, std::to_string(entry.index.value) + ": " + e.kind + " " + e.node + " " +
                              e.step + " " + e.value + " " + e.reason);
    }
    if (leads() && led_term_ == raft_->term()) effect(one);
  }
  if (rewatch) watch();
  if (entry.kind == raft::EntryKind::Configuration) world_.members_changed();
  answer_waiting(entry, applied.answer);
}

void Member::answer_waiting(const raft::Entry& entry, const core::ClientAnswer& answer) {
  auto node = waiting_.extract(entry.index);
  if (node.empty() || !node.mapped().done) return;
  if (node.mapped().term == entry.term) {
    if (!node.mapped().client.empty()) world_.checks().answered(node.mapped().client, answer);
    return node.mapped().done(answer);
  }
  node.mapped().done(std::nullopt);
}

void Member::arm_raft() {
  const Instant due = raft_->deadline();
  if (raft_armed_ >= Instant{0} && raft_armed_ <= due && raft_armed_ > clock()) return;
  raft_armed_ = std::max(due, clock() + Instant{1});
  later(raft_armed_ - clock(), [this, armed = raft_armed_] {
    if (armed == raft_armed_) raft_armed_ = Instant{-1};
    if (raft_->deadline() <= clock()) return input(raft::Tick{});
    if (raft_armed_ < Instant{0}) arm_raft();
  });
}

core::Time Member::engine_now() const { return engine_clock_.read(time()); }

void Member::propose(core::Command command, const std::string& client, ClientDone done) {
  const auto why = core::why_not_command(engine_->state(), command);
  if (why) {  // only who leads surely knows the group's level
    const bool knows = leads() && led_term_ == raft_->term();
    const core::ClientAnswer refusal{.ok = false, .code = Code::Refused, .text = *why};
    if (done) done(knows ? std::optional(refusal) : std::nullopt);
    return;
  }
  core::LogEntry entry;
  entry.level = std::max(engine_->state().level, core::level_of(command));
  entry.stamp = engine_now();
  constexpr std::int64_t kSomeDay = 1'700'000'000'000;  // ms
  const Instant wall = world_.clock().now() + wall_offset_;
  entry.wall = core::WallTime{kSomeDay + wall / milliseconds(1)};
  if (core::keeps_answer(command)) entry.client = client;
  entry.command = std::move(command);
  const std::uint64_t token = ++token_;
  proposed_[token] = {Term{}, entry.client, std::move(done)};
  input(raft::Propose{token, core::encode_entry(entry)});
}

}  // namespace fettle::sim
