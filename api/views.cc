#include "api/views.h"

#include <nlohmann/json.hpp>

#include "core/lease.h"
#include "core/verdicts.h"
#include "core/weigh.h"

namespace fettle::api {

using nlohmann::ordered_json;

namespace {

ordered_json time_or_null(const std::optional<core::WallTime>& time) {
  return time ? ordered_json(to_string(*time)) : ordered_json(nullptr);
}

template <typename T>
ordered_json number_or_null(const std::optional<T>& number) {
  return number ? ordered_json(*number) : ordered_json(nullptr);
}

ordered_json ids(const std::vector<RunId>& runs) {
  ordered_json list = ordered_json::array();
  for (const RunId id : runs) list.push_back(id.value);
  return list;
}

std::size_t open_incidents(const core::State& state) {
  std::size_t open = 0;
  for (const auto& [id, incident] : state.incidents) open += incident.resolved_at ? 0U : 1U;
  return open;
}

ordered_json node_brief(const core::State& state, const core::NodeSpec& spec) {
  const core::NodeState& node = state.nodes.at(spec.name);
  return {{"name", spec.name},
          {"address", to_string(spec.address)},
          {"role", to_string(spec.role)},
          {"verdict", to_string(node.verdict)},
          {"admin", to_string(node.admin)},
          {"reason", node.reason},
          {"since", to_string(node.since)}};
}

}  // namespace

ordered_json members_view(const Snapshot& snapshot) {
  ordered_json list = ordered_json::array();
  for (const MemberStatus& member : snapshot.group.members) {
    list.push_back({{"name", member.name},
                    {"role", member.role},
                    {"zone", member.zone},
                    {"state", member.state},
                    {"rtt_ms", number_or_null(member.rtt_ms)},
                    {"version", member.version},
                    {"address", member.address}});
    const auto lost = snapshot.state->lost.find(member.name);
    if (lost != snapshot.state->lost.end()) list.back()["lost_since"] = to_string(lost->second.at);
  }
  return list;
}

ordered_json group_view(const Snapshot& snapshot) {
  const GroupStatus& group = snapshot.group;
  const auto in_ms = [](core::Duration time) { return time / std::chrono::milliseconds(1); };
  return {{"members", members_view(snapshot)},
          {"leader", group.leader.empty() ? ordered_json(nullptr) : ordered_json(group.leader)},
          {"quorum_rtt_ms", number_or_null(group.quorum_rtt_ms)},
          {"timing",
           {{"election_timeout_ms", in_ms(group.election_timeout)},
            {"heartbeat_ms", in_ms(group.heartbeat)},
            {"from", group.timing_set ? "file" : "measured"}}}};
}

ordered_json services_view(const core::State& state) {
  ordered_json list = ordered_json::array();
  for (const core::ServiceSpec& service : state.spec.services) {
    ordered_json nodes = ordered_json::array();
    std::size_t healthy = 0;
    for (const core::NodeSpec& node : service.nodes) {
      nodes.push_back(node_brief(state, node));
      if (state.nodes.at(node.name).verdict == core::Verdict::Healthy) ++healthy;
    }
    list.push_back({{"name", service.name},
                    {"verdict", to_string(core::service_verdict(state, service.name))},
                    {"healthy", healthy},
                    {"total", service.nodes.size()},
                    {"nodes", std::move(nodes)}});
  }
  return list;
}

ordered_json status_view(const Snapshot& snapshot) {
  const core::State& state = *snapshot.state;
  ordered_json freezes = ordered_json::array();
  for (const core::FreezeState& freeze : state.freezes) {
    freezes.push_back({{"service", freeze.service},
                       {"until", to_string(freeze.wall_until)},
                       {"by", freeze.by},
                       {"reason", freeze.reason}});
  }
  const ordered_json leader =
      snapshot.group.leader.empty() ? ordered_json(nullptr) : ordered_json(snapshot.group.leader);
  return {{"cluster",
           {{"name", snapshot.group.cluster},
            {"generation", snapshot.group.generation},
            {"term", snapshot.group.term},
            {"leader", leader},
            {"commit_index", snapshot.group.commit_index},
            {"level", state.level},
            {"members", members_view(snapshot)}}},
          {"services", services_view(state)},
          {"open_incidents", open_incidents(state)},
          {"revision", state.revision},
          {"frozen", !state.freezes.empty()},
          {"freezes", std::move(freezes)},
          {"notes", snapshot.group.notes}};
}

ordered_json node_view(const core::State& state, const std::string& name) {
  const core::NodeSpec* spec = core::find_node(state.spec, name);
  const core::NodeState& node = state.nodes.at(name);
  ordered_json view = node_brief(state, *spec);
  view["service"] = node.service;
  view["server"] = spec->server;
  view["host"] = spec->host;
  view["zone"] = spec->zone;
  view["observers"] = node.observers;
  view["stale"] = core::is_stale(state, node);
  ordered_json opinions = ordered_json::array();
  for (const auto& [observer, held] : node.opinions) {
    ordered_json classes = ordered_json::array();
    for (const core::ClassOpinion& c : held.classes) {
      classes.push_back({{"class", to_string(c.fault_class)},
                         {"opinion", to_string(c.grade)},
                         {"outcome", to_string(c.outcome)}});
    }
    opinions.push_back(
        {{"observer", observer}, {"at", to_string(held.wall_at)}, {"classes", std::move(classes)}});
  }
  view["opinions"] = std::move(opinions);
  view["incident"] = node.incident ? ordered_json(node.incident->value) : ordered_json(nullptr);
  return view;
}

ordered_json why_view(const core::State& state, const std::string& name) {
  const core::NodeState& node = state.nodes.at(name);
  const core::Weighing weighing = core::weighing_of(state, name);
  ordered_json blocks = ordered_json::array();
  for (const core::Hold& hold : weighing.blocked_by) {
    const auto in_ms = (hold.until - state.now) / std::chrono::milliseconds(1);
    blocks.push_back(
        {{"reason", hold.reason},
         {"until", hold.until == core::kNever
                       ? ordered_json(nullptr)
                       : ordered_json(to_string(core::WallTime{state.wall.ms + in_ms}))}});
  }
  ordered_json open = ordered_json::array();
  for (const auto& [id, run] : state.runs) {
    if (run.node == name && !core::is_over(run.state)) open.push_back(run_view(run));
  }
  ordered_json would(nullptr);
  if (weighing.playbook) {
    would = {{"playbook", weighing.playbook->name},
             {"mode", to_string(weighing.playbook->mode)},
             {"first_action", weighing.playbook->steps.front().action},
             {"reason", weighing.reason}};
  }
  return {{"node", name},
          {"service", node.service},
          {"verdict", to_string(node.verdict)},
          {"reason", node.reason},
          {"admin", to_string(node.admin)},
          {"owner", to_string(node.owner)},
          {"pending_hosts", node.pending_hosts},
          {"incident", node.incident ? ordered_json(node.incident->value) : ordered_json(nullptr)},
          {"would", std::move(would)},
          {"blocked_by", std::move(blocks)},
          {"others", weighing.others},
          {"runs", std::move(open)}};
}

ordered_json nodes_view(const core::State& state) {
  ordered_json list = ordered_json::array();
  for (const auto& [name, node] : state.nodes) list.push_back(node_view(state, name));
  return list;
}

ordered_json incident_view(const core::Incident& incident) {
  ordered_json votes = ordered_json::array();
  for (const core::Vote& vote : incident.votes) {
    votes.push_back({{"observer", vote.observer},
                     {"opinion", to_string(vote.opinion)},
                     {"outcome", to_string(vote.outcome)},
                     {"age_ms", vote.age_ms}});
  }
  ordered_json timeline = ordered_json::array();
  for (const core::TimelineEntry& entry : incident.timeline) {
    timeline.push_back({{"at", to_string(entry.at)},
                        {"index", entry.index.value},
                        {"what", entry.what},
                        {"reason", entry.reason}});
  }
  return {{"id", incident.id.value},
          {"service", incident.service},
          {"node", incident.node},
          {"class", to_string(incident.fault_class)},
          {"verdict", to_string(incident.verdict)},
          {"reason", incident.reason},
          {"blocked_by", incident.blocked_by},
          {"votes", std::move(votes)},
          {"fault_at", to_string(incident.fault_at)},
          {"detected_at", to_string(incident.detected_at)},
          {"isolated_at", time_or_null(incident.isolated_at)},
          {"resolved_at", time_or_null(incident.resolved_at)},
          {"mttd_ms", incident.mttd_ms},
          {"mttr_ms", number_or_null(incident.mttr_ms)},
          {"runs", ids(incident.runs)},
          {"timeline", std::move(timeline)}};
}

ordered_json incidents_view(const core::State& state) {
  ordered_json list = ordered_json::array();
  for (auto at = state.incidents.rbegin(); at != state.incidents.rend(); ++at) {
    list.push_back(incident_view(at->second));
  }
  return list;
}

namespace {

/// A run whose step waits, for health, a limit or its next attempt, is shown as waiting.
core::RunState shown_state(const core::Run& run) {
  const bool waits = !core::is_over(run.state) && run.step < run.steps.size() &&
                     run.steps[run.step].state == core::StepState::Waiting;
  return waits ? core::RunState::Waiting : run.state;
}

}  // namespace

ordered_json run_view(const core::Run& run) {
  ordered_json steps = ordered_json::array();
  for (const core::StepProgress& step : run.steps) {
    ordered_json tasks = ordered_json::array();
    for (const core::TaskProgress& task : step.tasks) {
      tasks.push_back(
          {{"host", task.host}, {"state", to_string(task.state)}, {"result", task.result}});
    }
    steps.push_back({{"id", step.id},
                     {"action", step.action},
                     {"state", to_string(step.state)},
                     {"attempt", step.attempt},
                     {"tasks", std::move(tasks)},
                     {"started_at", time_or_null(step.started_at)},
                     {"finished_at", time_or_null(step.finished_at)},
                     {"reason", step.reason}});
  }
  const bool at_step = run.step < run.steps.size();
  return {{"id", run.id.value},
          {"playbook", run.playbook.name},
          {"incident", run.incident ? ordered_json(run.incident->value) : ordered_json(nullptr)},
          {"mode", to_string(run.mode)},
          {"state", to_string(shown_state(run))},
          {"step", at_step ? ordered_json(run.steps[run.step].id) : ordered_json(nullptr)},
          {"fence",
           {{"generation", run.fence.generation},
            {"term", run.fence.term.value},
            {"index", run.fence.index.value}}},
          {"steps", std::move(steps)},
          {"service", run.service},
          {"node", run.node},
          {"reason", run.reason},
          {"started_at", to_string(run.started_at)},
          {"finished_at", time_or_null(run.finished_at)}};
}

ordered_json runs_view(const core::State& state) {
  ordered_json list = ordered_json::array();
  for (auto at = state.runs.rbegin(); at != state.runs.rend(); ++at) {
    list.push_back(run_view(at->second));
  }
  return list;
}

ordered_json leases_view(const core::State& state) {
  ordered_json list = ordered_json::array();
  for (const auto& [name, lease] : state.leases) {
    if (core::lease_free_at(lease) <= state.now) continue;
    const auto duration = std::chrono::duration_cast<std::chrono::milliseconds>(lease.duration);
    list.push_back({{"name", name},
                    {"holder", lease.holder},
                    {"token", lease.token},
                    {"duration_ms", duration.count()}});
  }
  return list;
}

ordered_json spec_view(const core::State& state) {
  ordered_json files = ordered_json::array();
  for (const core::SourceFile& file : state.spec.sources) {
    files.push_back({{"name", file.name}, {"text", file.text}});
  }
  return {{"revision", state.revision}, {"files", std::move(files)}};
}

ordered_json event_view(const core::Event& event) {
  ordered_json view = {{"id", std::to_string(event.index.value) + "." + std::to_string(event.n)},
                       {"at", to_string(event.at)},
                       {"kind", event.kind}};
  const auto add = [&view](const char* key, const std::string& value) {
    if (!value.empty()) view[key] = value;
  };
  add("service", event.service);
  add("node", event.node);
  if (event.incident) view["incident"] = event.incident->value;
  if (event.run) view["run"] = event.run->value;
  add("step", event.step);
  add("value", event.value);
  add("reason", event.reason);
  return view;
}

ordered_json error_view(std::string_view code, const std::string& message,
                        const std::string& path) {
  return {{"error", {{"code", code}, {"message", message}, {"path", path}}}};
}

std::string webhook_body(const core::State& state, const core::Alert& alert, core::WallTime sent_at,
                         const std::function<Term(Index)>& term_at) {
  ordered_json incidents = ordered_json::array();
  const auto incident = state.incidents.find(alert.incident);
  if (incident != state.incidents.end()) incidents.push_back(incident_view(incident->second));
  ordered_json runs = ordered_json::array();
  for (const RunId id : alert.runs) {
    const auto run = state.runs.find(id);
    if (run == state.runs.end()) continue;
    core::Run told = run->second;
    if (term_at) told.fence.term = term_at(told.fence.index);
    runs.push_back(run_view(told));
  }
  return dump({{"version", 1},
               {"key", alert.key},
               {"status", to_string(alert.status)},
               {"severity", to_string(alert.severity)},
               {"cluster", state.cluster},
               {"incidents", std::move(incidents)},
               {"runs", std::move(runs)},
               {"text", alert.text},
               {"sent_at", to_string(sent_at)}});
}

std::string dump(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace fettle::api
