// What goes into a step of Raft and what comes out of it: plain data between the core and its
// driver (daemon/raft_driver, or the simulator).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "raft/messages.h"
#include "raft/timing.h"

namespace fettle::raft {

/// No snapshot is larger, neither taken nor received.
inline constexpr std::size_t kSnapshotBytesMax = std::size_t{256} * 1024 * 1024;

struct Config : Timing {
  ServerId self;
  std::uint64_t seed = 1;
  std::size_t append_bytes_max = 256U * 1024;         // payload of one Append
  std::size_t inflight_max = 64;                      // unanswered Appends a peer
  std::size_t inflight_bytes_max = 8U * 1024 * 1024;  // and their payload
  std::size_t chunk_bytes_max = 64U * 1024;           // of a snapshot
  std::size_t chunks_inflight_max = 4;                // unanswered, a peer
  std::size_t trailing_entries = 1024;                // kept at compaction, for slow followers,
  std::size_t trailing_bytes = 16U * 1024 * 1024;     // and no more of them than this
  std::size_t uncommitted_bytes_max = 64U * 1024 * 1024;
  std::size_t reads_max = 4096;  // pending at once
  bool trace = false;
};

/// What a server begins with: what its store holds. A new group begins from a snapshot of index 0,
/// term 0, with its first configuration and no data. Without any snapshot a server never campaigns
/// and grants no vote, for it may have forgotten what it promised; it follows a leader that sends
/// it one. Entries need a snapshot.
struct Start {
  HardState hard;
  std::shared_ptr<const Snapshot> snapshot;
  std::vector<Entry> entries;
};

// Inputs.
/// Begins a new group: a server without a snapshot takes `first` as the configuration of index 0.
/// Every founder is given the same. Nothing happens if it has a snapshot, or heard of any term.
struct Found {
  Configuration first;
};
struct Tick {};
struct Received {
  Message message;
};
/// Leader only; answered by an Accepted or a Rejected with the same token.
struct Propose {
  std::uint64_t token = 0;
  std::string data;
};
/// Several at once: each is answered by itself, and what is taken is sent together.
struct ProposeAll {
  std::vector<Propose> proposals;
};
/// Everything up to this batch is durable.
struct Persisted {
  std::uint64_t batch = 0;
};
/// Leader only: a linearizable read point, or proof that this term still holds a majority.
struct Read {
  std::uint64_t token = 0;
};
/// `data` is the machine's bytes with everything up to `index` applied, and nothing after. Makes
/// them the snapshot and compacts the log. Nothing happens if the snapshot is as new already, if
/// `index` was not given out as committed yet, or if it is larger than kSnapshotBytesMax.
struct Compact {
  Index index;
  std::string data;
};
/// Leader only, answered as a proposal is: one change of the members at a time (thesis 4.1). A new
/// server begins as a learner; with `server.promote` it becomes a voter once it has caught up.
struct AddServer {
  std::uint64_t token = 0;
  Server server;
};
/// Refused if no majority of the voters that would be left, this leader included, answered within
/// an election timeout: the group would be locked out.
struct RemoveServer {
  std::uint64_t token = 0;
  ServerId id;
};
/// Makes a learner a voter now, caught up or not; it must hold something of the log, or it could
/// not vote. Refused as a removal is.
struct PromoteServer {
  std::uint64_t token = 0;
  ServerId id;
};
/// Leader only; answered by a Transferred. Without a target: to the voter with the newest log.
struct Transfer {
  std::uint64_t token = 0;
  ServerId target;
};
/// The driver knows that the process `server` is dead: its connection was reset, and a new one
/// refused. Means something only if it leads.
struct LeaderLost {
  ServerId server;
};
/// Other timeouts from now on; timers that run already end as they were set.
struct Retime {
  Timing timing;
};
using Input = std::variant<Found, Tick, Received, Propose, ProposeAll, Persisted, Read, Compact,
                           AddServer, RemoveServer, PromoteServer, Transfer, LeaderLost, Retime>;

/// To be made durable in one transaction, in this order: truncate, snapshot, compact, append, and
/// the hard state.
struct Persist {
  std::uint64_t batch = 0;
  std::optional<HardState> hard;
  std::optional<Index> truncate_from;
  std::shared_ptr<const Snapshot> snapshot;  // replaces the one before; null: it stays
  std::optional<Index> compact_to;           // entries up to here go
  std::vector<Entry> entries;
};
struct Accepted {
  std::uint64_t token = 0;
  Index index;
  Term term;
};
struct Rejected {
  std::uint64_t token = 0;
  Code code = Code::NotLeader;
  std::string why;
};
/// `ok`: a majority confirmed the term after the Read came; apply up to `index`, then read.
struct ReadDone {
  std::uint64_t token = 0;
  bool ok = false;
  Index index;
};
/// `ok`: this server was deposed by a newer term while it transferred.
struct Transferred {
  std::uint64_t token = 0;
  bool ok = false;
  Code code = Code::NotLeader;  // if not ok
  std::string why;
};

enum class Role : std::uint8_t { Follower, PreCandidate, Candidate, Leader };
std::string_view to_string(Role role);

struct Output {
  std::optional<Persist> persist;
  std::vector<Message> send;
  std::shared_ptr<const Snapshot> restore;  // becomes the machine's state, before `committed`
  std::vector<Entry> committed;
  std::vector<Accepted> accepted;
  std::vector<Rejected> rejected;
  std::vector<ReadDone> reads;
  std::vector<Transferred> transfers;
  bool role_changed = false;           // role, term or leader; ask the accessors
  bool configuration_changed = false;  // the one in force, committed or not
  std::vector<std::string> trace;      // facts with reasons, only with Config::trace
};

}  // namespace fettle::raft
