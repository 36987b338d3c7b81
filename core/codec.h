// The bytes of commands and of the whole engine state: one fields() per struct (base/bytes.h).
// Changing one is a change of the engine's level.
#pragma once

#include "base/bytes.h"
#include "core/command.h"
#include "core/state.h"

namespace fettle::core {

/// What a voter says that meets an entry of a level it lacks.
std::string beyond_level(std::uint32_t level, std::uint32_t supported);

template <typename Archive>
void fields(Archive& ar, MemberFacts& v) {
  ar(v.name, v.zone, v.incarnation, v.version, v.level, v.role, v.allow);
}
template <typename Archive>
void fields(Archive& ar, HeldOpinion& v) {
  ar(v.incarnation, v.sequence, v.classes, v.at, v.wall_at);
}
template <typename Archive>
void fields(Archive& ar, Vote& v) {
  ar(v.observer, v.opinion, v.outcome, v.age_ms);
}
template <typename Archive>
void fields(Archive& ar, ServerHold& v) {
  ar(v.process, v.found, v.set);
}
template <typename Archive>
void fields(Archive& ar, DirectorView& v) {
  ar(v.process, v.servers, v.problem, v.seen);
}
template <typename Archive>
void fields(Archive& ar, NodeState& v) {
  ar(v.service, v.watch_revision, v.observers, v.opinions, v.classes, v.verdict, v.cause,
     v.cause_class, v.reason, v.since, v.verdict_at, v.verdict_index, v.start_until, v.admin,
     v.owner, v.admin_since, v.holds, v.pending_hosts, v.traffic_index, v.incident,
     v.isolation_in_doubt, v.restoration_in_doubt, v.relapses, v.isolated_time, v.blind_since);
}
template <typename Archive>
void fields(Archive& ar, TimelineEntry& v) {
  ar(v.at, v.index, v.what, v.reason);
}
template <typename Archive>
void fields(Archive& ar, Incident& v) {
  ar(v.id, v.service, v.node, v.fault_class, v.verdict, v.reason, v.blocked_by, v.votes, v.fault_at,
     v.detected_at, v.isolated_at, v.resolved_at, v.mttd_ms, v.mttr_ms, v.runs, v.timeline,
     v.opened, v.alerted);
}
template <typename Archive>
void fields(Archive& ar, TaskProgress& v) {
  ar(v.host, v.state, v.result, v.task);
}
template <typename Archive>
void fields(Archive& ar, StepProgress& v) {
  ar(v.id, v.action, v.state, v.attempt, v.tasks, v.index, v.began, v.deadline, v.next_attempt,
     v.started_at, v.finished_at, v.reason);
}
template <typename Archive>
void fields(Archive& ar, Run& v) {
  ar(v.id, v.playbook, v.revision, v.incident, v.service, v.node, v.mode, v.by_person, v.force,
     v.hosts, v.cancelled_by_person, v.state, v.step, v.cancelling, v.cancel_reason, v.reason,
     v.steps, v.fence, v.started_at, v.finished_at, v.finished, v.bound);
}
template <typename Archive>
void fields(Archive& ar, Alert& v) {
  ar(v.key, v.receiver, v.status, v.severity, v.incident, v.text, v.runs, v.at, v.index);
}
template <typename Archive>
void fields(Archive& ar, FreezeState& v) {
  ar(v.service, v.until, v.wall_until, v.by, v.reason);
}
template <typename Archive>
void fields(Archive& ar, ClientAnswer& v) {
  ar(v.ok, v.code, v.text, v.number, v.at);
}
template <typename Archive>
void fields(Archive& ar, RunFailure& v) {
  ar(v.at, v.node);
}
template <typename Archive>
void fields(Archive& ar, PanicWatch& v) {
  ar(v.downs, v.incident);
}
template <typename Archive>
void fields(Archive& ar, KvValue& v) {
  ar(v.value, v.revision);
}
template <typename Archive>
void fields(Archive& ar, KvStore& v) {
  ar(v.revision, v.bytes, v.values);
}
template <typename Archive>
void fields(Archive& ar, Lease& v) {
  ar(v.holder, v.duration, v.renewed, v.token);
}
template <typename Archive>
void fields(Archive& ar, LostMember& v) {
  ar(v.since, v.at, v.reason);
}
/// What a level brought stands at the end and only from that level on: a voter that lacks the
/// level reads, and hashes, what it always did.
template <typename Archive>
void fields(Archive& ar, State& v) {
  ar(v.now, v.wall, v.applied, v.level, v.generation, v.cluster, v.next_run, v.next_incident,
     v.revision, v.spec, v.members, v.nodes, v.incidents, v.runs, v.outbox, v.freezes, v.clients,
     v.failures, v.panics, v.directors, v.troubles);
  constexpr std::uint32_t kSecond = 2;
  if (v.level >= kSecond) ar(v.kv, v.leases, v.lost, v.joined);
}
template <typename Archive>
void fields(Archive& ar, Event& v) {
  ar(v.index, v.n, v.at, v.kind, v.service, v.node, v.incident, v.run, v.step, v.value, v.reason);
}

template <typename Archive>
void fields(Archive& ar, Watch& v) {
  ar(v.service, v.node, v.address, v.revision, v.confirm_gap, v.probes);
}
template <typename Archive>
void fields(Archive& ar, DirectorWatch& v) {
  ar(v.service, v.kind, v.options, v.servers);
}

namespace command {
template <typename Archive>
void fields(Archive& ar, Found& v) {
  ar(v.cluster, v.voters);
}
template <typename Archive>
void fields(Archive& ar, SetFacts& v) {
  ar(v.facts);
}
template <typename Archive>
void fields(Archive& ar, ApplySpec& v) {
  ar(v.spec, v.base, v.any_base, v.removal, v.by);
}
template <typename Archive>
void fields(Archive& ar, ReportOpinions& v) {
  ar(v.observer, v.incarnation, v.opinions);
}
template <typename Archive>
void fields(Archive& ar, TaskFinished& v) {
  ar(v.key, v.result);
}
template <typename Archive>
void fields(Archive&, Wake&) {}
template <typename Archive>
void fields(Archive& ar, Isolate& v) {
  ar(v.node, v.by, v.reason, v.force);
}
template <typename Archive>
void fields(Archive& ar, Restore& v) {
  ar(v.node, v.by, v.reason);
}
template <typename Archive>
void fields(Archive& ar, Freeze& v) {
  ar(v.service, v.length, v.by, v.reason);
}
template <typename Archive>
void fields(Archive& ar, Unfreeze& v) {
  ar(v.service, v.by);
}
template <typename Archive>
void fields(Archive& ar, AlertFinished& v) {
  ar(v.key, v.delivered, v.reason);
}
template <typename Archive>
void fields(Archive& ar, ReportDirectors& v) {
  ar(v.host, v.views);
}
template <typename Archive>
void fields(Archive& ar, Cancel& v) {
  ar(v.run, v.by, v.reason);
}
template <typename Archive>
void fields(Archive& ar, Retry& v) {
  ar(v.run, v.by, v.reason);
}
template <typename Archive>
void fields(Archive& ar, RaiseLevel& v) {
  ar(v.level);
}
template <typename Archive>
void fields(Archive& ar, KvPut& v) {
  ar(v.key, v.value, v.expect);
}
template <typename Archive>
void fields(Archive& ar, KvDelete& v) {
  ar(v.key, v.expect);
}
template <typename Archive>
void fields(Archive& ar, LeaseGrant& v) {
  ar(v.name, v.holder, v.duration);
}
template <typename Archive>
void fields(Archive& ar, LeaseRenew& v) {
  ar(v.name, v.holder, v.token);
}
template <typename Archive>
void fields(Archive& ar, LeaseRelease& v) {
  ar(v.name, v.holder, v.token);
}
template <typename Archive>
void fields(Archive& ar, MemberLost& v) {
  ar(v.name, v.reason);
}
template <typename Archive>
void fields(Archive& ar, MemberBack& v) {
  ar(v.name);
}
template <typename Archive>
void fields(Archive& ar, StateHash& v) {
  ar(v.index, v.hash);
}
template <typename Archive>
void fields(Archive& ar, UpdateMembers& v) {
  ar(v.facts, v.lost, v.back);
}
template <typename Archive>
void fields(Archive& ar, RemoveAgent& v) {
  ar(v.name);
}
}  // namespace command

template <typename Archive>
void fields(Archive& ar, LogEntry& v) {
  ar(v.level, v.stamp, v.wall, v.client, v.command);
}

}  // namespace fettle::core
