// The group loop's numbers. What a member applies again after its start, it counted before: only
// entries beyond those are counted, so that a restart looks like one to a Prometheus server.
#include "daemon/group.h"

namespace fettle::daemon {

void Group::count(Index index, const core::LogEntry& entry, const core::Applied& applied) {
  if (index <= told_before_) return;
  if (const auto* finished = std::get_if<core::command::TaskFinished>(&entry.command)) {
    counts_.count(finished->result);
  }
  for (const core::Effect& effect : applied.effects) {
    const auto* happened = std::get_if<core::effect::Happened>(&effect);
    if (happened != nullptr) counts_.count(happened->event, engine_.state());
  }
}

void Group::metrics(std::function<void(Result<api::GroupMetrics>)> done) {
  ask<api::GroupMetrics>([this, done] { to_work([done, numbers = gather()] { done(numbers); }); },
                         done);
}

api::GroupMetrics Group::gather() const {
  const raft::Raft& raft = driver_->raft();
  api::GroupMetrics metrics;
  metrics.cluster = config_.cluster;
  metrics.self = self();
  metrics.state = api::state_metrics(engine_.state());
  metrics.events = counts_;
  const bool leader = raft.role() == raft::Role::Leader;
  metrics.raft = {.term = raft.term().value,
                  .is_leader = leader,
                  .has_leader = !raft.leader().empty(),
                  .leader_silence = leader ? core::Duration{0} : io::Loop::now() - leader_heard_,
                  .leader_changes = leader_changes_,
                  .commit_index = raft.commit_index().value,
                  .applied_index = driver_->applied().value,
                  .log_entries = raft.log().last_index().value - raft.log().base().value,
                  .pending_writes = proposing_.size() + writes_.size() + forwards_.size(),
                  .pending_reads = reads_.size(),
                  .persist = driver_->persist_times()};
  for (const Peer& member : config_.members) {
    if (member.name == self()) continue;
    metrics.peers.push_back({member.name, links_->up(member.name), rtt_ms(member.name)});
  }
  metrics.agent_links = agents_.size();
  metrics.handshakes = links_ == nullptr ? 0 : links_->agent_handshakes();
  metrics.relays_dropped = dropped_relays_;
  metrics.loop = api::loop_metrics(loop_);
  return metrics;
}

}  // namespace fettle::daemon
