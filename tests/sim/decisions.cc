#include "tests/sim/decisions.h"

#include <algorithm>

#include "core/codec.h"
#include "core/runs.h"

namespace fettle::sim {
namespace {

std::string at(Index index) { return " at index " + std::to_string(index.value); }

std::uint64_t hash_of(const core::PlaybookSpec& playbook) { return stable_hash(encode(playbook)); }

/// Out by the log.
bool is_out(const core::State& state, const std::string& name) {
  const auto node = state.nodes.find(name);
  if (node == state.nodes.end()) return false;
  return node->second.admin != core::Admin::InService || node->second.isolation_in_doubt;
}

/// Or decided to be.
bool out_by_log(const core::State& state, const std::string& name) {
  if (is_out(state, name)) return true;
  return std::ranges::any_of(state.runs, [&](const auto& entry) {
    const core::Run& run = entry.second;
    if (run.node != name || core::is_over(run.state) || run.step >= run.steps.size()) return false;
    const core::StepProgress& step = run.steps[run.step];
    return step.action == "traffic.isolate" && step.attempt > 0;
  });
}

/// The task of this very key waits for its answer.
bool is_open(const core::State& state, const core::TaskKey& key) {
  const auto run = state.runs.find(key.run);
  if (run == state.runs.end() || core::is_over(run->second.state)) return false;
  if (run->second.step != key.step || key.step >= run->second.steps.size()) return false;
  return std::ranges::any_of(run->second.steps[key.step].tasks,
                             [&](const core::TaskProgress& part) {
                               return part.task.key == key && part.state == core::TaskState::Open;
                             });
}

}  // namespace

void Decisions::applied(Index index, const core::Engine& engine, const core::Applied& applied,
                        const core::LogEntry* entry, bool unlimited) {
  const core::State& state = engine.state();
  if (entry != nullptr) {
    if (const auto* told = std::get_if<core::command::TaskFinished>(&entry->command)) {
      answered_.insert(told->key);
    }
  }
  for (const core::Effect& effect : applied.effects) {
    if (const auto* happened = std::get_if<core::effect::Happened>(&effect)) {
      const core::Event& event = happened->event;
      if (event.kind == "spec.applied") takes_spec(index, state);
      if (event.kind == "run.started") began(index, state, state.runs.at(event.run.value()));
      if (event.kind == "level.raised") raises_level(state);
      if (event.kind == "member.lost") ++counts_[Count::MembersLost];
      if (event.value == "late answer") ++counts_[Count::LateAnswers];
    } else if (const auto* perform = std::get_if<core::effect::Perform>(&effect)) {
      performs(index, state, perform->task);
      if (!unlimited && violation_.empty()) isolates(index, state, perform->task);
    }
  }
  closes_attempts(state);
}

void Decisions::takes_spec(Index index, const core::State& state) {
  new_directors_.clear();
  for (const core::ServiceSpec& service : state.spec.services) {
    for (const std::string& host : service.traffic.hosts) {
      if (!is_director(host)) new_directors_.insert(host);
    }
  }
  spec_ = state.spec;
  revision_ = state.revision;
  ++counts_[Count::SpecChanges];
  std::erase_if(joined_, [&](const auto& node) { return !state.nodes.contains(node.first); });
  for (const core::ServiceSpec& service : spec_.services) {
    limits_[service.name][index] = {service.max_isolated, service.nodes.size()};
    for (const core::NodeSpec& node : service.nodes) joined_.try_emplace(node.name, index);
  }
}

void Decisions::began(Index index, const core::State& state, const core::Run& run) {
  std::set<std::string> out;
  for (const auto& [name, node] : state.nodes) {
    if (out_by_log(state, name)) out.insert(name);
  }
  runs_[run.id] = {.began = index,
                   .by_person = run.by_person,
                   .forced = run.force,
                   .reasserts = run.playbook.name == "builtin-reassert",
                   .was_out = is_out(state, run.node),
                   .out = std::move(out),
                   .playbook = hash_of(run.playbook),
                   .pinned = run.playbook};
}

void Decisions::performs(Index index, const core::State& state, const core::Task& task) {
  const std::string key = core::to_string(task.key);
  const core::Run& run = state.runs.at(task.key.run);
  const RunFacts& facts = runs_.at(run.id);
  const auto deadline = run.steps.at(task.key.step).deadline;
  const Attempt attempt{.decided = index, .deadline = deadline, .was_out = is_out(state, run.node)};
  if (!attempts_.try_emplace(task.key, attempt).second) {
    broken(key + " is decided once more" + at(index) + ": an attempt has a key of its own");
  }
  open_.insert(task.key);
  if (hash_of(run.playbook) != facts.playbook ||
      facts.pinned.steps.at(task.key.step).action != task.action) {
    broken(key + " is not what the playbook says that its run began with");
  }
  const core::ServiceSpec* service = core::find_service(state.spec, run.service);
  if (service == nullptr || core::find_node(state.spec, run.node) == nullptr) {
    return broken(key + " is for " + run.node + ", which no spec names" + at(index));
  }
  if (task.action.starts_with("traffic.") && !core::has_director(state, *service, task.key.host)) {
    broken(key + " is for " + task.key.host + ", where the spec in force has no director" +
           at(index));
  }
}

/// Of what was in service until now; a person's order holds the limits as they were then, for the
/// nodes that the spec named then. What somebody took out at a director since is nobody's decision.
void Decisions::isolates(Index index, const core::State& state, const core::Task& task) {
  if (task.action != "traffic.isolate" || task.key.attempt > 1) return;
  const core::Run& run = state.runs.at(task.key.run);
  const RunFacts& facts = runs_.at(run.id);
  if (facts.forced || facts.reasserts || attempts_.at(task.key).was_out) return;
  if (facts.by_person && facts.was_out) return;  // it was kept out; a restore under way came first
  const core::ServiceSpec& service = *core::find_service(state.spec, run.service);
  const auto counts = [&](const core::NodeSpec& one) {
    if (!out_by_log(state, one.name)) return false;
    if (!facts.by_person || one.name == run.node || facts.out.contains(one.name)) return true;
    const bool taken_out_since = state.nodes.at(one.name).owner == core::Owner::Person;
    return in_spec_since(one.name, facts.began) && !taken_out_since;
  };
  const auto count = static_cast<std::size_t>(std::ranges::count_if(service.nodes, counts));
  const Limits limits = limits_since(service.name, facts.by_person ? facts.began : index);
  if (count > limits.max_isolated) {
    broken("run " + std::to_string(run.id.value) + " isolates " + run.node + at(index) + ": " +
           std::to_string(count) + " are out then, at most " + std::to_string(limits.max_isolated) +
           " may be");
  }
  if (!facts.by_person && count >= limits.nodes) {
    broken("run " + std::to_string(run.id.value) + " isolates the last node" + at(index));
  }
}

void Decisions::raises_level(const core::State& state) {
  ++counts_[Count::LevelsRaised];
  for (const auto& [name, facts] : state.members) {
    const bool counts = facts.role == core::MemberRole::Voter;
    if (!counts || (facts.level >= state.level && !facts.incarnation.empty())) continue;
    broken("the level is raised to " + std::to_string(state.level) + ", but " + name +
           " has not said that it supports it");
  }
}

/// A late answer to another attempt is none.
void Decisions::closes_attempts(const core::State& state) {
  for (auto key = open_.begin(); key != open_.end();) {
    if (is_open(state, *key)) {
      ++key;
      continue;
    }
    Attempt& attempt = attempts_.at(*key);
    attempt.open = false;
    if (!answered_.contains(*key) && state.now < attempt.deadline + core::kTaskMargin) {
      broken(core::to_string(*key) + " is closed without an answer of its own before its deadline");
    }
    key = open_.erase(key);
  }
}

bool Decisions::is_director(const std::string& host) const {
  return std::ranges::any_of(spec_.services, [&](const core::ServiceSpec& service) {
    const auto& hosts = service.traffic.hosts;
    return std::ranges::find(hosts, host) != hosts.end();
  });
}

bool Decisions::in_spec_since(const std::string& node, Index index) const {
  const auto found = joined_.find(node);
  return found != joined_.end() && found->second <= index;
}

Decisions::Limits Decisions::limits_since(const std::string& service, Index index) const {
  Limits widest;
  const auto found = limits_.find(service);
  if (found == limits_.end()) return widest;
  auto from = found->second.upper_bound(index);
  if (from != found->second.begin()) --from;
  for (; from != found->second.end(); ++from) {
    widest.max_isolated = std::max(widest.max_isolated, from->second.max_isolated);
    widest.nodes = std::max(widest.nodes, from->second.nodes);
  }
  return widest;
}

const Decisions::RunFacts* Decisions::run(RunId id) const {
  const auto found = runs_.find(id);
  return found == runs_.end() ? nullptr : &found->second;
}

const Decisions::Attempt* Decisions::attempt(const core::TaskKey& key) const {
  const auto found = attempts_.find(key);
  return found == attempts_.end() ? nullptr : &found->second;
}

}  // namespace fettle::sim
