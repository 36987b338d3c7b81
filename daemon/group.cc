// The group loop: what Raft committed is applied, and what the engine decided is carried out if
// this member leads. A new leader: once its no-op is applied it founds the group if nobody has,
// commits members' facts and goes on with Engine::outstanding().
#include "daemon/group.h"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "actions/action.h"
#include "api/views.h"
#include "base/check.h"
#include "daemon/loaded_log.h"
#include "daemon/log.h"

namespace fettle::daemon {
namespace {

/// The log is compacted after so much of it; a snapshot of a small state then costs little.
constexpr std::uint64_t kCompactEntries = 10'000;
constexpr std::size_t kCompactBytes = 16U * 1024 * 1024;

raft::Config raft_config(const GroupConfig& config) {
  raft::Config raft;
  raft.self = config.facts.name;
  static_cast<raft::Timing&>(raft) = config.timing.value_or(raft::Timing{});
  raft.seed = config.seed;
  return raft;
}

}  // namespace

Group::Group(io::Loop& loop, io::Loop& work, io::Worker& disk, store::GroupStore& store,
             GroupConfig config, store::LoadedGroup loaded, std::shared_ptr<io::TlsContext> tls,
             GroupEvents events)
    : loop_(loop),
      work_(work),
      config_(std::move(config)),
      events_(std::move(events)),
      engine_(actions::kinds()),
      timing_(config_.timing),
      wake_timer_(loop),
      sweeper_(loop),
      clock_(io::Loop::now()),
      leader_heard_(io::Loop::now()),
      leader_known_(io::Loop::now()),
      told_before_(newest_of(loaded)),
      loaded_term_(newest_term_of(loaded)),
      logged_incarnations_(incarnations_in(loaded)) {
  loop.measure_lag();
  if (tls != nullptr && config_.address.port != 0) {
    links_ = std::make_unique<Links>(
        loop, std::move(tls),
        LinkEvents{
            .hello = [this] { return own_hello(); },
            .on_hello = [this](const wire::Hello& h) { return on_hello(h); },
            .on_frame = [this](const std::string& p, wire::Frame f) { on_frame(p, std::move(f)); },
            .on_up = [this](const std::string& p) { on_up(p); },
            .on_down = [this](const std::string& p) { on_down(p); },
            .on_dead = [this](const std::string& p) { driver_->step(raft::LeaderLost{p}); },
            .on_failed = [this](const std::string& p) { unreachable(p); },
            .on_refused = [this](const std::string& p,
                                 const wire::Refused& r) { refused_by(p, r); },
            .on_agent_hello = [this](const wire::Hello& h) { return meet_agent(h); },
            .on_agent_up = [this](const wire::Hello& h) { agent_up(h); },
            .on_agent_down = [this](const std::string& a) { agent_down(a); },
            .on_agent_frame = [this](const std::string& a,
                                     wire::Frame f) { agent_frame(a, std::move(f)); }});
  }
  driver_ = std::make_unique<RaftDriver>(
      loop, disk, store, raft_config(config_), std::move(loaded),
      RaftEvents{.send = [this](const raft::Message& m) { send(m); },
                 .configuration_changed = [this] { configuration_changed(); },
                 .transferred = [this](const raft::Transferred& t) { transferred(t); },
                 .restore = [this](const raft::Snapshot& s) { restore(s); },
                 .apply = [this](const raft::Entry& e) { apply(e); },
                 .accepted = [this](const raft::Accepted& a) { accepted(a); },
                 .rejected = [this](const raft::Rejected& r) { rejected(r); },
                 .read_done = [this](const raft::ReadDone& r) { read_done(r); },
                 .stepped = [this](bool changed) { stepped(changed); }});
}

Group::~Group() = default;

Status Group::start(const std::optional<io::SockAddress>& listen) {
  const auto& snapshot = driver_->raft().snapshot();
  if (snapshot != nullptr && !snapshot->data.empty()) {
    load(*snapshot);
    clock_.applied(engine_.state().now, io::Loop::now(), false);
    tell_watches();
  }
  if (links_ != nullptr) {
    FETTLE_ASSERT(listen.has_value());
    FETTLE_CHECK(links_->listen(*listen));
    link_to_peers();
    links_->connect_all();
  }
  was_member_ = raft::find_server(driver_->raft().configuration(), self()) != nullptr;
  driver_->start();
  found_if_agreed();
  constexpr core::Duration kSweepEvery = std::chrono::milliseconds(250);
  sweeper_.start_repeating(kSweepEvery, [this] { sweep(); });
  return {};
}

void Group::to_work(std::function<void()> message) {
  FETTLE_ASSERT_MSG(work_.post(std::move(message)), "the work loop's mailbox is full");
}

void Group::send(const raft::Message& message) {
  if (links_ != nullptr) links_->send(message.to, wire::Raft{message});
}

/// Ends the process if the snapshot is of an engine level beyond this version's.
void Group::load(const raft::Snapshot& snapshot) {
  const Status loaded = engine_.load(snapshot.data);
  if (!loaded && loaded.error().code == Code::Refused) halt("the snapshot: " + loaded.error().what);
  FETTLE_ASSERT_MSG(loaded.has_value(), "a snapshot whose checksum is right is readable");
  term_starts_ = {{snapshot.meta.index, snapshot.meta.term}};
}

void Group::restore(const raft::Snapshot& snapshot) {
  load(snapshot);
  log::info("snapshot.restored index=" + std::to_string(snapshot.meta.index.value));
  clock_.applied(engine_.state().now, io::Loop::now(), false);
  watches_changed_ = true;
  told_before_ = std::max(told_before_, snapshot.meta.index);
  logged_incarnations_.clear();
  log_bytes_ = 0;
  shared_state_.reset();
  told_kv_.clear();
  facts_changed_ = true;
  to_work([this, revision = engine_.state().kv.revision] { events_.kv_restored(revision); });
  tell_watches();
}

/// Hands Raft a snapshot once enough was applied since the last.
void Group::compact() {
  const Index applied = driver_->applied();
  if (!in_group()) return;
  const Index last = std::max(compacted_, driver_->raft().snapshot()->meta.index);
  if (applied.value - last.value < kCompactEntries && log_bytes_ < kCompactBytes) return;
  compacted_ = applied;
  log_bytes_ = 0;
  driver_->step(raft::Compact{applied, engine_.save()});
}

void Group::apply(const raft::Entry& entry) {
  log_bytes_ += entry.data.size();
  remember_term(entry);
  if (entry.term > loaded_term_) {  // what stood after the newest that was loaded is not there
    logged_incarnations_.clear();
    told_before_ = std::min(told_before_, Index{entry.index.value - 1});
  }
  if (entry.kind == raft::EntryKind::Configuration) return apply_configuration(entry);
  if (entry.kind == raft::EntryKind::Noop) return tell_new_leader(entry);
  const auto decoded = core::decode_entry(entry.data);
  if (!decoded && decoded.error().code == Code::Refused) halt(decoded.error().what);
  FETTLE_ASSERT_MSG(decoded.has_value(), "a committed entry is readable");
  const core::Applied applied = engine_.apply(entry.index, *decoded);
  if (applied.halt) halt(*applied.halt);
  const bool own = leading_ && entry.term == driver_->raft().term();
  clock_.applied(engine_.state().now, io::Loop::now(), own);
  count(entry.index, *decoded, applied);
  shared_state_.reset();
  no_longer_proposed(decoded->command);
  facts_changed_ |= std::holds_alternative<core::command::SetFacts>(decoded->command);
  for (const core::Effect& effect : applied.effects) carry_out(effect);
  answer_write(entry, applied.answer);
}

/// A term's first entry says that it has a leader, under the same id on every member. Whoever
/// applies it again later knows only that there was one.
void Group::tell_new_leader(const raft::Entry& first) {
  const raft::Raft& raft = driver_->raft();
  const bool anew = first.index > told_before_;
  told_events_.push_back({.index = first.index,
                          .at = anew ? io::Loop::wall_now() : engine_.state().wall,
                          .kind = "leader.changed",
                          .value = first.term == raft.term() ? raft.leader() : "",
                          .reason = "term " + std::to_string(first.term.value)});
}

/// The members are part of the engine's state, from the level on that knows them.
void Group::apply_configuration(const raft::Entry& entry) {
  const core::Applied applied =
      engine_.configure(entry.index, raft::servers_of(raft::configuration_in(entry)));
  shared_state_.reset();
  for (const core::Effect& effect : applied.effects) carry_out(effect);
  answer_write(entry, applied.answer);
}

void Group::answer_write(const raft::Entry& entry, const core::ClientAnswer& answer) {
  const auto waiting = writes_.find(entry.index.value);
  if (waiting == writes_.end()) return;
  PendingWrite write = std::move(waiting->second);
  writes_.erase(waiting);
  if (write.term == entry.term) {
    to_work([done = std::move(write.done), answer] { done(answer); });
  } else {
    to_work([done = std::move(write.done)] {
      done(fail(Code::NotLeader, "another leader took over"));
    });
  }
}

/// To go on would be to decide otherwise than the other voters do.
void Group::halt(const std::string& why) const {
  log::error(why + "; this member ends");
  _exit(kExitEngineHalted);
}

void Group::stepped(bool role_changed) {
  const raft::Raft& raft = driver_->raft();
  if (raft.role() == raft::Role::Leader) leader_heard_ = io::Loop::now();
  const bool sure = raft.leads_surely() && driver_->applied() >= raft.commit_index();
  if (leading_ && raft.role() != raft::Role::Leader) {
    leading_ = false;
    fail_waiting();
  }
  if (role_changed && (raft.leader() != told_leader_ || raft.term() != told_term_)) {
    told_leader_ = raft.leader();
    told_term_ = raft.term();
    leader_quorum_.reset();
    if (!told_leader_.empty()) ++leader_changes_;
    log::info("leader.changed term=" + std::to_string(told_term_.value) +
              " leader=" + (told_leader_.empty() ? "none" : told_leader_));
    to_work([this, leader = told_leader_, generation = engine_.state().generation,
             term = told_term_] { events_.leader_changed(leader, generation, term); });
    if (raft.role() != raft::Role::Leader) early_reports_.clear();
    send_answers();
    tell_all_links();
    tell_agents_of_leader();
  }
  if (!leading_ && sure) {
    leading_ = true;
    begin_to_lead();
  }
  if (!told_events_.empty()) {
    to_work([this, events = std::exchange(told_events_, {})] { events_.happened(events); });
  }
  if (!told_kv_.empty()) {
    to_work([this, changes = std::exchange(told_kv_, {})] { events_.kv_changed(changes); });
  }
  if (std::exchange(facts_changed_, false)) drop_other_incarnations();
  if (leading_) tend_level();
  finish_reads();
  arm_wake();
  compact();
}

void Group::begin_to_lead() {
  wake_proposed_ = false;
  raise_proposed_ = false;
  liveness_.begin_to_lead(io::Loop::now());
  const core::State& state = engine_.state();
  if (state.cluster.empty()) {
    core::command::Found found{config_.cluster, {}};
    for (const raft::Server& server : driver_->raft().configuration().servers) {
      core::MemberFacts facts;
      facts.name = server.id;
      found.voters.push_back(std::move(facts));
    }
    propose(std::move(found), "", nullptr);
  }
  commit_facts(config_.facts);
  for (const raft::Server& server : driver_->raft().configuration().servers) {
    const wire::Hello* hello = links_ == nullptr ? nullptr : links_->hello(server.id);
    if (hello != nullptr) commit_facts(hello->facts);
  }
  if (state.revision == 0 && config_.spec) {
    propose(
        core::command::ApplySpec{
            .spec = *config_.spec, .any_base = false, .by = self() + "'s files"},
        "", nullptr);
  }
  for (const core::Effect& effect : engine_.outstanding()) carry_out(effect);
  for (const auto& report : std::exchange(early_reports_, {})) take_report(report);
}

void Group::carry_out(const core::Effect& effect) {
  if (const auto* happened = std::get_if<core::effect::Happened>(&effect)) {
    if (happened->event.index > told_before_) log::event(happened->event);
    told_events_.push_back(happened->event);
  } else if (std::holds_alternative<core::effect::WatchesChanged>(effect)) {
    tell_watches();
    watches_changed_ = true;
  } else if (const auto* changed = std::get_if<core::effect::KvChanged>(&effect)) {
    told_kv_.push_back(*changed);
  } else if (!leading_) {
    return;
  } else if (const auto* perform = std::get_if<core::effect::Perform>(&effect)) {
    dispatch(perform->task);
  } else if (const auto* order = std::get_if<core::effect::Cancel>(&effect)) {
    cancel(*order);
  } else if (const auto* due = std::get_if<core::effect::Deliver>(&effect)) {
    deliver(due->key);
  } else if (const auto* hash = std::get_if<core::effect::HashDue>(&effect)) {
    propose(core::command::StateHash{hash->index, hash->hash}, "", nullptr);
  }
}

void Group::deliver(const std::string& key) {
  const core::State& state = engine_.state();
  const auto alert = state.outbox.find(key);
  if (alert == state.outbox.end()) return;
  const auto receiver =
      std::ranges::find(state.spec.receivers, alert->second.receiver, &core::ReceiverSpec::name);
  if (receiver == state.spec.receivers.end()) {
    propose(core::command::AlertFinished{key, false, "no receiver named " + alert->second.receiver},
            "", nullptr);
    return;
  }
  to_work([this, spec = *receiver, key,
           body = api::webhook_body(state, alert->second, io::Loop::wall_now(),
                                    [this](Index index) { return term_at(index); })] {
    events_.deliver(spec, key, body);
  });
}

/// A leader dispatches only after a majority has confirmed its term after the entry committed.
void Group::dispatch(core::Task task) {
  const std::uint64_t token = next_token_++;
  const core::Time deadline = engine_.state().now + task.remaining;
  confirming_.emplace(token, std::pair(std::move(task), deadline));
  driver_->step(raft::Read{token});
}

void Group::dispatch_confirmed(std::uint64_t token, bool ok) {
  const auto found = confirming_.find(token);
  core::Task task = std::move(found->second.first);
  const core::Time deadline = found->second.second;
  confirming_.erase(found);
  if (!ok || !leading_) return;
  // What passed since counts: the host must not begin later than the group believes.
  task.remaining = std::max(core::Duration{0}, deadline - stamp());
  task.fence.term = driver_->raft().term();
  log::info("task.dispatched key=" + core::to_string(task.key) + " action=" + task.action);
  if (task.key.host == self()) {
    to_work([this, task, below = finished_below()] { events_.perform(task, below); });
  } else {
    send_to(task.key.host, wire::Perform{task, finished_below()});  // if not up: again when it is
  }
}

void Group::cancel(const core::effect::Cancel& order) {
  core::Fence fence = order.fence;
  fence.term = driver_->raft().term();
  if (order.key.host == self()) {
    to_work([this, key = order.key, fence, reason = order.reason] {
      events_.cancel(key, fence, reason);
    });
  } else {
    send_to(order.key.host, wire::Cancel{order.key, fence, order.reason});
  }
}

void Group::resend_to(const std::set<std::string>& hosts) {
  for (const core::Effect& effect : engine_.outstanding()) {
    const auto* perform = std::get_if<core::effect::Perform>(&effect);
    const auto* order = std::get_if<core::effect::Cancel>(&effect);
    if (perform != nullptr && hosts.contains(perform->task.key.host)) dispatch(perform->task);
    if (order != nullptr && hosts.contains(order->key.host)) cancel(*order);
  }
}

Index Group::finished_below() const {
  Index below{engine_.state().applied.value + 1};
  for (const core::Effect& effect : engine_.outstanding()) {
    if (const auto* perform = std::get_if<core::effect::Perform>(&effect)) {
      below = std::min(below, perform->task.fence.index);
    } else if (const auto* order = std::get_if<core::effect::Cancel>(&effect)) {
      below = std::min(below, order->fence.index);
    }
  }
  return below;
}

void Group::tell_watches() {
  to_work([this, watches = engine_.watches(self()), directors = engine_.director_watches(self())] {
    events_.watches(watches, directors);
  });
}

void Group::arm_wake() {
  if (!leading_ || wake_proposed_) return wake_timer_.stop();
  const core::Time due = engine_.next_wake();
  if (due == core::kNever) return wake_timer_.stop();
  wake_timer_.start(due - stamp(), [this] {
    if (!leading_ || wake_proposed_) return;
    wake_proposed_ = true;
    propose(core::command::Wake{}, "", nullptr);
  });
}

/// The one alert that needs no log: a group without a leader decides nothing, and somebody must
/// know.
void Group::watch_leadership() {
  const core::Time now = io::Loop::now();
  if (!driver_->raft().leader().empty()) {
    leader_known_ = now;
    if (!no_leader_told_) return;
    tell_no_leader(core::AlertStatus::Resolved, "the group has a leader again");
    no_leader_told_.reset();
  } else if (!no_leader_told_ && now - leader_known_ >= kNoLeaderAfter) {
    no_leader_told_ = driver_->raft().term();
    tell_no_leader(core::AlertStatus::Firing,
                   self() + " has known no leader for " + core::to_string(kNoLeaderAfter) +
                       ": nothing is decided and nothing is acted on (cluster.no_leader)");
  }
}

void Group::tell_no_leader(core::AlertStatus status, const std::string& text) {
  const core::State& state = engine_.state();
  log::warn("cluster.no_leader " + std::string(to_string(status)) + ": " + text);
  const auto receiver =
      std::ranges::find(state.spec.receivers, state.spec.route_receiver, &core::ReceiverSpec::name);
  if (receiver == state.spec.receivers.end()) return;
  core::Alert alert;
  alert.key = config_.cluster + "/no_leader-" + self() + "-" +
              std::to_string(no_leader_told_->value) + "/" + std::string(to_string(status)) + "/1";
  alert.receiver = receiver->name;
  alert.status = status;
  alert.severity =
      status == core::AlertStatus::Firing ? core::Severity::Critical : core::Severity::Info;
  alert.text = text;
  to_work([this, spec = *receiver, key = alert.key,
           body = api::webhook_body(state, alert, io::Loop::wall_now())] {
    events_.deliver(spec, key, body);
  });
}

/// Callers that waited too long are told that the outcome is not known.
void Group::sweep() {
  propose_refused();
  if (!leaving_.empty()) link_to_peers();
  tend_ahead();
  tend_timing();
  tend_agents();
  tend_members();
  tend_health();
  watch_leadership();
  const core::Time now = io::Loop::now();
  const auto in_doubt = [](const std::string& key) {
    return fail(
        Code::InDoubt,
        "no answer in time: it may or may not have happened; ask again with Idempotency-Key " +
            key);
  };
  const auto overdue = [&](auto& waiting) {
    for (auto at = waiting.begin(); at != waiting.end();) {
      if (at->second.deadline > now) {
        ++at;
        continue;
      }
      to_work(
          [done = std::move(at->second.done), error = in_doubt(at->second.key)] { done(error); });
      at = waiting.erase(at);
    }
  };
  overdue(writes_);
  overdue(forwards_);
  for (auto at = reads_.begin(); at != reads_.end();) {
    if (at->second.deadline > now) {
      ++at;
      continue;
    }
    at->second.ready(fail(Code::NotLeader, "no leader with a majority answered in time"));
    at = reads_.erase(at);
  }
}

}  // namespace fettle::daemon
