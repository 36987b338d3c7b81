// The leader's duties. Happy path: the group is founded, opinions that differ are proposed, a
// Perform is dispatched once a majority confirmed the term after its entry, its answer is proposed,
// due times become Wakes, alerts are delivered until the log says so. Failures: everything is
// asked again from the engine's outstanding work, by this leader's timer or by the next leader.
#include <algorithm>

#include "core/drift.h"
#include "core/level.h"
#include "tests/sim/member.h"
#include "tests/sim/world.h"

namespace fettle::sim {
namespace {

constexpr Instant kBeat = milliseconds(100);
constexpr Instant kAgain = milliseconds(500);

}  // namespace

void Member::every_beat() {
  later(kBeat, [this] { every_beat(); });
  report_missing();
  tend_members();
  if (world_.compacts_now()) compact();
  if (leads()) lead();
  if (is_leader()) after_read([] {});
}

void Member::lead() {
  const auto due = [this](const std::string& what) {
    Instant& last = recent_[what];
    if (last != Instant{0} && clock() - last < kAgain) return false;
    last = clock();
    return true;
  };
  if (engine_->state().cluster.empty() || engine_->state().revision == 0) {
    if (due("found")) found_group();
    return;
  }
  const auto level = core::level_to_raise(engine_->state(), supports_);
  if (level && due("raise")) propose(core::command::RaiseLevel{*level});
  if (led_term_ == raft_->term() && due("go on")) go_on();
  const core::Time wake = engine_->next_wake();
  if (wake != core::kNever && wake <= engine_now() && due("wake")) propose(core::command::Wake{});
}

/// A peer that said nothing for a while has no link; the daemon's rule makes a lost member of it.
void Member::tend_members() {
  constexpr Instant kSilence = milliseconds(400);
  for (const auto& [peer, facts] : engine_->state().members) {
    const auto heard = heard_.find(peer);
    const bool linked = heard != heard_.end() && clock() - heard->second < kSilence;
    if (linked == linked_[peer]) continue;
    linked_[peer] = linked;
    linked ? liveness_.up(peer, time()) : liveness_.down(peer, time());
  }
  if (!leads() || led_term_ != raft_->term()) return;
  for (core::Command& command : liveness_.due(engine_->state(), name_, time())) {
    propose(std::move(command));
  }
}

/// Everything that is open, taken from the state alone.
void Member::go_on() {
  for (const core::Effect& one : engine_->outstanding()) effect(one);
}

void Member::found_group() {
  core::command::Found found{"sim", {}};
  for (const std::string& name : world_.names()) {
    core::MemberFacts facts;
    facts.name = name;
    facts.allow["exec"] = {"/lib/*"};
    found.voters.push_back(facts);
  }
  if (engine_->state().cluster.empty()) propose(std::move(found));
  propose(core::command::ApplySpec{.spec = world_.spec(), .by = "sim"}, "spec");
}

void Member::effect(const core::Effect& one) {
  if (const auto* perform = std::get_if<core::effect::Perform>(&one)) {
    after_read([this, task = perform->task, since = applied_clock_]() mutable {
      task.remaining = std::max(task.remaining - (clock() - since), core::Duration{0});
      dispatch(std::move(task));
    });
  } else if (const auto* cancel = std::get_if<core::effect::Cancel>(&one)) {
    after_read([this, c = *cancel] { recall(c); });
  } else if (const auto* alert = std::get_if<core::effect::Deliver>(&one)) {
    deliver_alert(alert->key);
  } else if (const auto* hash = std::get_if<core::effect::HashDue>(&one)) {
    propose(core::command::StateHash{hash->index, hash->hash});
  }
}

void Member::after_read(std::function<void()> then) {
  const std::uint64_t token = ++token_;
  reading_[token] = [this, then = std::move(then), term = raft_->term()] {
    if (leads() && raft_->term() == term) then();
  };
  world_.raft_checks().read_asked(name_, token);
  input(raft::Read{token});
}

void Member::dispatch(core::Task task) {
  task.fence.term = raft_->term();
  const std::string host = task.key.host;
  world_.trace(name_, "dispatches " + core::to_string(task.key) + " " + task.action);
  Order order{std::move(task), finished_below()};
  if (host == name_) return deliver(std::move(order));
  send(host, std::move(order));
}

/// As the daemon: every attempt decided below it is closed.
Index Member::finished_below() const {
  Index below{engine_->state().applied.value + 1};
  for (const core::Effect& one : engine_->outstanding()) {
    if (const auto* perform = std::get_if<core::effect::Perform>(&one)) {
      below = std::min(below, perform->task.fence.index);
    } else if (const auto* cancel = std::get_if<core::effect::Cancel>(&one)) {
      below = std::min(below, cancel->fence.index);
    }
  }
  return below;
}

void Member::recall(const core::effect::Cancel& cancel) {
  core::Fence fence = cancel.fence;
  fence.term = raft_->term();
  Recall message{cancel.key, fence, cancel.reason};
  if (cancel.key.host == name_) return deliver(std::move(message));
  send(cancel.key.host, std::move(message));
}

void Member::deliver_alert(const std::string& key) {
  const auto found = engine_->state().outbox.find(key);
  if (found == engine_->state().outbox.end()) return;
  Instant& last = recent_["alert " + key];
  if (last != Instant{0} && clock() - last < kAgain) return;
  last = clock();
  const core::Alert alert = found->second;
  later(milliseconds(rng_.between(5, 60)), [this, alert] {
    if (world_.receiver_is_deaf()) return;
    world_.checks().received(alert.key, alert.incident, alert.status);
    if (leads()) propose(core::command::AlertFinished{.key = alert.key, .delivered = true});
  });
}

void Member::take(const Report& received) {
  if (!leads()) return;
  core::command::ReportOpinions news{received.report.observer, received.report.incarnation, {}};
  for (const core::Opinion& opinion : received.report.opinions) {
    const auto node = engine_->state().nodes.find(opinion.node);
    if (node == engine_->state().nodes.end()) continue;
    const auto held = node->second.opinions.find(news.observer);
    const bool known =
        held != node->second.opinions.end() && held->second.sequence >= opinion.sequence;
    Instant& last = recent_["opinion " + news.observer + std::to_string(opinion.sequence)];
    if (known || (last != Instant{0} && clock() - last < kAgain)) continue;
    last = clock();
    news.opinions.push_back(opinion);
  }
  if (!news.opinions.empty()) propose(std::move(news));
}

void Member::take(const Facts& received) {
  if (!leads()) return;
  const auto known = engine_->state().members.find(received.facts.name);
  if (known == engine_->state().members.end() || known->second == received.facts) return;
  propose(core::command::SetFacts{received.facts});
}

void Member::take(const Answer& answer) {
  if (!leads()) return;
  const auto run = engine_->state().runs.find(answer.key.run);
  if (run == engine_->state().runs.end() || core::is_over(run->second.state)) return;
  propose(core::command::TaskFinished{answer.key, answer.result});
}

void Member::take(const Sight& sight) {
  if (!leads()) return;
  core::command::ReportDirectors news = core::news_of(engine_->state(), sight.report);
  if (!news.views.empty()) propose(std::move(news));
}

}  // namespace fettle::sim
