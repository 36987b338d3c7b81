#include "tests/sim/checks.h"

#include <algorithm>

namespace fettle::sim {

void Checks::acts(const std::string& host, const core::Task& task) {
  ++counts_[Count::Acts];
  const std::string key = core::to_string(task.key);
  if (decisions_.attempt(task.key) == nullptr) broken("acted for " + key + ", which no log holds");
  if (acted_.contains(task.key) && undone_.erase(task.key) == 0) {
    broken("acted twice for " + key + " with no inspection in between that found it undone");
  }
  acted_.insert(task.key);
  if (task.fence.term < fences_[host]) {
    broken("acted for " + key + " with term " + std::to_string(task.fence.term.value) +
           " after the host had persisted " + std::to_string(fences_[host].value));
  }
  if (!acting_.try_emplace({host, task.resource}, task.key).second) {
    broken("two acts at once on " + task.resource + " at " + host);
  }
}

void Checks::ended(const std::string& host, const core::Task& task) {
  acting_.erase({host, task.resource});
}

void Checks::isolates(const std::string& host, const std::string& node, const core::TaskKey& key) {
  out_[node].insert(host);
  const Decisions::RunFacts* run = decisions_.run(key.run);
  const Decisions::Attempt* attempt = decisions_.attempt(key);
  if (run == nullptr || attempt == nullptr) return;  // told by acts()
  if (run->forced) forced_ = true;
  if (run->forced || !decisions_.is_director(host)) return;
  if (!decisions_.in_spec_since(node, attempt->decided)) return;
  out_freely_.insert(node);
  // What the log holds as out already was decided before, by the limits of then.
  const bool kept_out = attempt->was_out || (run->by_person && run->was_out);
  const bool counted = run->reasserts || (kept_out && decisions_.revision() > 1);
  if (!forced_ && !counted) counts_as_out(node, *run, attempt->decided);
}

/// By what was known as it was decided: a node that joined since may have been found out.
void Checks::counts_as_out(const std::string& node, const Decisions::RunFacts& run, Index decided) {
  const Index since = run.by_person ? run.began : decided;
  for (const core::ServiceSpec& service : decisions_.spec().services) {
    const auto in = [&](const core::NodeSpec& n) { return n.name == node; };
    if (std::ranges::none_of(service.nodes, in)) continue;
    const auto out = [&](const core::NodeSpec& n) {
      return decisions_.in_spec_since(n.name, since) && out_freely_.contains(n.name);
    };
    const auto count = static_cast<std::size_t>(std::ranges::count_if(service.nodes, out));
    const Decisions::Limits limits = decisions_.limits_since(service.name, since);
    if (count > limits.max_isolated) {
      broken(std::to_string(count) + " nodes of " + service.name + " are out, at most " +
             std::to_string(limits.max_isolated) + " may be");
    }
    if (!run.by_person && count >= limits.nodes) {
      broken("Fettle took out " + node + ", the last node of " + service.name + ": " +
             std::to_string(count) + " of " + std::to_string(limits.nodes) + " are out");
    }
  }
}

void Checks::restores(const std::string& host, const std::string& node) {
  out_[node].erase(host);
  no_longer_out();
}

void Checks::no_longer_out() {
  std::erase_if(out_freely_, [this](const std::string& node) {
    const bool there = core::find_node(decisions_.spec(), node) != nullptr;
    return !there || std::ranges::all_of(out_[node], [this](const std::string& host) {
      return lost_.contains(host) || !decisions_.is_director(host);
    });
  });
}

/// What is tried again goes on from where a person or a failure stopped it.
void Checks::run_started(Index index, const core::Event& event, const core::Engine& engine) {
  const core::Run& run = engine.state().runs.at(event.run.value());
  const bool restores = run.playbook.steps.front().action == "traffic.restore";
  if (!restores || event.reason.find(" tried again ") != std::string::npos) return;
  const core::Verdict verdict = engine.state().nodes.at(run.node).verdict;
  if (verdict == core::Verdict::Healthy) return;
  broken("run " + std::to_string(run.id.value) + " restores " + run.node + " at index " +
         std::to_string(index.value) + ", which is " + std::string(to_string(verdict)));
}

/// A restore that the hosts out of reach missed is done, and the log knows that they have it
/// pending.
void Checks::happened(Index index, const core::Event& event, const core::Engine& engine) {
  if (event.kind == "verdict.changed" && event.value == "down" &&
      engine.state().nodes.at(event.node).verdict == core::Verdict::Down) {
    verdict_down(index, event.node, engine);
  } else if (event.kind == "run.started") {
    run_started(index, event, engine);
  } else if (event.kind == "spec.applied") {
    // What is out at a director that comes into the spec is not Fettle's: it is taken as found.
    for (auto& [node, hosts] : out_) {
      for (const std::string& host : decisions_.new_directors()) hosts.erase(host);
    }
    no_longer_out();
  } else if (event.kind == "member.lost") {
    lost_.insert(event.value);
    no_longer_out();
  } else if (event.kind == "member.back") {
    lost_.erase(event.value);
  } else if (event.kind == "node.admin_changed" && event.value == "in_service") {
    std::set<std::string> missed = engine.state().nodes.at(event.node).pending_hosts;
    missed.insert(lost_.begin(), lost_.end());
    if (std::ranges::includes(missed, out_[event.node])) out_freely_.erase(event.node);
  }
}

void Checks::program_ran(const core::TaskKey& key) {
  const auto [before, first] = ran_.try_emplace({key.run, key.step}, key);
  if (first) return;
  broken("a program ran for " + core::to_string(key) + ", and may have done its work for " +
         core::to_string(before->second));
}

void Checks::program_said_no(const core::TaskKey& key) { ran_.erase({key.run, key.step}); }

void Checks::fence_persisted(const std::string& host, Term term) {
  if (term < fences_[host]) broken("the durable fence of " + host + " went back");
  fences_[host] = term;
}

void Checks::looked(const std::string& observer, const std::string& node, bool failed) {
  std::uint32_t& count = failures_[{observer, node}];
  count = failed ? count + 1 : 0;
}

void Checks::forgot(const std::string& observer) {
  std::erase_if(failures_, [&](const auto& entry) { return entry.first.first == observer; });
}

void Checks::says(const std::string& observer, const core::Opinion& opinion, std::uint32_t fall) {
  const bool down = std::ranges::any_of(
      opinion.classes, [](const core::ClassOpinion& c) { return c.grade == core::Verdict::Down; });
  if (!down) return;
  if (failures_[{observer, opinion.node}] < fall) {
    return broken(observer + " calls " + opinion.node + " down without " + std::to_string(fall) +
                  " failed looks in a row");
  }
  backed_[{observer, opinion.sequence}] = opinion.watch_revision;
}

void Checks::verdict_down(Index index, const std::string& node, const core::Engine& engine) {
  const core::NodeState& state = engine.state().nodes.at(node);
  std::size_t saw = 0;
  for (const std::string& observer : state.observers) {
    const auto held = state.opinions.find(observer);
    if (held == state.opinions.end()) continue;
    const bool down = std::ranges::any_of(held->second.classes, [](const core::ClassOpinion& c) {
      return c.grade == core::Verdict::Down;
    });
    const auto backed = backed_.find({observer, held->second.sequence});
    if (!down || backed == backed_.end()) continue;
    if (backed->second == core::watch_revision_of(engine.state(), node, observer)) ++saw;
  }
  if (saw * 2 > state.observers.size()) return;
  broken(node + " is down at index " + std::to_string(index.value) + ", but only " +
         std::to_string(saw) + " of " + std::to_string(state.observers.size()) +
         " observers saw it fail");
}

void Checks::applied(const std::string& member, Index index, const core::Engine& engine,
                     const core::Applied& applied, const core::LogEntry* entry,
                     core::Duration real) {
  if (!digests_.contains(index)) first_applied(index, engine, applied, entry, real);
  holds(member, index, engine);
}

void Checks::first_applied(Index index, const core::Engine& engine, const core::Applied& applied,
                           const core::LogEntry* entry, core::Duration real) {
  for (const core::Effect& effect : applied.effects) {
    const auto* perform = std::get_if<core::effect::Perform>(&effect);
    if (perform != nullptr) performs(index, engine, perform->task);
  }
  decisions_.applied(index, engine, applied, entry, forced_);
  for (const core::Effect& effect : applied.effects) {
    if (const auto* told = std::get_if<core::effect::Happened>(&effect)) {
      happened(index, told->event, engine);
    } else if (const auto* deliver = std::get_if<core::effect::Deliver>(&effect)) {
      delivers(engine, deliver->key);
    }
  }
  if (entry == nullptr) return;
  constexpr std::int64_t kDriftMaxPercent = 5;
  if (engine.state().now.ns > (real + real * kDriftMaxPercent / 100).count()) {
    broken("engine time runs ahead of real time, at index " + std::to_string(index.value));
  }
}

void Checks::performs(Index index, const core::Engine& engine, const core::Task& task) {
  const core::Run& run = engine.state().runs.at(task.key.run);
  const auto& freezes = engine.state().freezes;
  if (!run.by_person && std::ranges::any_of(freezes, [&](const core::FreezeState& freeze) {
        return freeze.service.empty() || freeze.service == run.service;
      })) {
    broken("run " + std::to_string(run.id.value) + " goes on in a freeze, at index " +
           std::to_string(index.value));
  }
  // Even if it comes to nothing: its node may be out, and counts as out from then on.
  if (run.force) forced_ = true;
}

void Checks::delivers(const core::Engine& engine, const std::string& key) {
  const auto found = engine.state().outbox.find(key);
  if (found == engine.state().outbox.end()) return;
  const std::pair told{found->second.incident, found->second.status};
  if (alerts_.try_emplace(key, told).first->second != told) {
    broken("alert " + key + " changed its incident or status");
  }
}

void Checks::holds(const std::string& member, Index index, const core::Engine& engine) {
  const std::uint64_t mine = engine.digest();
  const auto [digest, first] = digests_.try_emplace(index, mine, member);
  if (!first && digest->second.first != mine) {
    broken("at index " + std::to_string(index.value) + " the states of " + digest->second.second +
           " and " + member + " differ");
  }
}

void Checks::received(const std::string& key, IncidentId incident, core::AlertStatus status) {
  const auto known = alerts_.find(key);
  if (known == alerts_.end() || known->second != std::pair{incident, status}) {
    broken("the receiver got " + key + " with another incident or status");
  }
  received_.insert(key);
}

void Checks::answered(const std::string& client, const core::ClientAnswer& answer) {
  const auto [kept, first] = answers_.try_emplace(client, answer);
  const core::ClientAnswer& before = kept->second;
  if (!first && (before.text != answer.text || before.ok != answer.ok)) {
    broken("the client " + client + " got two different answers for one key");
  }
}

bool Checks::all_alerts_received() const {
  return std::ranges::all_of(alerts_, [this](const auto& alert) {
    return alert.second.second != core::AlertStatus::Firing || received_.contains(alert.first);
  });
}

void Checks::at_end(const core::Engine& leader) {
  for (const auto& [client, answer] : answers_) {
    const auto kept = leader.state().clients.find(client);
    if (kept == leader.state().clients.end() || kept->second.text != answer.text) {
      broken("the acknowledged command of " + client + " is lost");
    }
  }
  if (!all_alerts_received()) broken("a firing alert was never delivered");
}

}  // namespace fettle::sim
