#include "core/attempts.h"

#include <algorithm>

#include "core/allow.h"
#include "core/fields.h"
#include "core/limits.h"
#include "core/runs.h"

namespace fettle::core {
namespace {

/// The input a director host needs: the director's options, the server, and what was found before.
Options traffic_input(const ServiceSpec& service, const NodeSpec& spec, const NodeState& node,
                      const std::string& host) {
  Options input = service.traffic.options;
  input["director"] = service.traffic.kind;
  input["node"] = spec.name;
  input["server"] = spec.server.empty() ? spec.name : spec.server;
  input["verdict"] = std::string(to_string(node.verdict));
  const auto before = node.isolated_by_host.find(host);
  if (before != node.isolated_by_host.end()) {
    for (const auto& [key, value] : before->second) input.insert_or_assign(key, value);
  }
  return input;
}

/// One host's share of an attempt.
struct Share {
  std::string host;
  std::string resource;
  Options input;
};

Result<std::vector<Share>> director_shares(const Applying& ap, const ServiceSpec& service,
                                           const NodeSpec& spec) {
  const std::vector<std::string> hosts = director_hosts(ap.state, service);
  const std::string socket = text_option(service.traffic.options, "socket");
  if (hosts.empty()) return fail(Code::Refused, "no member's allow-list holds " + socket);
  std::vector<Share> shares;
  for (const std::string& host : hosts) {
    Options input = traffic_input(service, spec, ap.state.nodes.at(spec.name), host);
    std::string resource = service.traffic.kind + ":" + socket + "/" + text_option(input, "server");
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
  FETTLE_TRY(Options input, filled(step.input, run.bound));
  FETTLE_CHECK(check_allowed(facts->second, kind, input));
  input["node"] = run.node;
  input["service"] = run.service;
  input["step"] = step.id;
  const std::string word = kind.name.substr(0, kind.name.find('.'));
  return std::vector<Share>{{host, word + ":" + run.node, std::move(input)}};
}

void set_admin(Applying& ap, const std::string& name, Admin admin, Owner owner,
               const std::string& reason) {
  NodeState& node = ap.state.nodes.at(name);
  if (node.admin == admin && node.owner == owner) return;
  node.admin = admin;
  node.owner = owner;
  node.admin_since = ap.state.wall;
  if (node.incident) note(ap, *node.incident, "node.admin_changed", std::string(to_string(admin)));
  ap.happened({.kind = "node.admin_changed",
               .service = node.service,
               .node = name,
               .incident = node.incident,
               .value = std::string(to_string(admin)),
               .reason = reason});
}

void isolated(Applying& ap, const Run& run) {
  NodeState& node = ap.state.nodes.at(run.node);
  const bool again =
      node.isolated_time.ns != 0 && ap.state.now - node.isolated_time < kRelapseWindow;
  node.relapses = again ? node.relapses + 1 : 0;
  node.isolated_time = ap.state.now;
  node.isolation_in_doubt = node.restoration_in_doubt = false;
  if (node.incident) {
    Incident& incident = ap.state.incidents.at(*node.incident);
    if (!incident.isolated_at) incident.isolated_at = ap.state.wall;
    incident.blocked_by.clear();
  }
  const bool kept = node.owner == Owner::Person;  // re-asserted, not taken over
  set_admin(ap, run.node, Admin::Isolated, run.by_person || kept ? Owner::Person : Owner::Fettle,
            run.steps[run.step].reason);
}

void restored(Applying& ap, const Run& run) {
  NodeState& node = ap.state.nodes.at(run.node);
  node.isolation_in_doubt = node.restoration_in_doubt = false;
  node.isolated_by_host.clear();
  set_admin(ap, run.node, Admin::InService, Owner::Nobody, run.steps[run.step].reason);
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
                                            : director_shares(ap, *service, *node_spec));
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
    task.key = {ap.state.generation, run.id, run.step, step.attempt, share.host};
    task.fence = run.fence;
    task.action = spec.action;
    task.input = std::move(share.input);
    task.resource = std::move(share.resource);
    task.remaining = spec.timeout;
    task.idempotent = kind->second.idempotent;
    task.reason = run.reason;
    ap.effects.emplace_back(effect::Perform{task});
    step.tasks.push_back({.host = share.host, .state = TaskState::Open, .task = std::move(task)});
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
  if (key.attempt != step.attempt) return nullptr;
  for (TaskProgress& task : step.tasks) {
    if (task.host == key.host && task.state == TaskState::Open) return &task;
  }
  return nullptr;
}

AttemptEnd judge_attempt(const Applying& ap, const Run& run) {
  const StepProgress& step = run.steps[run.step];
  AttemptEnd end{.ok = true};
  for (const TaskProgress& task : step.tasks) {
    if (!end.reason.empty()) end.reason += "; ";
    end.reason +=
        task.host + ": " + (task.result.empty() ? std::string(to_string(task.state)) : task.result);
    if (task.state != TaskState::Done) end.ok = false;
    if (task.state == TaskState::InDoubt || task.state == TaskState::Expired ||
        (task.state == TaskState::Done)) {
      end.in_doubt = true;
    }
  }
  if (end.ok) end.in_doubt = false;
  const auto kind = ap.actions.find(step.action);
  const bool idempotent = kind != ap.actions.end() && kind->second.idempotent;
  end.may_repeat = idempotent || !end.in_doubt;
  return end;
}

void remember_director(Applying& ap, const Run& run, const TaskProgress& task,
                       const TaskResult& result) {
  if (run.steps[run.step].action != "traffic.isolate" || task.state != TaskState::Done) return;
  auto& kept = ap.state.nodes.at(run.node).isolated_by_host;
  kept.try_emplace(task.host, result.output);
}

void settle_traffic(Applying& ap, const Run& run, const AttemptEnd& end) {
  const std::string& action = run.steps[run.step].action;
  if (!ap.state.nodes.contains(run.node)) return;
  if (action == "traffic.isolate") {
    if (end.ok) return isolated(ap, run);
    if (end.in_doubt) ap.state.nodes.at(run.node).isolation_in_doubt = true;
  }
  if (action == "traffic.restore") {
    if (end.ok) return restored(ap, run);
    if (end.in_doubt) ap.state.nodes.at(run.node).restoration_in_doubt = true;
  }
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
