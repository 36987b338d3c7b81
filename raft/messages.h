// What servers of a Raft group say to each other, and what the log holds. Plain data with its
// bytes; no behaviour. References are to Ongaro's thesis (2014) unless they say otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace fettle::raft {

/// A member's name.
using ServerId = std::string;
/// A point on this server's monotonic clock; always an argument.
using Instant = std::chrono::nanoseconds;

enum class EntryKind : std::uint8_t { Noop, Command, Configuration };
constexpr EntryKind enum_last(EntryKind) { return EntryKind::Configuration; }

struct Entry {
  Term term;
  Index index;
  EntryKind kind = EntryKind::Noop;
  std::string data;
  friend bool operator==(const Entry&, const Entry&) = default;
};

/// One server as a configuration names it. A learner (voter = false) receives the log and counts in
/// no majority (thesis 4.2.1). `info` is the driver's own (its address); opaque here.
struct Server {
  ServerId id;
  bool voter = true;
  std::string info;
  bool promote = false;  // a learner that its leader makes a voter once it has caught up
  friend bool operator==(const Server&, const Server&) = default;
};
/// Who the group is: the data of a Configuration entry, in force as soon as it is in the log
/// (thesis 4.1). Sorted by id.
struct Configuration {
  std::vector<Server> servers;
  friend bool operator==(const Configuration&, const Configuration&) = default;
};

/// What a snapshot stands for: everything up to `index`, and the configuration as of `index` with
/// the index of its own entry. Index 0 is the start of a group: its first configuration, no data.
struct SnapshotMeta {
  Index index;
  Term term;
  Configuration configuration;
  Index configuration_index;
  friend bool operator==(const SnapshotMeta&, const SnapshotMeta&) = default;
};
struct Snapshot {
  SnapshotMeta meta;
  std::string data;  // the machine's own bytes; opaque here
};

/// What must be durable before any message that shows it leaves (figure 3.1).
struct HardState {
  Term term;
  ServerId vote;  // empty: none given in this term
  friend bool operator==(const HardState&, const HardState&) = default;
};

/// RequestVote, or with `pre` the question whether a vote would be given (9.6): then the message's
/// term is the one the candidate would move to. With `transfer` its leader told it to (3.10):
/// voters that hear that leader answer all the same.
struct VoteRequest {
  bool pre = false;
  Index last_index;
  Term last_term;
  bool transfer = false;
};
/// The message's term: of the request if granted, else the responder's own true term.
struct VoteReply {
  bool pre = false;
  bool granted = false;
};
/// AppendEntries; empty as a heartbeat. `round` numbers heartbeats for ReadIndex (6.4).
struct Append {
  Index prev_index;
  Term prev_term;
  Index commit;
  std::uint64_t round = 0;
  std::vector<Entry> entries;
};
/// `match` on success: at most prev + entries of the message it answers, or the commit index.
/// On refusal `match` is the refused prev_index, and the hint says where logs may agree.
struct AppendReply {
  bool success = false;
  Index match;
  Index hint_index;
  Term hint_term;
  std::uint64_t round = 0;
};

/// InstallSnapshot, one chunk (figure 5.3): the bytes of `meta`'s data from `offset` on. `checksum`
/// is the stable_hash of all `total` bytes.
struct SnapshotChunk {
  SnapshotMeta meta;
  std::uint64_t total = 0;
  std::uint64_t checksum = 0;
  std::uint64_t offset = 0;
  std::string data;
};
/// What the follower holds of the snapshot (index, term): its first `held` bytes. With `done` it
/// needs no more of it: its log agrees with the leader's up to `match`, durably.
struct SnapshotReply {
  Index index;
  Term term;
  std::uint64_t held = 0;
  bool done = false;
  Index match;
};
/// The leader asks its target to campaign at once (3.10).
struct TimeoutNow {};

using Body = std::variant<VoteRequest, VoteReply, Append, AppendReply, SnapshotChunk, SnapshotReply,
                          TimeoutNow>;

struct Message {
  ServerId from;
  ServerId to;
  Term term;
  Body body;
};

template <typename Archive>
void fields(Archive& ar, Entry& v) {
  ar(v.term, v.index, v.kind, v.data);
}
template <typename Archive>
void fields(Archive& ar, Server& v) {
  ar(v.id, v.voter, v.info, v.promote);
}
template <typename Archive>
void fields(Archive& ar, Configuration& v) {
  ar(v.servers);
}
template <typename Archive>
void fields(Archive& ar, SnapshotMeta& v) {
  ar(v.index, v.term, v.configuration, v.configuration_index);
}
template <typename Archive>
void fields(Archive& ar, Snapshot& v) {
  ar(v.meta, v.data);
}
template <typename Archive>
void fields(Archive& ar, HardState& v) {
  ar(v.term, v.vote);
}
template <typename Archive>
void fields(Archive& ar, VoteRequest& v) {
  ar(v.pre, v.last_index, v.last_term, v.transfer);
}
template <typename Archive>
void fields(Archive& ar, VoteReply& v) {
  ar(v.pre, v.granted);
}
template <typename Archive>
void fields(Archive& ar, Append& v) {
  ar(v.prev_index, v.prev_term, v.commit, v.round, v.entries);
}
template <typename Archive>
void fields(Archive& ar, AppendReply& v) {
  ar(v.success, v.match, v.hint_index, v.hint_term, v.round);
}
template <typename Archive>
void fields(Archive& ar, SnapshotChunk& v) {
  ar(v.meta, v.total, v.checksum, v.offset, v.data);
}
template <typename Archive>
void fields(Archive& ar, SnapshotReply& v) {
  ar(v.index, v.term, v.held, v.done, v.match);
}
template <typename Archive>
void fields(Archive&, TimeoutNow&) {}
template <typename Archive>
void fields(Archive& ar, Message& v) {
  ar(v.from, v.to, v.term, v.body);
}

}  // namespace fettle::raft
