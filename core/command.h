// Command: everything that may enter the log. Entry: a command with its stamps and its client.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/sample.h"
#include "core/state.h"
#include "core/task.h"
#include "core/time.h"

namespace fettle::core {

namespace command {
/// The configured voters and the cluster's name; the first command of a group.
struct Found {
  std::string cluster;
  std::vector<MemberFacts> voters;
};
struct SetFacts {
  MemberFacts facts;
};
/// What may leave with the files that no longer name it: nothing, all that Fettle does not hold out
/// of its traffic, or (from level 2 on) that too, whose directors then stay as they are. In an
/// entry the first two have the bytes of the bool that they were.
enum class Removal : std::uint8_t { Refuse, Prune, Abandon };
constexpr Removal enum_last(Removal) { return Removal::Abandon; }
/// `base` is the revision the caller saw (refused if it moved), unless `any_base`.
struct ApplySpec {
  Spec spec;
  std::uint64_t base = 0;
  bool any_base = true;
  Removal removal = Removal::Refuse;
  std::string by;
};
struct ReportOpinions {
  std::string observer;
  std::string incarnation;
  std::vector<Opinion> opinions;
};
struct TaskFinished {
  TaskKey key;
  TaskResult result;
};
/// Nothing but its stamp: something was due.
struct Wake {};
struct Isolate {
  std::string node;
  std::string by;
  std::string reason;
  bool force = false;
};
struct Restore {
  std::string node;
  std::string by;
  std::string reason;
};
struct Freeze {
  std::string service;
  Duration length{0};
  std::string by;
  std::string reason;
};
struct Unfreeze {
  std::string service;
  std::string by;
};
/// The receiver took it, or every retry was spent.
struct AlertFinished {
  std::string key;
  bool delivered = false;
  std::string reason;
};
/// What a host saw at its directors, by service.
struct ReportDirectors {
  std::string host;
  std::map<std::string, DirectorView> views;
};
/// A person stops an open run.
struct Cancel {
  RunId run;
  std::string by;
  std::string reason;
};
/// A person has a failed or cancelled run go on, as a new run from the step it ended at.
struct Retry {
  RunId run;
  std::string by;
  std::string reason;
};
/// Every voter supports the level; from here on its commands, behaviour and bytes hold (level.h).
struct RaiseLevel {
  std::uint32_t level = 1;
};
/// `value` is canonical JSON text. `expect`: only if the key is at this revision; 0: only if it
/// does not exist.
struct KvPut {
  std::string key;
  std::string value;
  std::optional<std::uint64_t> expect;
};
struct KvDelete {
  std::string key;
  std::optional<std::uint64_t> expect;
};
/// Of the holder itself it is a renewal (core/lease.h).
struct LeaseGrant {
  std::string name;
  std::string holder;
  Duration duration{0};
};
/// `token` is the grant's.
struct LeaseRenew {
  std::string name;
  std::string holder;
  std::uint64_t token = 0;
};
struct LeaseRelease {
  std::string name;
  std::string holder;
  std::uint64_t token = 0;
};
/// The leader has not reached the member for longer than a link may be down (core/liveness.h).
struct MemberLost {
  std::string name;
  std::string reason;
};
struct MemberBack {
  std::string name;
};
/// What the leader learnt of many members in a moment: one entry, and one new assignment for all.
struct UpdateMembers {
  std::vector<MemberFacts> facts;  // each as SetFacts
  std::vector<MemberLost> lost;
  std::vector<MemberBack> back;
};
/// A person removes an agent: its name is free again, under any incarnation.
struct RemoveAgent {
  std::string name;
};
/// What the leader's state hashed to once it had applied `index`; a voter whose own differs stops.
struct StateHash {
  Index index;
  std::uint64_t hash = 0;
};
}  // namespace command

using Command =
    std::variant<command::Found, command::SetFacts, command::ApplySpec, command::ReportOpinions,
                 command::TaskFinished, command::Wake, command::Isolate, command::Restore,
                 command::Freeze, command::Unfreeze, command::AlertFinished,
                 command::ReportDirectors, command::Cancel, command::Retry, command::RaiseLevel,
                 command::KvPut, command::KvDelete, command::LeaseGrant, command::LeaseRenew,
                 command::LeaseRelease, command::MemberLost, command::MemberBack,
                 command::StateHash, command::UpdateMembers, command::RemoveAgent>;

/// The highest engine level that this version supports (core/level.h).
inline constexpr std::uint32_t kEngineLevel = 2;

/// What the log carries: the command and its stamps (DESIGN §4 "Engine time").
struct LogEntry {
  std::uint32_t level = 1;  // what a voter must support to read it
  Time stamp;
  WallTime wall;
  std::string client;  // empty: nobody waits for a kept answer
  Command command;
};

std::string encode_entry(const LogEntry& entry);
/// Refused: the entry is of a higher level than `supported`, and the text says so; whoever reads it
/// must stop. Corrupt: no entry of ours.
Result<LogEntry> decode_entry(std::string_view bytes, std::uint32_t supported = kEngineLevel);

}  // namespace fettle::core
