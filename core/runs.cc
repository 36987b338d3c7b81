#include "core/runs.h"

#include <algorithm>

#include "core/allow.h"
#include "core/attempts.h"
#include "core/fields.h"
#include "core/incidents.h"
#include "core/limits.h"
#include "core/traffic.h"

namespace fettle::core {
namespace {

bool by_engine(const Applying& ap, const std::string& action) {
  const auto kind = ap.actions.find(action);
  return kind != ap.actions.end() && kind->second.by_engine;
}

void tell(Applying& ap, const Run& run, std::string kind, std::string value, std::string reason) {
  if (run.incident)
    note(ap, *run.incident, kind,
         "run " + std::to_string(run.id.value) + " (" + run.playbook.name +
             "): " + (reason.empty() ? value : reason));
  ap.happened({.kind = std::move(kind),
               .service = run.service,
               .node = run.node,
               .incident = run.incident,
               .run = run.id,
               .step = run.step < run.steps.size() ? run.steps[run.step].id : "",
               .value = std::move(value),
               .reason = std::move(reason)});
}

/// It came to its end, but what was to take the node out failed on the way (`on_failure:
/// continue`).
bool left_in_service(const Run& run) {
  return std::ranges::any_of(run.steps, [](const StepProgress& step) {
    return step.action == "traffic.isolate" && step.state == StepState::Failed;
  });
}

void finish_run(Applying& ap, Run& run, RunState state, std::string reason) {
  run.state = state;
  run.finished_at = ap.state.wall;
  run.finished = ap.state.now;
  run.reason = reason;
  for (StepProgress& step : run.steps) {
    if (step.state == StepState::Pending) step.state = StepState::Skipped;
    if (step.state == StepState::Running || step.state == StepState::Waiting) {
      step.state = StepState::Cancelled;
    }
  }
  const bool in_vain = state == RunState::Succeeded && left_in_service(run);
  if ((state == RunState::Failed || in_vain) && !run.by_person) {
    auto& failures = ap.state.failures[failure_key(failure_name(run.playbook), run.service)];
    std::erase_if(failures,
                  [&](const RunFailure& f) { return ap.state.now - f.at >= kBreakerWindow; });
    failures.push_back({ap.state.now, run.node});
  }
  tell(ap, run, "run.finished", std::string(to_string(state)), std::move(reason));
  ap.touched.insert(run.service);
}

void finish_step(Applying& ap, Run& run, StepState state, std::string reason) {
  StepProgress& step = run.steps[run.step];
  step.state = state;
  step.reason = std::move(reason);
  step.finished_at = ap.state.wall;
  tell(ap, run, "step.finished", std::string(to_string(state)), step.reason);
}

/// The reflex is tried for as long as it fails; people are told of the first time.
bool told_before(const State& state, const Incident& incident, const Run& run) {
  if (!is_reflex(run.playbook)) return false;
  return std::ranges::any_of(incident.runs, [&](RunId id) {
    const auto earlier = state.runs.find(id);
    return earlier != state.runs.end() && earlier->second.state == RunState::Failed &&
           earlier->second.playbook.name == run.playbook.name;
  });
}

void escalate(Applying& ap, Run& run, const std::string& reason) {
  if (!run.incident || run.by_person) return;
  const auto incident = ap.state.incidents.find(*run.incident);
  if (incident == ap.state.incidents.end()) return;
  if (told_before(ap.state, incident->second, run)) return;
  send_alert(ap, incident->second, ap.state.spec.route_receiver, AlertStatus::Firing,
             Severity::Critical,
             run.node + ": run " + std::to_string(run.id.value) + " of " + run.playbook.name +
                 " failed at step " + run.steps[run.step].id + ": " + reason,
             "escalated-" + std::to_string(run.id.value));
}

void advance(Applying& ap, Run& run);

void step_failed(Applying& ap, Run& run, const std::string& reason) {
  finish_step(ap, run, StepState::Failed, reason);
  switch (run.playbook.steps[run.step].on_failure) {
    case OnFailure::Continue:
      ++run.step;
      return advance(ap, run);
    case OnFailure::Escalate:
    case OnFailure::Pause:
    case OnFailure::Rollback:
      escalate(ap, run, reason);
      return finish_run(ap, run, RunState::Failed, reason);
    case OnFailure::Abort:
      return finish_run(ap, run, RunState::Failed, reason);
  }
}

void step_succeeded(Applying& ap, Run& run, std::string reason) {
  finish_step(ap, run, StepState::Succeeded, std::move(reason));
  ++run.step;
  advance(ap, run);
}

void send_notice(Applying& ap, Run& run, const StepSpec& spec) {
  const std::string receiver = text_option(spec.input, "receiver");
  if (!run.incident || !ap.state.incidents.contains(*run.incident)) {
    return step_succeeded(ap, run, "no incident to tell of");
  }
  if (receiver == ap.state.spec.route_receiver) {
    return step_succeeded(ap, run, "told by the route, with this step's text");
  }
  auto text = substitute(text_option(spec.input, "text"), run.bound);
  if (!text) return step_failed(ap, run, text.error().what);
  const std::string word = text_option(spec.input, "severity");
  const Severity severity = word == "info"      ? Severity::Info
                            : word == "warning" ? Severity::Warning
                                                : Severity::Critical;
  send_alert(ap, ap.state.incidents.at(*run.incident), receiver, AlertStatus::Firing, severity,
             std::move(*text), "notice-" + std::to_string(run.id.value) + "-" + spec.id);
  step_succeeded(ap, run, "queued for " + receiver);
}

void wait_healthy(Applying& ap, Run& run, const StepSpec& spec) {
  StepProgress& step = run.steps[run.step];
  const NodeState& node = ap.state.nodes.at(run.node);
  if (node.verdict == Verdict::Healthy && hold_down_until(node) <= ap.state.now) {
    return step_succeeded(ap, run, run.node + " is healthy");
  }
  if (step.state == StepState::Pending) step.deadline = ap.state.now + spec.timeout;
  if (step.deadline <= ap.state.now) {
    return step_failed(ap, run, run.node + " was not healthy within " + to_string(spec.timeout));
  }
  step.state = StepState::Waiting;
  step.next_attempt = node.verdict == Verdict::Healthy ? hold_down_until(node) : kNever;
  step.reason = node.verdict == Verdict::Healthy ? "healthy; held down after a relapse"
                                                 : "waits until " + run.node + " is healthy";
}

void engine_step(Applying& ap, Run& run, const StepSpec& spec) {
  if (spec.action == "notify.send") return send_notice(ap, run, spec);
  if (spec.action == "wait.healthy") return wait_healthy(ap, run, spec);
  step_failed(ap, run, "no such action: " + spec.action);
}

bool has_older_open_run(const State& state, const Run& run) {
  return std::ranges::any_of(state.runs, [&](const auto& entry) {
    return entry.first < run.id && entry.second.node == run.node && !is_over(entry.second.state);
  });
}

/// An older run of the node that is at its traffic: only one run at a time may be.
bool older_run_at_traffic(const State& state, const Run& run) {
  return std::ranges::any_of(state.runs, [&](const auto& entry) {
    const Run& older = entry.second;
    return entry.first < run.id && older.node == run.node && !is_over(older.state) &&
           older.step < older.steps.size() && is_traffic(older.steps[older.step].action);
  });
}

/// Another run of the node has an act on its traffic open: one at a time.
bool other_open_at_traffic(const State& state, const Run& run) {
  return std::ranges::any_of(state.runs, [&](const auto& entry) {
    const Run& other = entry.second;
    return entry.first != run.id && other.node == run.node && !is_over(other.state) &&
           other.step < other.steps.size() && is_traffic(other.steps[other.step].action) &&
           !attempt_is_closed(other);
  });
}

/// Isolation is a reflex, not a queue: the isolation of a down node, and what is told before it, do
/// not wait for another run of the node that does something else.
bool must_queue(const State& state, const Run& run) {
  const std::string& action = run.steps[run.step].action;
  if (is_traffic(action) && other_open_at_traffic(state, run)) return true;
  if (!has_older_open_run(state, run)) return false;
  if (action == "notify.send") return false;
  const bool reflex =
      action == "traffic.isolate" && state.nodes.at(run.node).verdict == Verdict::Down;
  return !reflex || older_run_at_traffic(state, run);
}

/// What keeps a host step from being decided now: it waits, as data, until that frees or its own
/// timeout passes.
std::optional<std::string> why_wait(const Applying& ap, const Run& run, const StepSpec& spec) {
  if (run.by_person) return std::nullopt;
  if (auto freeze = frozen(ap.state, run.service)) return freeze;
  if (auto panic = panic_hold(ap.state, run.service)) return std::move(panic->reason);
  if (spec.action == "traffic.isolate") {
    // A further attempt keeps to the limits of now: those of the first may have been wider.
    const bool again = run.steps[run.step].attempt > 0;
    const auto reasons =
        again ? why_not_order_isolation(ap.state, run.node) : why_not_isolate(ap.state, run.node);
    if (!reasons.empty()) return reasons.front();
  }
  return is_traffic(spec.action) ? why_stale(ap.state, run.node) : std::nullopt;
}

void host_step(Applying& ap, Run& run, const StepSpec& spec) {
  StepProgress& step = run.steps[run.step];
  if (spec.action == "traffic.restore") {
    const NodeState& node = ap.state.nodes.at(run.node);
    if (!run.by_person && node.owner == Owner::Person && node.admin != Admin::InService) {
      return step_failed(ap, run, "refused: a person keeps " + run.node + " out");
    }
    const bool may_wait = !run.by_person && node.verdict == Verdict::Healthy;
    if (auto why = why_not_restore(ap.state, run.node); why && !may_wait) {
      return step_failed(ap, run, "refused: " + *why);
    }
  }
  if (auto why = why_wait(ap, run, spec)) {
    if (step.state == StepState::Pending) step.deadline = ap.state.now + spec.timeout;
    if (step.deadline <= ap.state.now) return step_failed(ap, run, *why);
    step.state = StepState::Waiting;
    step.next_attempt = kNever;
    step.reason = *why;
    return;
  }
  const Status begun = begin_attempt(ap, run);
  if (!begun) return step_failed(ap, run, begun.error().what);
  tell(ap, run, "step.started", "attempt " + std::to_string(step.attempt), step.reason);
}

/// Takes the run on from its current step, as far as this entry allows.
void advance(Applying& ap, Run& run) {
  if (run.step >= run.steps.size()) {
    return finish_run(ap, run, RunState::Succeeded, "every step is done");
  }
  if (must_queue(ap.state, run)) return;
  StepProgress& step = run.steps[run.step];
  const StepSpec& spec = run.playbook.steps[run.step];
  if (step.state == StepState::Pending) {
    step.began = ap.state.now;
    step.started_at = ap.state.wall;
  }
  if (by_engine(ap, spec.action)) return engine_step(ap, run, spec);
  host_step(ap, run, spec);
}

bool persons(const State& state, const std::string& node) {
  const auto found = state.nodes.find(node);
  return found != state.nodes.end() && found->second.owner == Owner::Person;
}

void attempt_closed(Applying& ap, Run& run) {
  StepProgress& step = run.steps[run.step];
  const StepSpec& spec = run.playbook.steps[run.step];
  const AttemptEnd end = judge_attempt(ap, run);
  if (end.ok) {
    const bool was_persons = persons(ap.state, run.node);
    settle_traffic(ap, run, end);
    if (!run.by_person && !was_persons && persons(ap.state, run.node)) {
      finish_step(ap, run, StepState::Succeeded, end.reason);
      return finish_run(ap, run, RunState::Cancelled,
                        "external: " + run.node + " was out already; a person decides");
    }
    if (run.cancelling) return finish_run(ap, run, RunState::Cancelled, run.cancel_reason);
    return step_succeeded(ap, run, end.reason);
  }
  settle_traffic(ap, run, end);
  if (run.cancelling) return finish_run(ap, run, RunState::Cancelled, run.cancel_reason);
  if (end.may_repeat && step.attempt <= spec.retry.count) {
    step.state = StepState::Waiting;
    step.next_attempt = ap.state.now + retry_delay(spec.retry, step.attempt);
    step.reason = "attempt " + std::to_string(step.attempt) + ": " + end.reason;
    tell(ap, run, "step.finished", "attempt failed", step.reason);
    if (step.next_attempt <= ap.state.now) advance(ap, run);
    return;
  }
  step_failed(ap, run, end.reason);
}

void observe(Applying& ap, Run& run) {
  for (std::size_t i = 0; i < run.steps.size(); ++i) {
    run.steps[i].state = StepState::Would;
    run.steps[i].reason = "observe: would do " + run.steps[i].action + " on " + run.node;
  }
  run.step = static_cast<std::uint32_t>(run.steps.size());
  finish_run(ap, run, RunState::Succeeded, "observe: written down, nothing was done");
}

/// Says little that the next one does not: the reflex is tried for as long as it fails.
bool failed_reflex(const Run& run) {
  return run.state == RunState::Failed && is_reflex(run.playbook);
}

void drop_old_runs(State& state) {
  while (state.runs.size() > kRunsKept) {
    auto over = std::ranges::find_if(state.runs,
                                     [](const auto& entry) { return failed_reflex(entry.second); });
    if (over == state.runs.end()) {
      over = std::ranges::find_if(state.runs,
                                  [](const auto& entry) { return is_over(entry.second.state); });
    }
    if (over == state.runs.end()) return;
    state.runs.erase(over);
  }
}

/// The oldest failure of the reflex makes room, or what is kept no more; nothing else does.
void list_run(State& state, Incident& incident, RunId id) {
  if (incident.runs.size() >= kIncidentRunsMax) {
    const auto dropped = std::ranges::find_if(incident.runs, [&](RunId earlier) {
      const auto run = state.runs.find(earlier);
      return run == state.runs.end() || failed_reflex(run->second);
    });
    if (dropped != incident.runs.end()) incident.runs.erase(dropped);
  }
  incident.runs.push_back(id);
}

}  // namespace

std::vector<std::string> director_hosts(const State& state, const ServiceSpec& service) {
  if (service.traffic.kind.empty()) return {};
  if (!service.traffic.hosts.empty()) return service.traffic.hosts;
  std::vector<std::string> hosts;
  const std::string socket = text_option(service.traffic.options, "socket");
  for (const auto& [name, facts] : state.members) {
    if (allows(facts.allow, service.traffic.kind, socket)) hosts.push_back(name);
  }
  return hosts;
}

bool has_director(const State& state, const ServiceSpec& service, const std::string& host) {
  const auto hosts = director_hosts(state, service);
  return std::ranges::find(hosts, host) != hosts.end();
}

RunId start_run(Applying& ap, RunOrder order) {
  drop_old_runs(ap.state);
  Run run;
  run.id = RunId{ap.state.next_run++};
  const NodeState& node = ap.state.nodes.at(order.node);
  run.playbook = std::move(order.playbook);
  run.revision = ap.state.revision;
  run.incident = node.incident;
  run.service = node.service;
  run.node = std::move(order.node);
  run.mode = order.mode;
  run.by_person = order.by_person;
  run.force = order.force;
  run.hosts = std::move(order.hosts);
  run.reason = std::move(order.reason);
  run.started_at = ap.state.wall;
  for (const StepSpec& step : run.playbook.steps) {
    run.steps.push_back({.id = step.id, .action = step.action});
  }
  for (std::uint32_t i = 0; i < order.first_step; ++i) {
    run.steps[i].state = StepState::Skipped;
    run.steps[i].reason = "done by an earlier run";
  }
  run.step = order.first_step;
  bind_fields(ap.state, run);
  if (run.incident) list_run(ap.state, ap.state.incidents.at(*run.incident), run.id);
  const RunId id = run.id;
  Run& kept = ap.state.runs.insert_or_assign(id, std::move(run)).first->second;
  tell(ap, kept, "run.started", kept.playbook.name, kept.reason);
  if (kept.mode == Mode::Observe) {
    observe(ap, kept);
  } else {
    continue_run(ap, id);
  }
  return id;
}

void task_finished(Applying& ap, const command::TaskFinished& event) {
  const auto found = ap.state.runs.find(event.key.run);
  if (found == ap.state.runs.end()) return;
  Run& run = found->second;
  ap.touched.insert(run.service);
  TaskProgress* task = open_task(run, event.key);
  if (task == nullptr || event.key.generation != task->task.key.generation) {
    return tell(ap, run, "step.finished", "late answer",
                "a late answer of " + to_string(event.key) + " to a closed attempt: " +
                    std::string(to_string(event.result.state)) + ", not applied");
  }
  task->state = event.result.state == TaskState::Open ? TaskState::Failed : event.result.state;
  task->result = event.result.text.substr(0, kTaskTextBytesMax);
  remember_director(ap, run, *task, event.result);
  if (attempt_is_closed(run)) attempt_closed(ap, run);
}

void cancel_run(Applying& ap, RunId id, const std::string& reason) {
  Run& run = ap.state.runs.at(id);
  if (is_over(run.state) || run.cancelling) return;
  run.cancelling = true;
  run.cancel_reason = reason;
  if (attempt_is_closed(run)) return finish_run(ap, run, RunState::Cancelled, reason);
  for (const TaskProgress& task : run.steps[run.step].tasks) {
    if (task.state != TaskState::Open) continue;
    ap.effects.emplace_back(effect::Cancel{task.task.key, task.task.fence, reason});
  }
}

std::vector<RunId> open_runs_of(const State& state, const std::string& node) {
  std::vector<RunId> open;
  for (const auto& [id, run] : state.runs) {
    if (run.node == node && !is_over(run.state)) open.push_back(id);
  }
  return open;
}

void cancel_runs_of(Applying& ap, const std::string& node, const std::string& reason) {
  for (const RunId id : open_runs_of(ap.state, node)) cancel_run(ap, id, reason);
}

void continue_run(Applying& ap, RunId id) {
  Run& run = ap.state.runs.at(id);
  if (is_over(run.state)) return;
  if (!attempt_is_closed(run)) {
    if (expire_tasks(ap, run)) attempt_closed(ap, run);
    return;
  }
  if (run.cancelling) return finish_run(ap, run, RunState::Cancelled, run.cancel_reason);
  const StepProgress& step = run.steps[run.step];
  const bool retry_pending = step.state == StepState::Waiting && step.attempt > 0 &&
                             step.next_attempt != kNever && step.next_attempt > ap.state.now;
  if (!retry_pending) advance(ap, run);
}

Time run_due(const State& state, const Run& run) {
  if (is_over(run.state) || run.step >= run.steps.size()) return kNever;
  const StepProgress& step = run.steps[run.step];
  if (!attempt_is_closed(run)) return step.deadline + kTaskMargin;
  if (must_queue(state, run) || step.state == StepState::Pending) return kNever;
  if (step.state != StepState::Waiting) return kNever;
  if (step.attempt > 0 && step.next_attempt != kNever) return step.next_attempt;
  return std::min(step.deadline, step.next_attempt);
}

}  // namespace fettle::core
