// What members say to each other: one struct per frame, its type number, its bytes. A link sends on
// the connection it opened and hears on the one its peer opened; replies go the sender's own way.
#pragma once

#include <cstdint>
#include <map>
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

namespace fettle::api {

template <typename Archive>
void fields(Archive& ar, MemberStatus& v) {
  constexpr double kUsPerMs = 1e3;
  std::optional<std::int64_t> rtt_us;
  if (v.rtt_ms) rtt_us = static_cast<std::int64_t>(*v.rtt_ms * kUsPerMs);
  ar(v.name, v.role, v.zone, v.state, v.address, v.version, rtt_us);
  if (Archive::kReading && rtt_us) v.rtt_ms = static_cast<double>(*rtt_us) / kUsPerMs;
}
template <typename Archive>
void fields(Archive& ar, GroupStatus& v) {
  ar(v.cluster, v.generation, v.term, v.leader, v.commit_index, v.self, v.members, v.notes);
}
template <typename Archive>
void fields(Archive& ar, KvRead& v) {
  ar(v.revision, v.values, v.stale_ms);
}

}  // namespace fettle::api

namespace fettle::daemon::wire {

/// The version of this format; a peer with another one is refused.
inline constexpr std::uint8_t kVersion = 4;
/// Bounds one frame; a spec of many files fits.
inline constexpr std::size_t kFrameBytesMax = 32U * 1024 * 1024;
/// Bounds one frame of an agent, of which a voter may hear thousands.
inline constexpr std::size_t kAgentFrameBytesMax = 4U * 1024 * 1024;
/// Bounds what an agent may say of itself, as bytes: every voter keeps it.
inline constexpr std::size_t kAgentFactsBytesMax = 64U * 1024;
/// What an agent names in its TLS client hello, so that a voter can make it wait before anything
/// costly is done for it.
inline constexpr const char* kAgentProtocol = "fettle-agent";

/// First on every connection, by who opened it; answered by the other's own, or by Refused.
struct Hello {
  std::string cluster;
  std::uint64_t generation = 1;
  bool in_group = false;       // its group has begun; false: it is empty, or has only founded
  std::uint64_t founders = 0;  // hash of the first voters: those it founded with, or of its file
  core::Address address;       // where it listens for members
  core::MemberFacts facts;
  /// The end of its log, and as which incarnations that, applied or not, knows the members.
  Term last_term;
  Index last_index;
  std::map<std::string, std::string> incarnations;
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

/// A voter as others reach it.
struct Voter {
  std::string name;
  core::Address address;
};
/// To an agent: whom this voter follows, in which generation and term, and who the voters are.
struct Led {
  std::string leader;
  std::uint64_t generation = 1;
  Term term;
  std::vector<Voter> voters;
};
/// To an agent: what this voter has applied.
struct Applied {
  Index index;
  core::Time now;  // engine time there
};
/// To an agent: all that it is to look at, as of the entry at `index`.
struct Watches {
  Index index;
  std::vector<core::Watch> nodes;
  std::vector<core::DirectorWatch> directors;
};
/// A voter tells its leader of this term which agents have a link to it: all of them, or what
/// changed since.
struct AgentLinks {
  Term term;
  bool whole = false;
  std::vector<core::MemberFacts> up;
  std::vector<std::string> down;
};
/// A frame from or to `agent`, passed on between the leader and a voter that has a link to it. The
/// voter that passes it up stands for the name: it is the one of the agent's certificate.
struct Relay {
  std::string agent;
  std::string frame;
};
/// An agent's client asks for the group's state, or a part of it.
struct ReadState {
  enum class Part : std::uint8_t { All, Kv, File };
  std::uint64_t id = 0;
  bool linearizable = true;
  Part part = Part::All;
  api::KvQuery query;  // of Part::Kv
};
constexpr ReadState::Part enum_last(ReadState::Part) { return ReadState::Part::File; }
/// `bytes`: the engine's state (Engine::save), an api::KvRead, or a snapshot file.
struct StateRead {
  std::uint64_t id = 0;
  bool ok = false;  // false: `code` and `text` say why not
  Code code = Code::NotLeader;
  std::string text;
  std::string bytes;
  api::GroupStatus status;  // of Part::All
  std::int64_t stale_ms = 0;
};

using Frame =
    std::variant<Hello, Raft, Report, Forward, Forwarded, Perform, Cancel, Answer, ReadIndex,
                 ReadIndexReply, Ping, Pong, Directors, Refused, ChangeMembers, HandOver, Led,
                 Applied, Watches, AgentLinks, Relay, ReadState, StateRead>;

template <typename Archive>
void fields(Archive& ar, Hello& v) {
  ar(v.cluster, v.generation, v.in_group, v.founders, v.address, v.facts, v.last_term, v.last_index,
     v.incarnations);
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

template <typename Archive>
void fields(Archive& ar, Voter& v) {
  ar(v.name, v.address);
}
template <typename Archive>
void fields(Archive& ar, Led& v) {
  ar(v.leader, v.generation, v.term, v.voters);
}
template <typename Archive>
void fields(Archive& ar, Applied& v) {
  ar(v.index, v.now);
}
template <typename Archive>
void fields(Archive& ar, Watches& v) {
  ar(v.index, v.nodes, v.directors);
}
template <typename Archive>
void fields(Archive& ar, AgentLinks& v) {
  ar(v.term, v.whole, v.up, v.down);
}
template <typename Archive>
void fields(Archive& ar, Relay& v) {
  ar(v.agent, v.frame);
}
template <typename Archive>
void fields(Archive& ar, ReadState& v) {
  ar(v.id, v.linearizable, v.part, v.query.key, v.query.prefix);
}
template <typename Archive>
void fields(Archive& ar, StateRead& v) {
  ar(v.id, v.ok, v.code, v.text, v.bytes, v.status, v.stale_ms);
}

}  // namespace fettle::daemon::wire

/// Frames hold nearly all of our types: what encodes them is compiled once, in wire.cc.
extern template std::string fettle::encode(const fettle::daemon::wire::Frame&);
extern template fettle::Result<fettle::daemon::wire::Frame>
    fettle::decode<fettle::daemon::wire::Frame>(std::string_view);
