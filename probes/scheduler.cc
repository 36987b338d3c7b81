// Happy path: due → look → answer → sample → the next slot of its phase.
// A failure: the next look follows confirm_gap after the start of this one. An alarm: the same,
// after kSettle, for every probe of the node; one that is looking right now looks again afterwards.
#include "probes/scheduler.h"

#include <algorithm>

#include "base/bytes.h"
#include "probes/registry.h"

namespace fettle::probes {

Scheduler::Scheduler(ProbeContext context, OnSample on_sample)
    : context_(context), on_sample_(std::move(on_sample)), timer_(context.loop) {}

std::vector<std::string> Scheduler::watch(const std::vector<core::Watch>& watches) {
  std::vector<std::string> problems;
  std::set<Key> wanted;
  for (const core::Watch& watch : watches) {
    for (const core::ProbeSpec& spec : watch.probes) {
      const Key key{watch.node, spec.name};
      wanted.insert(key);
      const auto found = targets_.find(key);
      if (found != targets_.end() && found->second.revision == watch.revision) continue;
      if (found != targets_.end()) {
        due_.erase({found->second.due, key});
        targets_.erase(found);
      }
      add(watch, spec, problems);
    }
  }
  std::erase_if(targets_, [&](const auto& entry) {
    if (wanted.contains(entry.first)) return false;
    due_.erase({entry.second.due, entry.first});
    return true;
  });
  arm();
  return problems;
}

void Scheduler::add(const core::Watch& watch, const core::ProbeSpec& spec,
                    std::vector<std::string>& problems) {
  auto probe = make(spec, watch.address, context_);
  if (!probe) {
    problems.push_back(watch.node + "/" + spec.name + ": " + probe.error().what);
    return;
  }
  const Key key{watch.node, spec.name};
  Target& target = targets_[key];
  target.node = watch.node;
  target.revision = watch.revision;
  target.confirm_gap = watch.confirm_gap;
  target.spec = spec;
  target.probe = std::move(*probe);
  target.probe->set_on_alarm([this, node = watch.node] { alarm(node); });
  const auto slots = std::max<std::int64_t>(1, spec.interval / kSlot);
  const auto hash = stable_hash(watch.node + "/" + spec.name);
  target.phase = kSlot * static_cast<std::int64_t>(hash % static_cast<std::uint64_t>(slots));
  // The first look comes at once, spread over a slot's worth by phase, so that a start knows soon.
  set_due(key, target, io::Loop::now());
}

void Scheduler::set_due(const Key& key, Target& target, core::Time due) {
  due_.erase({target.due, key});
  target.due = due;
  due_.insert({due, key});
}

core::Time Scheduler::next_slot(const Target& target, core::Time after) const {
  const std::int64_t interval = std::max<std::int64_t>(kSlot.count(), target.spec.interval.count());
  const std::int64_t since = after.ns - target.phase.count();
  return core::Time{(since / interval + 1) * interval + target.phase.count()};
}

void Scheduler::arm() {
  if (due_.empty()) return timer_.stop();
  timer_.start(due_.begin()->first - io::Loop::now(), [this] { run_due(); });
}

void Scheduler::run_due() {
  // Whoever is due within this millisecond goes now: the timer's own resolution.
  const core::Time now = io::Loop::now() + std::chrono::milliseconds(1);
  while (!due_.empty() && due_.begin()->first <= now) {
    const Key key = due_.begin()->second;
    Target& target = targets_.at(key);
    if (target.in_flight) {
      ++counts_.missed;
      set_due(key, target, next_slot(target, now));
    } else {
      look(key, target);
    }
  }
  arm();
}

void Scheduler::look(const Key& key, Target& target) {
  target.in_flight = true;
  target.again = false;
  target.began = io::Loop::now();
  counts_.late.observe(std::max(core::Duration{0}, target.began - target.due));
  set_due(key, target, next_slot(target, target.began));
  target.probe->look(target.spec.timeout,
                     [this, key](Look look) { finished(key, std::move(look)); });
}

void Scheduler::finished(const Key& key, Look look) {
  const auto found = targets_.find(key);
  if (found == targets_.end()) return;
  Target& target = found->second;
  target.in_flight = false;
  counts_.kinds[target.spec.kind].count(look.outcome, look.latency);
  core::Sample sample{.node = target.node,
                      .probe = target.spec.name,
                      .outcome = look.outcome,
                      .at = target.began,
                      .latency = look.latency,
                      .detail = std::move(look.detail)};
  const bool again = on_sample_(sample) || target.again;
  const auto still = targets_.find(key);
  if (again && still != targets_.end()) {
    Target& same = still->second;
    set_due(key, same, std::max(io::Loop::now(), same.began + same.confirm_gap));
  }
  arm();
}

void Scheduler::alarm(const std::string& node) {
  for (auto at = targets_.lower_bound({node, ""}); at != targets_.end(); ++at) {
    if (at->first.first != node) break;
    Target& target = at->second;
    if (target.in_flight) {
      target.again = true;
      continue;
    }
    set_due(at->first, target,
            std::max(io::Loop::now() + kSettle, target.began + target.confirm_gap));
  }
  arm();
}

}  // namespace fettle::probes
