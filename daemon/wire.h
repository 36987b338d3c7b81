// What members say to each other: one struct per frame, its type number, its bytes. A link sends on
// the connection it opened and hears on the one its peer opened; replies go the sender's own way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "api/backend.h"
#include "base/bytes.h"
#include "core/codec.h"
#include "core/command.h"
#include "core/state.h"
#include "core/task.h"
#include "raft/messages.h"

namespace fettle::daemon::wire {

/// The version of this format; a peer with another one is refused.
inline constexpr std::uint8_t kVersion = 3;
/// Bounds one frame; a spec of many files fits.
inline constexpr std::size_t kFrameBytesMax = 32U * 1024 * 1024;

/// First on every connection, by who opened it; answered by the other's own, or by Refused.
struct Hello {
  std::string cluster;
  std::uint64_t generation = 1;
  bool in_group = false;  // it has the group's log, or a part of it; false: a new, empty member
  std::uint64_t founders = 0;  // hash of the first voters that its file names
  core::Address address;       // where it listens for members
  core::MemberFacts facts;
};
/// No link with this one, and why.
struct Refused {
  std::string why;
  bool in_group = false;  // of who refuses, as in Hello
};
struct Raft {
  raft::Message message;
};
/// An observer's changed opinions, or its whole table, for the leader.
struct Report {
  core::command::ReportOpinions report;
};
/// A command of a follower's client; `id` is the sender's own.
struct Forward {
  std::uint64_t id = 0;
  std::string client;
  core::Command command;
};
struct Forwarded {
  std::uint64_t id = 0;
  bool ok = false;  // false: `code` and `text` say why nothing, or nothing certain, happened
  Code code = Code::NotLeader;
  std::string text;
  core::ClientAnswer answer;
};
/// `finished_below`: every attempt decided below this index is closed; its journal may be pruned.
struct Perform {
  core::Task task;
  Index finished_below;
};
struct Cancel {
  core::TaskKey key;
  core::Fence fence;
  std::string reason;
};
struct Answer {
  core::TaskKey key;
  core::TaskResult result;
};
/// A follower asks the leader for a read index (Ongaro's thesis, 6.4).
struct ReadIndex {
  std::uint64_t id = 0;
};
struct ReadIndexReply {
  std::uint64_t id = 0;
  bool ok = false;
  Index index;
  std::optional<raft::Instant> quorum_round_trip;  // of the leader; nullopt: it does not know
};
/// A change of the members that a follower's client asks for; answered by Forwarded.
struct ChangeMembers {
  std::uint64_t id = 0;
  api::MemberChange change;
};
/// A follower's client asks the leader to hand over to `to`; answered by Forwarded.
struct HandOver {
  std::uint64_t id = 0;
  std::string to;
};
/// What a host saw at its directors, for the leader.
struct Directors {
  core::command::ReportDirectors report;
};
struct Ping {
  std::int64_t sent_ns = 0;
};
struct Pong {
  std::int64_t sent_ns = 0;
};

using Frame =
    std::variant<Hello, Raft, Report, Forward, Forwarded, Perform, Cancel, Answer, ReadIndex,
                 ReadIndexReply, Ping, Pong, Directors, Refused, ChangeMembers, HandOver>;

template <typename Archive>
void fields(Archive& ar, Hello& v) {
  ar(v.cluster, v.generation, v.in_group, v.founders, v.address, v.facts);
}
template <typename Archive>
void fields(Archive& ar, Refused& v) {
  ar(v.why, v.in_group);
}
template <typename Archive>
void fields(Archive& ar, Raft& v) {
  ar(v.message);
}
template <typename Archive>
void fields(Archive& ar, Report& v) {
  ar(v.report);
}
template <typename Archive>
void fields(Archive& ar, Forward& v) {
  ar(v.id, v.client, v.command);
}
template <typename Archive>
void fields(Archive& ar, Forwarded& v) {
  ar(v.id, v.ok, v.code, v.text, v.answer);
}
template <typename Archive>
void fields(Archive& ar, Perform& v) {
  ar(v.task, v.finished_below);
}
template <typename Archive>
void fields(Archive& ar, Cancel& v) {
  ar(v.key, v.fence, v.reason);
}
template <typename Archive>
void fields(Archive& ar, Answer& v) {
  ar(v.key, v.result);
}
template <typename Archive>
void fields(Archive& ar, ReadIndex& v) {
  ar(v.id);
}
template <typename Archive>
void fields(Archive& ar, ReadIndexReply& v) {
  ar(v.id, v.ok, v.index, v.quorum_round_trip);
}
template <typename Archive>
void fields(Archive& ar, ChangeMembers& v) {
  ar(v.id, v.change.kind, v.change.name, v.change.address, v.change.promote);
}
template <typename Archive>
void fields(Archive& ar, HandOver& v) {
  ar(v.id, v.to);
}
template <typename Archive>
void fields(Archive& ar, Directors& v) {
  ar(v.report);
}
template <typename Archive>
void fields(Archive& ar, Ping& v) {
  ar(v.sent_ns);
}
template <typename Archive>
void fields(Archive& ar, Pong& v) {
  ar(v.sent_ns);
}

}  // namespace fettle::daemon::wire
