// What the bench's client measures, each printed as lines of text for bench.js.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/member.h"

namespace fettle::bench {

/// A client of the member whose socket is given.
using Connect = std::function<std::unique_ptr<MemberClient>(io::Loop&, std::string, Answered)>;

struct ThroughputConfig {
  std::string socket;
  std::size_t writers = 1;
  std::chrono::duration<double> warm_up{1};
  std::chrono::duration<double> window{5};
};

/// `writers` writers at one member, each with its next value as soon as the last is committed.
/// Prints one JSON object: commits, failed, seconds, p50_us, p99_us, max_us, client_cpu (cores).
Status measure_throughput(const Connect& connect, const ThroughputConfig& config);

struct PulseConfig {
  std::vector<std::string> sockets;
  std::chrono::milliseconds every{2};
  std::chrono::milliseconds deadline{1000};
  std::size_t in_flight_max = 256;  // a member
};

/// One attempt every `every`, the members in turn, whether or not earlier ones were answered, until
/// stdin ends. Prints a line for each: `MEMBER ok|no|late|skipped BEGUN_NS ENDED_NS`, the member by
/// its place in `sockets`, the times of CLOCK_MONOTONIC.
Status run_pulse(const Connect& connect, const PulseConfig& config);

/// How long fdatasync takes after each of `count` appends of 4 KiB to a file in `folder`.
/// Prints one JSON object: times_us.
Status measure_sync(const std::string& folder, std::size_t count);

}  // namespace fettle::bench
