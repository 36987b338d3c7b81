// Metrics: what a member tells a Prometheus server: plain numbers → text. Each loop counts its own
// part and hands a copy over; nothing of the engine's state is copied for a scrape. Pure.
// docs/metrics.md explains every family; a test holds the two together.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/counts.h"
#include "core/state.h"
#include "io/loop.h"
#include "io/process_usage.h"

namespace fettle::api {

struct LoopMetrics {
  core::Duration lag{0};
  core::Duration lag_max{0};
  io::Loop::Mailbox mailbox;
};
/// On the loop's thread.
LoopMetrics loop_metrics(io::Loop& loop);

/// What the replicated state holds now.
struct StateMetrics {
  struct Node {
    std::string name;
    core::Verdict verdict = core::Verdict::Unknown;
    core::Admin admin = core::Admin::InService;
  };
  struct Service {
    std::string name;
    core::Verdict verdict = core::Verdict::Unknown;
    bool frozen = false;
    std::vector<Node> nodes;  // as the spec has them
  };
  std::vector<Service> services;
  std::uint64_t revision = 0;
  bool frozen = false;  // everything
  std::uint64_t open_incidents = 0;
  std::array<std::uint64_t, core::enum_size<core::Mode>()> open_runs{};
  std::map<std::string, std::uint64_t> entries;  // by table
};
/// One walk over the state.
StateMetrics state_metrics(const core::State& state);

struct RaftMetrics {
  std::uint64_t term = 0;
  bool is_leader = false;
  bool has_leader = false;
  core::Duration leader_silence{0};  // since this member heard its leader, or led
  std::uint64_t leader_changes = 0;  // seen since the start
  std::uint64_t commit_index = 0;
  std::uint64_t applied_index = 0;
  std::uint64_t log_entries = 0;
  std::uint64_t pending_writes = 0;  // proposed or forwarded, not yet answered
  std::uint64_t pending_reads = 0;
  core::Histogram persist{core::latency_bounds()};  // from the order to write until it is durable
};

struct PeerMetrics {
  std::string name;
  bool up = false;
  std::optional<double> rtt_ms;
};

/// The group loop's part.
struct GroupMetrics {
  std::string cluster;
  std::string self;
  StateMetrics state;
  core::EventCounts events;
  RaftMetrics raft;
  std::vector<PeerMetrics> peers;
  std::uint64_t agent_links = 0;  // of agents to this voter
  std::uint64_t handshakes = 0;   // of links between agents and voters, that ended well
  std::uint64_t relays_dropped = 0;
  LoopMetrics loop;
};

/// The work loop's part.
struct WorkMetrics {
  bool ready = false;
  core::LookCounts looks;
  LoopMetrics loop;
};

struct Metrics {
  std::string version;
  GroupMetrics group;
  WorkMetrics work;
  std::optional<io::ProcessUsage> process;
};

/// The whole answer to a scrape, its families always in the same order.
std::string metrics_text(const Metrics& metrics);

}  // namespace fettle::api
