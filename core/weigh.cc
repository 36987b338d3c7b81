#include "core/weigh.h"

#include <algorithm>

#include "core/drift.h"
#include "core/limits.h"
#include "core/runs.h"
#include "core/traffic.h"

namespace fettle::core {
namespace {

bool isolates(const PlaybookSpec& playbook) {
  return std::ranges::any_of(playbook.steps,
                             [](const StepSpec& step) { return step.action == "traffic.isolate"; });
}

bool takes(const PlaybookSpec& playbook, Verdict verdict, const std::string& service) {
  if (playbook.trigger.verdict != verdict) return false;
  const auto& services = playbook.trigger.services;
  return services.empty() || std::ranges::find(services, service) != services.end();
}

/// Priority first, then file name, then position (CONTRACT "Which playbook").
std::vector<const PlaybookSpec*> matching(const State& state, Verdict verdict,
                                          const std::string& service) {
  std::vector<const PlaybookSpec*> found;
  for (const PlaybookSpec& playbook : state.spec.playbooks) {
    if (takes(playbook, verdict, service)) found.push_back(&playbook);
  }
  std::ranges::stable_sort(found, [](const PlaybookSpec* a, const PlaybookSpec* b) {
    if (a->priority != b->priority) return a->priority > b->priority;
    if (a->file != b->file) return a->file < b->file;
    return a->position < b->position;
  });
  return found;
}

/// A playbook that has already run for this incident runs again only if it isolates and the node is
/// back in service: the state decides, not the history.
bool already_done(const State& state, const NodeState& node, const PlaybookSpec& playbook) {
  if (!node.incident) return false;
  if (playbook.mode == Mode::Enforce && isolates(playbook) && node.admin == Admin::InService) {
    return false;
  }
  const auto& runs = state.incidents.at(*node.incident).runs;
  return std::ranges::any_of(runs, [&](RunId id) {
    const auto run = state.runs.find(id);
    return run != state.runs.end() && run->second.playbook.name == playbook.name &&
           run->second.state == RunState::Succeeded;
  });
}

const Run* open_run(const State& state, const std::string& node) {
  for (const auto& [id, run] : state.runs) {
    if (run.node == node && !is_over(run.state)) return &run;
  }
  return nullptr;
}

/// True once the run has come to put the node back: a node that turns down now has relapsed.
bool restoring(const Run& run) {
  for (std::uint32_t i = 0; i <= run.step && i < run.steps.size(); ++i) {
    if (run.steps[i].action == "traffic.restore" && run.steps[i].attempt > 0) return true;
  }
  return false;
}

/// The last run on the node failed and nobody has put the node back since: a person decides.
bool left_out_by_failure(const State& state, const NodeState& node) {
  if (!node.incident) return false;
  const auto& runs = state.incidents.at(*node.incident).runs;
  for (auto id = runs.rbegin(); id != runs.rend(); ++id) {
    const auto run = state.runs.find(*id);
    if (run == state.runs.end() || run->second.mode == Mode::Observe || run->second.by_person)
      continue;
    const std::string& name = run->second.playbook.name;
    if (name == kReassert) continue;
    return run->second.state == RunState::Failed && name != kBuiltinRestore;
  }
  return false;
}

/// The newest run of the playbook for the node's incident, or null.
const Run* last_run_of(const State& state, const NodeState& node, const PlaybookSpec& playbook) {
  if (!node.incident) return nullptr;
  const auto& runs = state.incidents.at(*node.incident).runs;
  for (auto id = runs.rbegin(); id != runs.rend(); ++id) {
    const auto run = state.runs.find(*id);
    if (run != state.runs.end() && run->second.playbook.name == playbook.name) return &run->second;
  }
  return nullptr;
}

/// The run of the playbook that a person cancelled for this incident, if it was the last of it:
/// until the incident is over, or a person says so, it is not started again.
const Run* cancelled_by_person(const State& state, const NodeState& node,
                               const PlaybookSpec& playbook) {
  const Run* run = last_run_of(state, node, playbook);
  return run != nullptr && run->cancelled_by_person ? run : nullptr;
}

/// The playbook's last run for this incident ended with an act that may have been done and must not
/// be done twice: a person says how it goes on.
const Run* left_in_doubt(const State& state, const NodeState& node, const PlaybookSpec& playbook) {
  const Run* run = last_run_of(state, node, playbook);
  if (run == nullptr) return nullptr;
  for (const StepProgress& step : run->steps) {
    for (const TaskProgress& part : step.tasks) {
      const bool unknown = part.state == TaskState::InDoubt || part.state == TaskState::Expired;
      if (unknown && !part.task.idempotent) return run;
    }
  }
  return nullptr;
}

struct Choice {
  PlaybookSpec playbook;
  std::string reason;
  std::vector<std::string> hosts{};  // only these director hosts; empty: all of them
};

/// The enforcing playbook that takes the verdict, or the built-in one, or none.
std::optional<Choice> choose(const State& state, const std::string& name, const NodeState& node,
                             const ServiceSpec& service) {
  for (const PlaybookSpec* playbook : matching(state, node.verdict, node.service)) {
    if (playbook->mode != Mode::Enforce) continue;
    const bool reflex = node.verdict == Verdict::Down && node.admin == Admin::InService;
    if (reflex && service.builtin && isolates(*playbook) &&
        cancelled_by_person(state, node, *playbook) == nullptr &&
        (left_in_doubt(state, node, *playbook) != nullptr ||
         breaker_hold(state, playbook->name, name))) {
      break;  // the isolation itself is a reflex and needs no playbook
    }
    if (already_done(state, node, *playbook)) return std::nullopt;
    return Choice{*playbook, name + " is " + std::string(to_string(node.verdict)) +
                                 (node.reason.empty() ? "" : ": " + node.reason)};
  }
  if (!service.builtin || service.traffic.kind.empty()) return std::nullopt;
  if (node.verdict == Verdict::Down && node.admin == Admin::InService) {
    return Choice{builtin_playbook(Verdict::Down), name + " is down: " + node.reason};
  }
  if (node.verdict == Verdict::Healthy && node.admin == Admin::Isolated &&
      node.owner == Owner::Fettle && !left_out_by_failure(state, node)) {
    return Choice{builtin_playbook(Verdict::Healthy), name + " is healthy again"};
  }
  return std::nullopt;
}

/// An act that may or may not have been done, a director that missed one or was restarted leave it
/// unlike the log: the side that the log and the verdict call for is asserted again.
std::optional<Choice> reassertion(const State& state, const std::string& name,
                                  const NodeState& node) {
  const bool out = node.admin != Admin::InService;
  const bool in_doubt = out ? node.restoration_in_doubt : node.isolation_in_doubt;
  const auto returned = returned_hosts(state, name);
  if (!in_doubt && returned.empty()) return std::nullopt;
  if (!out && node.verdict != Verdict::Healthy) return std::nullopt;
  Choice choice{builtin_playbook(out ? Verdict::Down : Verdict::Healthy),
                out ? "a restore of " + name + " is in doubt: it is kept out"
                    : "an isolation of " + name + " is in doubt: it is kept in"};
  choice.playbook.name = kReassert;
  if (in_doubt) return choice;
  choice.hosts = returned;
  choice.reason = "the director on " + returned.front() + " does not hold " + name +
                  " as it is to: " + std::string(to_string(node.admin));
  return choice;
}

void run_observers(Applying& ap, const std::string& name, const NodeState& node) {
  std::vector<PlaybookSpec> observed;
  for (const PlaybookSpec* playbook : matching(ap.state, node.verdict, node.service)) {
    if (playbook->mode == Mode::Observe && !already_done(ap.state, node, *playbook)) {
      observed.push_back(*playbook);
    }
  }
  for (PlaybookSpec& playbook : observed) {
    start_run(ap, {.playbook = std::move(playbook),
                   .node = name,
                   .mode = Mode::Observe,
                   .reason = node.reason});
  }
}

/// What keeps the playbook from acting on the node now, and until when, where that is known.
std::vector<Hold> blocks(const State& state, const std::string& name, const NodeState& node,
                         const PlaybookSpec& playbook) {
  std::vector<Hold> holds;
  if (playbook.name == kBuiltinRestore && hold_down_until(node) > state.now) {
    holds.push_back({"hold-down after a relapse", hold_down_until(node)});
    return holds;
  }
  if (auto stale = why_stale(state, name)) holds.push_back({std::move(*stale)});
  if (auto freeze = freeze_hold(state, node.service)) holds.push_back(std::move(*freeze));
  if (const Run* run = cancelled_by_person(state, node, playbook); run != nullptr) {
    holds.push_back({"run " + std::to_string(run->id.value) + " was " + run->cancel_reason});
  }
  if (const Run* run = left_in_doubt(state, node, playbook); run != nullptr) {
    holds.push_back({"run " + std::to_string(run->id.value) +
                     " ended in doubt: a program may have run, and is not run again by itself"
                     " (fettle retry " +
                     std::to_string(run->id.value) + ")"});
  }
  if (auto panic = panic_hold(state, node.service); panic && !isolates(playbook)) {
    holds.push_back(std::move(*panic));
  }
  if (auto hold = failure_hold(state, failure_name(playbook), name))
    holds.push_back(std::move(*hold));
  if (isolates(playbook)) {
    for (std::string& why : why_not_isolate(state, name)) holds.push_back({std::move(why)});
  }
  return holds;
}

void record_blocks(Applying& ap, const NodeState& node, const std::vector<Hold>& holds) {
  if (!node.incident) return;
  std::vector<std::string> reasons;
  for (const Hold& hold : holds) reasons.push_back(hold.reason);
  Incident& incident = ap.state.incidents.at(*node.incident);
  if (incident.blocked_by == reasons) return;
  incident.blocked_by = std::move(reasons);
  for (const std::string& reason : incident.blocked_by) note(ap, incident.id, "blocked", reason);
}

/// The enforcing playbooks that take the verdict too, after the chosen one.
std::vector<std::string> others_than(const State& state, const NodeState& node,
                                     const PlaybookSpec& chosen) {
  std::vector<std::string> others;
  for (const PlaybookSpec* playbook : matching(state, node.verdict, node.service)) {
    if (playbook->mode == Mode::Enforce && playbook->name != chosen.name) {
      others.push_back(playbook->name);
    }
  }
  return others;
}

/// Lists them on the incident (CONTRACT "Which playbook").
void note_others(Applying& ap, const NodeState& node, const PlaybookSpec& chosen) {
  const auto others = others_than(ap.state, node, chosen);
  if (!node.incident || others.empty()) return;
  std::string list;
  for (const std::string& other : others) list += (list.empty() ? "" : ", ") + other;
  note(ap, *node.incident, "playbook.chosen", chosen.name + ", before " + list);
}

/// Takes the node's open runs on; a restoring one is stopped if the node has relapsed.
void continue_runs(Applying& ap, const std::string& name) {
  for (const RunId id : open_runs_of(ap.state, name)) {
    const Run& run = ap.state.runs.at(id);
    const NodeState& node = ap.state.nodes.at(name);
    if (node.verdict == Verdict::Down && restoring(run) && !run.by_person) {
      cancel_run(ap, id, name + " relapsed: " + node.reason);
    }
    continue_run(ap, id);  // a cancelled one too: its hosts may be out of reach
  }
}

/// Isolation is a reflex: beside an open run that is not at the node's traffic and isolates nothing
/// a down node's own run may start.
bool leaves_room(const State& state, const std::string& name, const NodeState& node) {
  const bool reflex = node.verdict == Verdict::Down && node.admin == Admin::InService;
  return std::ranges::all_of(state.runs, [&](const auto& entry) {
    const Run& run = entry.second;
    if (run.node != name || is_over(run.state)) return true;
    if (!reflex || run.cancelling || run.by_person || run.step >= run.steps.size()) return false;
    if (is_traffic(run.steps[run.step].action)) return false;
    return !isolates(run.playbook);
  });
}

/// What the log calls for is asserted first, unless a person cancelled that, or something holds it
/// off though the node is healthy: then the verdict decides.
std::optional<Choice> choice_for(const State& state, const std::string& name, const NodeState& node,
                                 const ServiceSpec& service) {
  auto again = reassertion(state, name, node);
  if (again && cancelled_by_person(state, node, again->playbook) == nullptr) {
    const bool healthy = node.verdict == Verdict::Healthy;
    if (!healthy || blocks(state, name, node, again->playbook).empty()) return again;
  }
  if (node.verdict == Verdict::Unknown || node.owner == Owner::Person) return again;
  if (node.verdict == Verdict::Healthy && node.admin == Admin::InService) return again;
  auto decided = choose(state, name, node, service);
  return decided ? decided : again;
}

}  // namespace

PlaybookSpec builtin_playbook(Verdict verdict) {
  PlaybookSpec playbook;
  const bool down = verdict == Verdict::Down;
  playbook.name = down ? kBuiltinIsolate : kBuiltinRestore;
  playbook.mode = Mode::Enforce;
  playbook.trigger.verdict = verdict;
  StepSpec step;
  step.id = down ? "switch" : "return";
  step.action = down ? "traffic.isolate" : "traffic.restore";
  step.timeout = down ? std::chrono::seconds(5) : std::chrono::seconds(30);
  step.retry = {.count = 2, .delay = std::chrono::milliseconds(200), .backoff_permille = 2000};
  playbook.steps.push_back(std::move(step));
  return playbook;
}

void weigh(Applying& ap, const std::string& name) {
  const NodeState& node = ap.state.nodes.at(name);
  const ServiceSpec* service = ap.service(node.service);
  if (service == nullptr) return;
  continue_runs(ap, name);
  const bool beside = open_run(ap.state, name) != nullptr;
  if (beside && !leaves_room(ap.state, name, node)) return;
  if (node.incident && (node.verdict == Verdict::Down || node.verdict == Verdict::Degraded)) {
    run_observers(ap, name, node);
  }
  const auto choice = choice_for(ap.state, name, node, *service);
  if (!choice || (beside && !isolates(choice->playbook))) return;
  const auto holds = blocks(ap.state, name, node, choice->playbook);
  record_blocks(ap, node, holds);
  if (!holds.empty()) return;
  note_others(ap, node, choice->playbook);
  start_run(ap, {.playbook = choice->playbook,
                 .node = name,
                 .reason = choice->reason,
                 .hosts = choice->hosts});
}

Weighing weighing_of(const State& state, const std::string& name) {
  const NodeState& node = state.nodes.at(name);
  const ServiceSpec* service = find_service(state.spec, node.service);
  Weighing weighing;
  if (service == nullptr) return weighing;
  const bool by_person = node.owner == Owner::Person;
  if (by_person) {
    weighing.blocked_by.push_back(
        {node.admin == Admin::InService
             ? "a person put it back: Fettle acts on it again once it is healthy"
             : "a person keeps it out: Fettle does not restore it"});
  }
  auto choice = choice_for(state, name, node, *service);
  if (!choice) return weighing;
  weighing.others = others_than(state, node, choice->playbook);
  for (Hold& hold : blocks(state, name, node, choice->playbook)) {
    weighing.blocked_by.push_back(std::move(hold));
  }
  weighing.playbook = std::move(choice->playbook);
  weighing.reason = std::move(choice->reason);
  return weighing;
}

Time weigh_due(const State& state, const std::string& name, const NodeState& node) {
  Time due = kNever;
  if (node.verdict == Verdict::Healthy && node.admin == Admin::Isolated &&
      hold_down_until(node) > state.now) {
    due = hold_down_until(node);
  }
  if (node.incident || node.isolation_in_doubt || node.restoration_in_doubt ||
      !node.pending_hosts.empty()) {
    for (const auto& [key, failures] : state.failures) {
      const std::string playbook = key.substr(0, key.find('/'));
      if (const auto hold = failure_hold(state, playbook, name)) due = std::min(due, hold->until);
    }
  }
  return due;
}

}  // namespace fettle::core
