// A set of states is told as one series a state, 0 or 1, so that a graph can sum and count. Labels
// are bounded: by the spec (service, node), by the group's members (peer), or by words of ours.
#include "api/metrics.h"

#include <algorithm>
#include <string_view>

#include "api/exposition.h"

namespace fettle::api {
namespace {

using Type = Exposition::Type;

std::uint64_t flag(bool set) { return set ? 1U : 0U; }

/// Every value of the enum with its word.
template <typename Enum, typename Fn>
void each(Fn fn) {
  for (std::size_t i = 0; i < core::enum_size<Enum>(); ++i) {
    fn(static_cast<Enum>(i), to_string(static_cast<Enum>(i)));
  }
}

template <typename Enum, std::size_t N>
std::uint64_t of(const std::array<std::uint64_t, N>& counts, Enum value) {
  return counts[static_cast<std::size_t>(value)];
}

void tell_member(Exposition& out, const Metrics& metrics) {
  out.family("fettle_build_info", Type::Gauge, "The version that runs, as a label; always 1.");
  out.add({{"version", metrics.version}}, 1U);
  out.family("fettle_member_info", Type::Gauge, "Who this member is, as labels; always 1.");
  out.add({{"cluster", metrics.group.cluster}, {"member", metrics.group.self}}, 1U);
  out.one("fettle_ready", Type::Gauge,
          "1 once a leader is known and this member has caught up with it.",
          flag(metrics.work.ready));
}

void tell_looks(Exposition& out, const core::LookCounts& looks) {
  out.family("fettle_probe_looks_total", Type::Counter, "Looks at nodes, by what they saw.");
  for (const auto& [kind, one] : looks.kinds) {
    each<core::Outcome>([&](core::Outcome outcome, std::string_view word) {
      out.add({{"kind", kind}, {"outcome", word}}, of(one.outcomes, outcome));
    });
  }
  out.family("fettle_probe_latency_seconds", Type::Histogram,
             "How long a look took, whatever it saw.");
  for (const auto& [kind, one] : looks.kinds) out.add({{"kind", kind}}, one.latency);
  out.one("fettle_probe_late_seconds", Type::Histogram, "How long after its due time a look began.",
          looks.late);
  out.one("fettle_probe_slots_missed_total", Type::Counter,
          "Slots without a look because the look before was still out.", looks.missed);
}

void tell_services(Exposition& out, const StateMetrics& state) {
  out.family("fettle_service_nodes", Type::Gauge, "Nodes of the service.");
  for (const auto& service : state.services) {
    out.add({{"service", service.name}}, service.nodes.size());
  }
  out.family("fettle_service_nodes_healthy", Type::Gauge, "Nodes whose verdict is healthy.");
  for (const auto& service : state.services) {
    const auto healthy =
        std::ranges::count(service.nodes, core::Verdict::Healthy, &StateMetrics::Node::verdict);
    out.add({{"service", service.name}}, static_cast<std::uint64_t>(healthy));
  }
  out.family("fettle_service_verdict", Type::Gauge, "1 for the verdict on the service, else 0.");
  for (const auto& service : state.services) {
    each<core::Verdict>([&](core::Verdict verdict, std::string_view word) {
      out.add({{"service", service.name}, {"verdict", word}}, flag(service.verdict == verdict));
    });
  }
  out.family("fettle_service_frozen", Type::Gauge,
             "1 while a freeze of the service, or of everything, holds.");
  for (const auto& service : state.services) {
    out.add({{"service", service.name}}, flag(service.frozen));
  }
}

void tell_nodes(Exposition& out, const StateMetrics& state) {
  out.family("fettle_node_verdict", Type::Gauge, "1 for the quorum's verdict on the node, else 0.");
  for (const auto& service : state.services) {
    for (const auto& node : service.nodes) {
      each<core::Verdict>([&](core::Verdict verdict, std::string_view word) {
        out.add({{"service", service.name}, {"node", node.name}, {"verdict", word}},
                flag(node.verdict == verdict));
      });
    }
  }
  out.family("fettle_node_admin", Type::Gauge, "1 for the node's admin state, else 0.");
  for (const auto& service : state.services) {
    for (const auto& node : service.nodes) {
      each<core::Admin>([&](core::Admin admin, std::string_view word) {
        out.add({{"service", service.name}, {"node", node.name}, {"admin", word}},
                flag(node.admin == admin));
      });
    }
  }
}

void tell_incidents(Exposition& out, const GroupMetrics& group) {
  const core::EventCounts& events = group.events;
  out.family("fettle_verdict_changes_total", Type::Counter, "Turns of nodes to a verdict.");
  each<core::Verdict>([&](core::Verdict verdict, std::string_view word) {
    out.add({{"verdict", word}}, of(events.verdicts, verdict));
  });
  out.one("fettle_incidents_opened_total", Type::Counter, "Incidents opened.",
          events.incidents_opened);
  out.one("fettle_incidents_resolved_total", Type::Counter, "Incidents resolved.",
          events.incidents_resolved);
  out.one("fettle_incidents_open", Type::Gauge, "Incidents that are open now.",
          group.state.open_incidents);
  out.one("fettle_incident_detection_seconds", Type::Histogram,
          "From the first failed look until the incident opened (MTTD).", events.detection);
  out.one("fettle_incident_recovery_seconds", Type::Histogram,
          "From the first failed look until the incident was resolved (MTTR).", events.recovery);
}

void tell_runs(Exposition& out, const GroupMetrics& group) {
  const core::EventCounts& events = group.events;
  out.family("fettle_runs_started_total", Type::Counter, "Runs of playbooks started, by mode.");
  each<core::Mode>([&](core::Mode mode, std::string_view word) {
    out.add({{"mode", word}}, of(events.runs_started, mode));
  });
  out.family("fettle_runs_finished_total", Type::Counter, "Runs over, by mode and final state.");
  each<core::Mode>([&](core::Mode mode, std::string_view mode_word) {
    each<core::RunState>([&](core::RunState state, std::string_view word) {
      if (!core::is_over(state)) return;
      const auto& counts = events.runs_finished[static_cast<std::size_t>(mode)];
      out.add({{"mode", mode_word}, {"state", word}}, of(counts, state));
    });
  });
  out.family("fettle_runs_open", Type::Gauge, "Runs that are not over, by mode.");
  each<core::Mode>([&](core::Mode mode, std::string_view word) {
    out.add({{"mode", word}}, of(group.state.open_runs, mode));
  });
  out.family("fettle_steps_finished_total", Type::Counter, "Steps of runs over, by result.");
  for (const auto state :
       {core::StepState::Succeeded, core::StepState::Failed, core::StepState::Skipped,
        core::StepState::Would, core::StepState::Cancelled}) {
    out.add({{"result", to_string(state)}}, of(events.steps_finished, state));
  }
  out.one("fettle_attempts_failed_total", Type::Counter,
          "Attempts at a step that failed and were followed by another.", events.attempts_failed);
  out.family("fettle_tasks_finished_total", Type::Counter, "Answers of hosts to tasks, by result.");
  each<core::TaskState>([&](core::TaskState state, std::string_view word) {
    if (state == core::TaskState::Open || state == core::TaskState::Expired) return;  // no answers
    out.add({{"result", word}}, of(events.tasks, state));
  });
  out.one("fettle_task_late_answers_total", Type::Counter,
          "Answers of hosts to attempts that were closed already; not applied.",
          events.late_answers);
}

void tell_alerts(Exposition& out, const GroupMetrics& group) {
  const auto waiting = group.state.entries.find("outbox");
  out.one("fettle_alerts_outbox", Type::Gauge, "Alerts not yet known to be delivered.",
          waiting == group.state.entries.end() ? std::uint64_t{0} : waiting->second);
  out.one("fettle_alerts_delivered_total", Type::Counter, "Alerts that a receiver took.",
          group.events.alerts_sent);
  out.one("fettle_alerts_failed_total", Type::Counter, "Alerts that were given up.",
          group.events.alerts_failed);
}

void tell_raft(Exposition& out, const RaftMetrics& raft) {
  out.one("fettle_raft_term", Type::Gauge, "The newest term that this member knows.", raft.term);
  out.one("fettle_raft_is_leader", Type::Gauge, "1 while this member leads.", flag(raft.is_leader));
  out.one("fettle_raft_has_leader", Type::Gauge, "1 while this member knows a leader.",
          flag(raft.has_leader));
  out.one("fettle_raft_leader_silence_seconds", Type::Gauge,
          "Since this member heard its leader; 0 while it leads. The age of a stale read.",
          in_seconds(raft.leader_silence));
  out.one("fettle_raft_leader_changes_total", Type::Counter,
          "Times that this member learnt of a new leader or a leader's new term.",
          raft.leader_changes);
  out.one("fettle_raft_commit_index", Type::Gauge, "The last entry known to be committed.",
          raft.commit_index);
  out.one("fettle_raft_applied_index", Type::Gauge, "The last entry applied here.",
          raft.applied_index);
  out.one("fettle_raft_log_entries", Type::Gauge, "Entries in the log of this member.",
          raft.log_entries);
  out.one("fettle_raft_persist_seconds", Type::Histogram,
          "From the order to write a batch until it was durable (fsync included).", raft.persist);
  out.one("fettle_raft_pending_writes", Type::Gauge,
          "Commands proposed or forwarded here whose callers wait for the answer.",
          raft.pending_writes);
  out.one("fettle_raft_pending_reads", Type::Gauge, "Linearizable reads that wait.",
          raft.pending_reads);
}

void tell_agents(Exposition& out, const GroupMetrics& group) {
  out.one("fettle_agent_links", Type::Gauge, "Agents that have a link to this voter.",
          group.agent_links);
  out.one("fettle_agent_handshakes_total", Type::Counter,
          "TLS handshakes that ended well, of a voter with agents or of an agent with voters.",
          group.handshakes);
  out.one("fettle_agent_frames_dropped_total", Type::Counter,
          "Frames of agents not passed on because too much waits on the way to the leader.",
          group.relays_dropped);
}

void tell_peers(Exposition& out, const std::vector<PeerMetrics>& peers) {
  out.family("fettle_peer_up", Type::Gauge, "1 while the link to the peer is up.");
  for (const PeerMetrics& peer : peers) out.add({{"peer", peer.name}}, flag(peer.up));
  constexpr double kMs = 1e3;
  out.family("fettle_peer_rtt_seconds", Type::Gauge,
             "The typical round trip to a peer that is up.");
  for (const PeerMetrics& peer : peers) {
    if (peer.rtt_ms) out.add({{"peer", peer.name}}, *peer.rtt_ms / kMs);
  }
}

void tell_loops(Exposition& out, const Metrics& metrics) {
  const std::array<std::pair<std::string_view, const LoopMetrics*>, 2> loops{
      {{"group", &metrics.group.loop}, {"work", &metrics.work.loop}}};
  out.family("fettle_loop_lag_seconds", Type::Gauge, "How late the loop's last check came.");
  for (const auto& [name, loop] : loops) out.add({{"loop", name}}, in_seconds(loop->lag));
  out.family("fettle_loop_lag_max_seconds", Type::Gauge, "The largest lag since the start.");
  for (const auto& [name, loop] : loops) out.add({{"loop", name}}, in_seconds(loop->lag_max));
  out.family("fettle_loop_mailbox_messages", Type::Gauge, "Messages that wait for the loop.");
  for (const auto& [name, loop] : loops) out.add({{"loop", name}}, loop->mailbox.waiting);
  out.family("fettle_loop_mailbox_messages_max", Type::Gauge,
             "The most messages that waited at once since the start.");
  for (const auto& [name, loop] : loops) out.add({{"loop", name}}, loop->mailbox.most);
}

void tell_state(Exposition& out, const StateMetrics& state) {
  out.one("fettle_spec_revision", Type::Gauge, "The revision of the applied spec; 0: none.",
          state.revision);
  out.one("fettle_frozen", Type::Gauge, "1 while a freeze of everything holds.",
          flag(state.frozen));
  out.family("fettle_state_entries", Type::Gauge, "Entries in a table of the replicated state.");
  for (const auto& [table, count] : state.entries) out.add({{"table", table}}, count);
}

void tell_process(Exposition& out, const io::ProcessUsage& process) {
  out.one("process_cpu_seconds_total", Type::Counter, "User and system time spent.",
          process.cpu_seconds);
  out.one("process_resident_memory_bytes", Type::Gauge, "Resident memory.", process.resident_bytes);
  out.one("process_virtual_memory_bytes", Type::Gauge, "Virtual memory.", process.virtual_bytes);
  out.one("process_open_fds", Type::Gauge, "Open file descriptors.", process.open_fds);
  out.one("process_max_fds", Type::Gauge, "The limit of open file descriptors.", process.max_fds);
  out.one("process_start_time_seconds", Type::Gauge, "The start, since the Unix epoch.",
          process.start_time);
}

}  // namespace

LoopMetrics loop_metrics(io::Loop& loop) { return {loop.lag(), loop.lag_max(), loop.mailbox()}; }

StateMetrics state_metrics(const core::State& state) {
  StateMetrics metrics;
  metrics.revision = state.revision;
  const auto frozen = [&](const std::string& service) {
    return std::ranges::any_of(state.freezes, [&](const core::FreezeState& freeze) {
      return freeze.service.empty() || freeze.service == service;
    });
  };
  metrics.frozen = frozen("");
  for (const core::ServiceSpec& spec : state.spec.services) {
    StateMetrics::Service service{
        spec.name, core::service_verdict(state, spec.name), frozen(spec.name), {}};
    for (const core::NodeSpec& node : spec.nodes) {
      const core::NodeState& now = state.nodes.at(node.name);
      service.nodes.push_back({node.name, now.verdict, now.admin});
    }
    metrics.services.push_back(std::move(service));
  }
  for (const auto& [id, incident] : state.incidents) {
    if (!incident.resolved_at) ++metrics.open_incidents;
  }
  for (const auto& [id, run] : state.runs) {
    if (!core::is_over(run.state)) ++metrics.open_runs[static_cast<std::size_t>(run.mode)];
  }
  metrics.entries = {{"clients", state.clients.size()},     {"freezes", state.freezes.size()},
                     {"incidents", state.incidents.size()}, {"kv", state.kv.values.size()},
                     {"leases", state.leases.size()},       {"lost_members", state.lost.size()},
                     {"members", state.members.size()},     {"nodes", state.nodes.size()},
                     {"outbox", state.outbox.size()},       {"runs", state.runs.size()}};
  return metrics;
}

std::string metrics_text(const Metrics& metrics) {
  Exposition out;
  tell_member(out, metrics);
  tell_looks(out, metrics.work.looks);
  tell_services(out, metrics.group.state);
  tell_nodes(out, metrics.group.state);
  tell_incidents(out, metrics.group);
  tell_runs(out, metrics.group);
  tell_alerts(out, metrics.group);
  tell_raft(out, metrics.group.raft);
  tell_peers(out, metrics.group.peers);
  tell_agents(out, metrics.group);
  tell_loops(out, metrics);
  tell_state(out, metrics.group.state);
  if (metrics.process) tell_process(out, *metrics.process);
  return out.text();
}

}  // namespace fettle::api
