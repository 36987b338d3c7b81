// A member as a host that acts, and as an observer that looks. Happy path of an act: order →
// journal → act → journal → answer to the leader of the moment. Happy path of a look: slot →
// sample → judge → an opinion, now and then → the leader. Failures: a lost answer is asked for
// again by the leader; a lost opinion is sent again until the own engine holds it.
#include <algorithm>

#include "tests/sim/member.h"
#include "tests/sim/world.h"

namespace fettle::sim {

namespace ex = core::executor;

namespace {

constexpr std::uint64_t kPruneEvery = 10;  // writes; the daemon's is larger

}  // namespace

void Member::take(const Order& order) {
  executor_step(ex::Perform{order.task});
  if (journaled_ < kPruneEvery) return;
  journaled_ = 0;
  ++world_.counts()[Count::Pruned];
  executor_step(ex::Prune{order.finished_below});
}

/// A kill may follow at once.
void Member::reaches(const core::TaskKey& key, Point point) {
  points_[key] = point;
  world_.may_kill(*this);
}

/// Where the kill finds the tasks of this host.
void Member::count_killed() {
  Counts& counts = world_.counts();
  for (const auto& [key, point] : points_) {
    const Decisions::Attempt* attempt = world_.checks().decisions().attempt(key);
    if (point == Point::WritesBegun) {
      ++counts[Count::KilledBeforeBegun];
    } else if (point == Point::Acts) {
      const bool effective = world_.director(name_).has_begun(key);
      ++counts[effective ? Count::KilledDuringAct : Count::KilledBeforeAct];
    } else if (point == Point::WritesDone) {
      ++counts[Count::KilledBeforeDone];
    } else if (attempt != nullptr && attempt->open) {
      ++counts[Count::KilledBeforeAnswer];
    }
  }
}

void Member::take(const Recall& recall) {
  executor_step(ex::Cancel{recall.key, recall.fence, recall.reason});
}

void Member::executor_step(ex::Event event) {
  for (const ex::Effect& one : executor_->step(time(), event)) executor_effect(one);
  arm_executor();
}

void Member::executor_effect(const ex::Effect& one) {
  if (const auto* write = std::get_if<ex::Journal>(&one)) {
    ++journaled_;
    journal(*write);
    if (!write->entry || write->entry->key.run.value == 0) return;
    reaches(write->entry->key, write->entry->result ? Point::WritesDone : Point::WritesBegun);
  } else if (const auto* act = std::get_if<ex::Act>(&one)) {
    world_.note(name_, "acts for " + core::to_string(act->task.key) + " " + act->task.action);
    reaches(act->task.key, Point::Acts);
    world_.director(name_).act(act->task, [this, key = act->task.key](core::TaskResult result) {
      later(Instant{0}, [this, key, result] { executor_step(ex::Acted{key, result}); });
    });
  } else if (const auto* inspect = std::get_if<ex::Inspect>(&one)) {
    later(milliseconds(rng_.between(1, 20)), [this, entry = inspect->entry] {
      const core::Finding finding = world_.director(name_).inspect(entry);
      world_.note(name_, "inspects " + core::to_string(entry.key));
      const bool isolates = entry.action == "traffic.isolate";
      core::Options output{{"pid", world_.director(name_).process()},
                           {"found", std::string("ready")},
                           {"set", std::string(isolates ? "maint" : "ready")}};
      executor_step(ex::Inspected{entry.key, finding, {core::TaskState::Done, "", output}});
    });
  } else if (const auto* kill = std::get_if<ex::Kill>(&one)) {
    world_.director(name_).kill(kill->key);
  } else if (const auto* answer = std::get_if<ex::Answer>(&one)) {
    world_.trace(name_, "answers " + core::to_string(answer->key) + " " +
                            std::string(to_string(answer->result.state)) + " " +
                            answer->result.text + (answer->closes ? "" : " (not closed)"));
    if (!answer->closes) return;
    reaches(answer->key, Point::Answered);
    send_to_leader(Answer{answer->key, answer->result});
  } else if (const auto* forget = std::get_if<ex::Forget>(&one)) {
    std::erase_if(journal_, [&](const auto& e) { return e.second.fence.index < forget->below; });
  }
}

void Member::journal(const ex::Journal& write) {
  host_disk_.write(
      [this, write] {
        if (write.entry) journal_.insert_or_assign(write.entry->key, *write.entry);
        generation_ = write.generation;
        fence_term_ = write.term;
        world_.checks().fence_persisted(name_, fence_term_);
      },
      [this, number = write.write] {
        later(Instant{0}, [this, number] { executor_step(ex::Journaled{number}); });
      });
}

void Member::arm_executor() {
  const core::Time due = executor_->deadline();
  if (due == core::kNever || executor_armed_ <= due) return;
  executor_armed_ = due;
  later(std::max(due - time(), Instant{1}), [this] {
    executor_armed_ = core::kNever;
    executor_step(ex::Tick{});
  });
}

/// What this host's director holds, told to the leader of the moment; again and again.
void Member::look_at_directors() {
  later(milliseconds(1000), [this] { look_at_directors(); });
  const auto watches = engine_->director_watches(name_);
  const Index seen = engine_->state().applied;
  later(milliseconds(rng_.between(1, 20)), [this, watches, seen] {
    const Director& director = world_.director(name_);
    core::command::ReportDirectors report{name_, {}};
    for (const core::DirectorWatch& watch : watches) {
      core::DirectorView view{.process = director.process(), .seen = seen};
      for (const auto& [node, server] : watch.servers) {
        const bool out = director.is_out(server);
        view.servers.emplace(node, out ? core::ServerAdmin::Maint : core::ServerAdmin::Ready);
      }
      report.views.emplace(watch.service, std::move(view));
    }
    if (!report.views.empty()) send_to_leader(Sight{std::move(report)});
  });
}

void Member::watch() {
  const auto watches = engine_->watches(name_);
  judge_->watch(watches);
  std::map<std::string, core::Watch> fresh;
  for (const core::Watch& watch : watches) {
    const auto old = watches_.find(watch.node);
    const bool kept = old != watches_.end() && old->second.revision == watch.revision;
    fresh.insert_or_assign(watch.node, watch);
    if (kept) continue;
    world_.checks().rewatched(name_, watch.node);
    const auto interval = static_cast<std::uint64_t>(watch.probes.front().interval.count());
    later(Instant(static_cast<std::int64_t>(rng_.between(0, interval))),
          [this, watch] { look(watch.node, watch.revision, true); });
  }
  watches_ = std::move(fresh);
}

void Member::look(const std::string& node, std::uint64_t revision, bool again) {
  const auto found = watches_.find(node);
  if (found == watches_.end() || found->second.revision != revision) return;
  const core::ProbeSpec& probe = found->second.probes.front();
  if (again) later(probe.interval, [=, this] { look(node, revision, true); });
  core::Sample sample{
      node, probe.name, core::Outcome::Pass, time(), milliseconds(rng_.between(1, 5)), ""};
  const Health health = world_.health_of(node);
  if (health == Health::Dead) sample.outcome = core::Outcome::Refused;
  if (health == Health::Hung || world_.cannot_reach(name_, node)) {
    sample.outcome = core::Outcome::Timeout;
    sample.latency = probe.timeout;
  }
  const Instant expected = clock() + sample.latency;
  later(sample.latency, [this, sample, expected, revision] { seen(sample, expected, revision); });
}

/// A probe of another spec is given up.
void Member::seen(const core::Sample& sample, Instant expected, std::uint64_t revision) {
  const auto watch = watches_.find(sample.node);
  if (watch == watches_.end() || watch->second.revision != revision) return;
  world_.checks().looked(name_, sample.node, sample.outcome != core::Outcome::Pass);
  core::Judgement judgement = judge_->observe(sample, clock() - expected);
  if (judgement.confirm) {
    later(watch->second.confirm_gap,
          [this, node = sample.node, revision] { look(node, revision, false); });
  }
  if (!judgement.opinion) return;
  judgement.opinion->sequence += starts_ << 32U;
  world_.checks().says(name_, *judgement.opinion, watch->second.probes.front().fall);
  report({std::move(*judgement.opinion)});
}

void Member::report(std::vector<core::Opinion> opinions) {
  if (opinions.empty()) return;
  send_to_leader(Report{{name_, incarnation_, std::move(opinions)}});
}

/// What the log does not hold of this member yet: its facts, and its newest opinions.
void Member::report_missing() {
  Instant& last = recent_["report"];
  if (last != Instant{0} && clock() - last < milliseconds(500)) return;
  last = clock();
  const auto self = engine_->state().members.find(name_);
  if (self != engine_->state().members.end()) {
    core::MemberFacts facts = self->second;
    facts.incarnation = incarnation_;
    facts.level = supports_;
    if (facts != self->second) {
      world_.says_level(name_, supports_);
      send_to_leader(Facts{facts});
    }
  }
  std::vector<core::Opinion> missing;
  for (core::Opinion& opinion : judge_->table(time())) {
    opinion.sequence += starts_ << 32U;
    const auto node = engine_->state().nodes.find(opinion.node);
    if (node == engine_->state().nodes.end()) continue;
    const auto held = node->second.opinions.find(name_);
    if (held != node->second.opinions.end() && held->second.sequence >= opinion.sequence) continue;
    missing.push_back(std::move(opinion));
  }
  report(std::move(missing));
}

}  // namespace fettle::sim
