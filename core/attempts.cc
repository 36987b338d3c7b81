#include "core/attempts.h"

#include <algorithm>

#include "base/check.h"
#include "core/allow.h"
#include "core/fields.h"
#include "core/liveness.h"
#include "core/runs.h"
#include "core/traffic.h"

namespace fettle::core {
namespace {

/// One host's share of an attempt.
struct Share {
  std::string host;  // a lost one has no part in the attempt
  std::string resource;
  Options input;
};

std::unexpected<Error> host_dead(const std::string& host) {
  return fail(Code::Unreachable, "host_dead: " + host + " is lost");
}

/// A director host that is lost is absent at once: what it misses is left pending for its return.
TaskState first_state(const State& state, const std::string& host) {
  return state.lost.contains(host) ? TaskState::Unreachable : TaskState::Open;
}

Result<std::vector<Share>> director_shares(const Applying& ap, const Run& run,
                                           const ServiceSpec& service, const NodeSpec& spec) {
  auto hosts = director_hosts(ap.state, service);
  if (!run.hosts.empty()) {  // and the spec may have taken the director from them since
    std::erase_if(hosts, [&](const std::string& host) {
      return std::ranges::find(run.hosts, host) == run.hosts.end();
    });
    if (hosts.empty()) return fail(Code::NotFound, run.hosts.front() + " is no director any more");
  }
  if (hosts.empty()) {
    return fail(Code::Refused,
                "no member's allow-list holds " + text_option(service.traffic.options, "socket"));
  }
  const auto lost = [&](const std::string& host) { return ap.state.lost.contains(host); };
  if (std::ranges::all_of(hosts, lost)) return host_dead(hosts.front());
  std::vector<Share> shares;
  for (const std::string& host : hosts) {
    Options input = traffic_input(service, spec, ap.state.nodes.at(spec.name), host);
    std::string resource = traffic_resource(service, input);
    shares.push_back({host, std::move(resource), std::move(input)});
  }
  return shares;
}

/// The step's input with every field reference filled in from what the run has bound.
Result<Options> filled(const Options& input, const std::map<std::string, std::string>& bound) {
  Options whole = input;
  for (auto& [name, option] : whole) {
    if (auto* text = std::get_if<std::string>(&option)) {
      FETTLE_TRY(*text, substitute(*text, bound));
    } else if (auto* list = std::get_if<std::vector<std::string>>(&option)) {
      for (std::string& item : *list) {
        FETTLE_TRY(item, substitute(item, bound));
      }
    }
  }
  return whole;
}

/// By what is committed; the host's own list has the last word.
Status check_allowed(const MemberFacts& host, const KindSpec& kind, const Options& input) {
  for (const OptionSpec& option : kind.options) {
    if (option.type != OptionType::Argv) continue;
    const std::vector<std::string> command = list_option(input, option.name);
    const std::string program = command.empty() ? "" : command.front();
    if (is_plain_path(program) && allows(host.allow, kind.allow, program)) continue;
    return fail(Code::Refused, "the allow-list of " + host.name + " (allow." + kind.allow +
                                   ") does not hold " + program);
  }
  return {};
}

Result<std::vector<Share>> member_shares(const Applying& ap, const Run& run, const StepSpec& step,
                                         const KindSpec& kind, const NodeSpec& spec) {
  const std::string& host = step.on.empty() ? spec.host : step.on;
  if (host.empty()) {
    return fail(Code::NotFound, "no host: " + run.node + " names none, and neither does `on`");
  }
  const auto facts = ap.state.members.find(host);
  if (facts == ap.state.members.end()) {
    return fail(Code::NotFound, "no host: " + host + " is no member of this group");
  }
  if (!is_live(ap.state, host)) return host_dead(host);
  FETTLE_TRY(Options input, filled(step.input, run.bound));
  FETTLE_CHECK(check_allowed(facts->second, kind, input));
  input["node"] = run.node;
  input["service"] = run.service;
  input["step"] = step.id;
  const std::string word = kind.name.substr(0, kind.name.find('.'));
  return std::vector<Share>{{host, word + ":" + run.node, std::move(input)}};
}

}  // namespace

Status begin_attempt(Applying& ap, Run& run) {
  StepProgress& step = run.steps[run.step];
  const StepSpec& spec = run.playbook.steps[run.step];
  const ServiceSpec* service = ap.service(run.service);
  const NodeSpec* node_spec = ap.node_spec(run.node);
  if (service == nullptr || node_spec == nullptr) {
    return fail(Code::NotFound, run.node + " is not in the spec any more");
  }
  const auto kind = ap.actions.find(spec.action);
  if (kind == ap.actions.end()) return fail(Code::NotFound, "no such action: " + spec.action);
  FETTLE_TRY(std::vector<Share> shares, kind->second.on_member
                                            ? member_shares(ap, run, spec, kind->second, *node_spec)
                                            : director_shares(ap, run, *service, *node_spec));
  if (is_traffic(spec.action)) ap.state.nodes.at(run.node).traffic_index = ap.index;
  ++step.attempt;
  step.state = StepState::Running;
  step.index = ap.index;
  step.deadline = ap.state.now + spec.timeout;
  step.reason = run.reason;
  step.tasks.clear();
  run.state = RunState::Running;
  run.fence = {ap.state.generation, Term{}, ap.index};
  for (Share& share : shares) {
    Task task;
    const std::uint32_t attempt = FETTLE_MUTANT(core_attempt_reuses_key) ? 1 : step.attempt;
    task.key = {ap.state.generation, run.id, run.step, attempt, share.host};
    task.fence = run.fence;
    task.action = spec.action;
    task.input = std::move(share.input);
    task.resource = std::move(share.resource);
    task.remaining = spec.timeout;
    task.idempotent = kind->second.idempotent;
    task.reason = run.reason;
    const TaskState first = first_state(ap.state, share.host);
    if (first == TaskState::Open) ap.effects.emplace_back(effect::Perform{task});
    step.tasks.push_back({.host = share.host,
                          .state = first,
                          .result = first == TaskState::Open ? "" : "host_dead",
                          .task = std::move(task)});
  }
  return {};
}

bool attempt_is_closed(const Run& run) {
  if (run.step >= run.steps.size()) return true;
  return std::ranges::none_of(run.steps[run.step].tasks, [](const TaskProgress& task) {
    return task.state == TaskState::Open;
  });
}

bool expire_tasks(Applying& ap, Run& run) {
  StepProgress& step = run.steps[run.step];
  if (ap.state.now < step.deadline + kTaskMargin) return false;
  for (TaskProgress& task : step.tasks) {
    if (task.state != TaskState::Open) continue;
    task.state = TaskState::Expired;
    task.result = "no answer from " + task.host + " by its deadline";
  }
  return true;
}

TaskProgress* open_task(Run& run, const TaskKey& key) {
  if (is_over(run.state) || key.step != run.step || run.step >= run.steps.size()) return nullptr;
  StepProgress& step = run.steps[run.step];
  if (key.attempt != step.attempt && !FETTLE_MUTANT(core_late_answer_closes_newer)) return nullptr;
  for (TaskProgress& task : step.tasks) {
    if (task.host == key.host && task.state == TaskState::Open) return &task;
  }
  return nullptr;
}

AttemptEnd judge_attempt(const Applying& ap, const Run& run) {
  const StepProgress& step = run.steps[run.step];
  const auto kind = ap.actions.find(step.action);
  const bool on_director = kind != ap.actions.end() && kind->second.on_director;
  AttemptEnd end{.ok = true};
  std::size_t done = 0;
  for (const TaskProgress& task : step.tasks) {
    if (!end.reason.empty()) end.reason += "; ";
    end.reason +=
        task.host + ": " + (task.result.empty() ? std::string(to_string(task.state)) : task.result);
    if (task.state == TaskState::Done) ++done;
    const bool absent = task.state == TaskState::Expired || task.state == TaskState::Unreachable;
    if (absent) end.absent.push_back(task.host);
    if (task.state != TaskState::Done && !(absent && on_director)) end.ok = false;
    if (task.state == TaskState::InDoubt || task.state == TaskState::Expired) end.in_doubt = true;
  }
  end.ok = end.ok && done > 0;
  end.in_doubt = !end.ok && (end.in_doubt || done > 0);
  const bool idempotent = kind != ap.actions.end() && kind->second.idempotent;
  end.may_repeat = idempotent || !end.in_doubt;
  return end;
}

void bind_fields(const State& state, Run& run) {
  auto& bound = run.bound;
  const NodeState& node = state.nodes.at(run.node);
  bound["node.name"] = run.node;
  bound["node.service"] = run.service;
  bound["node.verdict"] = std::string(to_string(node.verdict));
  bound["node.admin"] = std::string(to_string(node.admin));
  bound["node.reason"] = node.reason;
  if (const NodeSpec* spec = find_node(state.spec, run.node); spec != nullptr) {
    bound["node.address"] = to_string(spec->address);
    bound["node.host"] = spec->host;
    bound["node.zone"] = spec->zone;
    bound["node.role"] = std::string(to_string(spec->role));
  }
  bound["service.name"] = run.service;
  bound["run.id"] = std::to_string(run.id.value);
  bound["run.playbook"] = run.playbook.name;
  std::size_t healthy = 0;
  std::size_t total = 0;
  for (const auto& [name, other] : state.nodes) {
    if (other.service != run.service) continue;
    ++total;
    if (other.verdict == Verdict::Healthy) ++healthy;
  }
  bound["service.healthy"] = std::to_string(healthy);
  bound["service.total"] = std::to_string(total);
  bound["service.verdict"] = std::string(to_string(service_verdict(state, run.service)));
  if (run.incident) {
    const Incident& incident = state.incidents.at(*run.incident);
    bound["incident.id"] = std::to_string(incident.id.value);
    bound["incident.reason"] = incident.reason;
    bound["incident.class"] = std::string(to_string(incident.fault_class));
    bound["incident.verdict"] = std::string(to_string(incident.verdict));
  }
}

}  // namespace fettle::core
