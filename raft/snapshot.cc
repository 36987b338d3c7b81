// Snapshots (thesis 5). Taking one: the driver hands over the machine's bytes, the log keeps a tail
// for slow followers. Sending one: one chunk until the follower says what it holds, then a window
// of chunks; whatever is lost is sent again from what it holds. Receiving one: chunk by chunk in
// order, checked as a whole, then the log is replaced. A follower that agrees up to the snapshot
// already says so and needs nothing.
#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "raft/raft.h"

namespace fettle::raft {
namespace {

/// Without an answer for two heartbeats, nor for three of the ten round trips that an election
/// timeout is, what was sent may be lost.
Instant patience_of(const Timing& timing) {
  return std::max(timing.heartbeat * 2, timing.election_timeout * 3 / 10);
}

}  // namespace

void Raft::on(const Compact& input) {
  const bool old = snapshot_ == nullptr || input.index <= snapshot_->meta.index;
  if (old || input.index > applied_) return say("compacts nothing: not a newer applied index");
  if (input.data.size() > kSnapshotBytesMax) return say("compacts nothing: it is too large");
  const bool early = FETTLE_MUTANT(raft_snapshot_uncommitted_configuration);
  const auto& in_force = early ? history_.newest() : history_.as_of(input.index);
  auto taken = std::make_shared<Snapshot>();
  taken->meta = {input.index, log_.at(input.index).term, in_force.configuration, in_force.index};
  if (FETTLE_MUTANT(raft_snapshot_without_configuration)) taken->meta.configuration = {};
  taken->data = input.data;
  snapshot_ = std::move(taken);
  dirty().snapshot = snapshot_;
  history_.compact_to(input.index);
  say("compacts up to " + std::to_string(input.index.value));
  const Index to =
      log_.tail_begins_after(input.index, config_.trailing_entries, config_.trailing_bytes);
  if (to <= log_.base()) return;
  log_.compact_to(to);
  dirty().compact_to = to;
}

void Raft::receive(const Message& message, const SnapshotChunk& chunk) {
  const SnapshotMeta& meta = chunk.meta;
  SnapshotReply reply{.index = meta.index, .term = meta.term};
  if (message.term < hard_.term) {
    say_term_over("refuses a snapshot of " + message.from, message);
    return emit(message.from, hard_.term, reply, When::Now);
  }
  heard_leader(message);
  const bool below = meta.index <= commit_ || log_.matches(meta.index, meta.term);
  const bool known = !history_.empty() && below;
  if (known && FETTLE_MUTANT(raft_refuse_below_commit)) {
    return emit(message.from, hard_.term, reply, When::Now);
  }
  const bool again = known && FETTLE_MUTANT(raft_install_truncates_committed);
  if (!known || again) {
    const bool whole = assemble(message.term, chunk);
    if (!whole) {
      const bool of_this = incoming_ && incoming_->meta == meta;
      reply.held = of_this ? incoming_->data.size() : 0;
      return emit(message.from, hard_.term, reply, When::Now);
    }
    install();
  }
  advance_commit(meta.index);
  reply.done = true;
  reply.match = commit_;
  emit(message.from, hard_.term, reply, When::Durable);  // the snapshot of index 0 included
}

/// True once the snapshot is whole, and its bytes are those that were sent.
bool Raft::assemble(Term sent_in, const SnapshotChunk& chunk) {
  const bool same = incoming_ && incoming_->meta == chunk.meta && incoming_->total == chunk.total &&
                    incoming_->checksum == chunk.checksum;
  if (!same) {
    const bool late =
        incoming_ && incoming_->sent_in == sent_in && chunk.meta.index < incoming_->meta.index;
    const bool malformed = chunk.meta.configuration_index > chunk.meta.index;
    if (late || malformed || chunk.total > kSnapshotBytesMax) return false;
    incoming_ = Incoming{chunk.meta, chunk.total, chunk.checksum, sent_in, ""};
  }
  Incoming& incoming = *incoming_;
  incoming.sent_in = sent_in;
  const bool fits = chunk.data.size() <= incoming.total - incoming.data.size();
  if (chunk.offset != incoming.data.size() || !fits) return false;
  incoming.data += chunk.data;
  if (incoming.data.size() < incoming.total) return false;
  if (stable_hash(incoming.data) == incoming.checksum) return true;
  say("the snapshot's checksum is wrong: it is asked for again");
  incoming_.reset();
  return false;
}

/// The log has no entry of the snapshot's index and term, or the leader would not have sent it:
/// nothing of it is committed here beyond, all of it goes.
void Raft::install() {
  auto whole =
      std::make_shared<const Snapshot>(std::move(incoming_->meta), std::move(incoming_->data));
  incoming_.reset();
  const SnapshotMeta& meta = whole->meta;
  if (log_.last_index() > log_.base()) dirty().truncate_from = next(log_.base());
  dirty().snapshot = whole;
  dirty().compact_to = meta.index;
  log_.reset(meta.index, meta.term);
  history_.reset(meta.configuration_index, meta.configuration);
  commit_ = applied_ = meta.index;
  durable_ = Index{};
  snapshot_ = whole;
  if (meta.index.value > 0) out_.restore = whole;
  say("installs the snapshot of " + std::to_string(meta.index.value));
  configuration_moved();
}

void Raft::begin_snapshot(const ServerId& peer, Progress& progress) {
  if (checksum_of_ != snapshot_) {
    checksum_of_ = snapshot_;
    checksum_ = stable_hash(snapshot_->data);
  }
  progress.send_snapshot(snapshot_, checksum_);
  progress.chunk_moved = now_;
  say("sends " + peer + " the snapshot of " + std::to_string(snapshot_->meta.index.value));
  send_chunk(peer, progress);
}

void Raft::send_chunk(const ServerId& peer, Progress& progress) {
  const Snapshot& snapshot = *progress.snapshot;
  SnapshotChunk chunk{.meta = snapshot.meta,
                      .total = snapshot.data.size(),
                      .checksum = progress.checksum,
                      .offset = progress.sent,
                      .data = snapshot.data.substr(progress.sent, config_.chunk_bytes_max)};
  progress.sent += chunk.data.size();
  emit(peer, hard_.term, std::move(chunk), When::Now);
}

void Raft::resend_chunk(const ServerId& peer, Progress& progress) {
  if (now_ - progress.chunk_moved < patience_of(config_)) return;
  progress.chunk_moved = now_;
  progress.held_known = false;
  progress.sent = progress.held;
  send_chunk(peer, progress);
}

void Raft::receive(const Message& message, const SnapshotReply& reply) {
  Progress* known = answering_peer(message);
  if (known == nullptr) return;
  Progress& progress = *known;
  if (reply.done) return restored(message.from, progress, reply.match);
  if (progress.state != ProgressState::Snapshot) return;
  const SnapshotMeta& meta = progress.snapshot->meta;
  if (reply.index != meta.index || reply.term != meta.term) return;
  const std::size_t total = progress.snapshot->data.size();
  const auto held = static_cast<std::size_t>(std::min<std::uint64_t>(reply.held, total));
  if (!progress.held_known) {
    progress.held_known = true;  // it may be more than was sent now, or less than it had
    progress.held = progress.sent = held;
  } else if (held < progress.held || progress.rewound_to == held) {
    return;  // an older reply, or all from there on is sent again already
  } else if (held == progress.held) {
    progress.rewound_to = held;  // a chunk came before the one that is missing
    progress.sent = held;
  }
  progress.held = held;
  progress.sent = std::max(progress.sent, held);
  progress.chunk_moved = now_;
  const std::size_t window = config_.chunk_bytes_max * config_.chunks_inflight_max;
  while (progress.sent < total && progress.sent - held < window) send_chunk(message.from, progress);
}

/// The peer agrees up to `match`. If that is compacted here by now, a newer snapshot follows; each
/// is newer than what the peer had, so this ends.
void Raft::restored(const ServerId& peer, Progress& progress, Index match) {
  if (progress.state == ProgressState::Snapshot) {
    match = std::min(match, log_.last_index());
    if (!log_.term_at(match)) {
      progress.match = std::max(progress.match, match);
      return begin_snapshot(peer, progress);
    }
    progress.commit_sent = std::max(progress.commit_sent, progress.snapshot->meta.index);
    progress.replicate();
  }
  accepted_by(peer, progress, match);
}

}  // namespace fettle::raft
