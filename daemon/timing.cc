// Round trips to the other voters, and what follows from them: this member's timeouts, and what a
// commit waits for at least.
#include <algorithm>

#include "daemon/group.h"
#include "daemon/log.h"

namespace fettle::daemon {
namespace {

double in_ms(raft::Instant time) { return std::chrono::duration<double, std::milli>(time).count(); }

}  // namespace

/// Its file sets the timeouts, or the way to the farthest voter does.
void Group::tend_timing() {
  if (links_ == nullptr) return;
  std::optional<raft::Instant> farthest;
  std::string who;
  for (const raft::ServerId& voter : raft::voters_of(driver_->raft().configuration())) {
    const auto round = voter == self() ? std::nullopt : links_->round_trip(voter);
    if (!round || (farthest && *round <= *farthest)) continue;
    farthest = round;
    who = voter;
  }
  const raft::Timing before = timing_.timing();
  const raft::Timing now = timing_.look(raft::Instant{io::Loop::now().ns}, farthest);
  if (now == before) return;
  log::info("timing.changed election_timeout=" + core::to_string(now.election_timeout) +
            " heartbeat=" + core::to_string(now.heartbeat) +
            " evidence_stagger=" + core::to_string(now.evidence_stagger) + ": the round trip to " +
            who + " takes " + core::to_string(*farthest));
  driver_->step(raft::Retime{now});
}

std::optional<double> Group::rtt_ms(const std::string& peer) const {
  const auto round = links_->up(peer) ? links_->round_trip(peer) : std::nullopt;
  return round ? std::optional(in_ms(*round)) : std::nullopt;
}

/// As this member measures it.
std::optional<raft::Instant> Group::quorum_round_trip() const {
  const raft::Raft& raft = driver_->raft();
  std::vector<std::optional<raft::Instant>> others;
  for (const raft::ServerId& voter : raft::voters_of(raft.configuration())) {
    if (voter == self()) continue;
    const bool up = links_ != nullptr && links_->up(voter);
    others.push_back(up ? links_->round_trip(voter) : std::nullopt);
  }
  return raft::quorum_round_trip(raft.is_self_voter(), others);
}

void Group::tell_timing(api::GroupStatus& status) const {
  const auto quorum = leads() ? quorum_round_trip() : leader_quorum_;
  if (quorum) status.quorum_rtt_ms = in_ms(*quorum);
  status.election_timeout = timing_.timing().election_timeout;
  status.heartbeat = timing_.timing().heartbeat;
  status.timing_set = config_.timing.has_value();
}

}  // namespace fettle::daemon
