// ReadIndex (thesis 6.4): a read point is good once a majority of the voters has answered a round
// of heartbeats that began after the read came.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "raft/raft.h"

namespace fettle::raft {

void Raft::on(const Read& input) {
  if (role_ != Role::Leader || early_reads_.size() + reads_.size() >= config_.reads_max) {
    out_.reads.push_back({input.token, false, Index{}});
    return;
  }
  if (!leads_surely()) {
    say("a read waits: no entry of this leader's own term is committed yet");
    early_reads_.push_back(input.token);
    return;
  }
  send_heartbeats();
  reads_.push_back({input.token, round_, commit_});
  confirm_reads();  // a lone voter is its own majority
}

void Raft::confirm_reads() {
  const std::uint64_t round = reached(round_, [](const Progress& peer) { return peer.round; });
  const std::uint64_t confirmed = FETTLE_MUTANT(raft_read_without_quorum) ? round_ : round;
  while (!reads_.empty() && reads_.front().round <= confirmed) {
    out_.reads.push_back({reads_.front().token, true, reads_.front().index});
    reads_.pop_front();
  }
}

void Raft::fail_reads() {
  for (const std::uint64_t token : std::exchange(early_reads_, {})) {
    out_.reads.push_back({token, false, Index{}});
  }
  for (const PendingRead& read : std::exchange(reads_, {})) {
    out_.reads.push_back({read.token, false, Index{}});
  }
}

}  // namespace fettle::raft
