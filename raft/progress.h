// Progress: what a leader knows of one peer, and how it sends to it. Three states, as in etcd's
// tracker: a probing peer gets one Append at a time until one is accepted; a replicating one gets
// many, within a window of count and bytes; one that lacks what is compacted gets a snapshot, in
// chunks within a window of their own, and no entries meanwhile. Changed by Raft alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "raft/messages.h"

namespace fettle::raft {

enum class ProgressState : std::uint8_t { Probe, Replicate, Snapshot };

constexpr std::string_view to_string(ProgressState state) {
  switch (state) {
    case ProgressState::Probe:
      return "probe";
    case ProgressState::Replicate:
      return "replicate";
    case ProgressState::Snapshot:
      return "snapshot";
  }
  return "unknown";
}

struct Progress {
  /// An Append that is not answered yet.
  struct Sent {
    Index last;
    std::size_t bytes = 0;
  };

  ProgressState state = ProgressState::Probe;
  Index match;        // agrees with the leader up to here, durably
  Index next{1};      // the next entry to send
  Index commit_sent;  // the newest commit index sent that it can take, lost ones included
  Instant last_contact{0};
  bool answered = false;    // under this leadership; before, last_contact is when that began
  std::uint64_t round = 0;  // newest heartbeat round it answered

  bool paused = false;  // Probe: one is out

  std::deque<Sent> inflight;  // Replicate
  std::size_t inflight_bytes = 0;

  std::shared_ptr<const Snapshot> snapshot;  // Snapshot: the one being sent, kept until it is there
  std::uint64_t checksum = 0;
  std::size_t held = 0;                   // bytes that the peer says it has
  std::size_t sent = 0;                   // bytes sent, the peer's own included
  bool held_known = false;                // it has answered about what was sent last
  Instant chunk_moved{0};                 // when `held` last grew
  std::optional<std::size_t> rewound_to;  // all from there on was sent again, once

  // A learner that is to be promoted: rounds of catching up (thesis 4.2.1).
  Index round_target;
  Instant round_began{0};
  bool caught_up = false;  // its last round took less than an election timeout

  void hear(Instant now) {
    last_contact = now;
    answered = true;
  }
  bool answered_within(Instant span, Instant now) const {
    return answered && now - last_contact < span;
  }
  void probe(Index from) {
    state = ProgressState::Probe;
    next = from;
    commit_sent = std::min(commit_sent, Index{from.value - 1});  // what was sent may be lost
    paused = false;
    forget_sent();
  }
  void replicate() {
    state = ProgressState::Replicate;
    next = fettle::next(match);
    forget_sent();
  }
  void send_snapshot(std::shared_ptr<const Snapshot> which, std::uint64_t sum) {
    state = ProgressState::Snapshot;
    forget_sent();
    snapshot = std::move(which);
    checksum = sum;
  }
  void forget_sent() {
    inflight.clear();
    inflight_bytes = 0;
    snapshot.reset();
    held = sent = 0;
    held_known = false;
    rewound_to.reset();
  }
  void sent_up_to(Index last, std::size_t bytes) {
    next = fettle::next(last);
    inflight.push_back({last, bytes});
    inflight_bytes += bytes;
  }
  void answered_up_to(Index index) {
    while (!inflight.empty() && inflight.front().last <= index) drop_oldest();
  }
  void drop_oldest() {
    inflight_bytes -= inflight.front().bytes;
    inflight.pop_front();
  }
};

}  // namespace fettle::raft
