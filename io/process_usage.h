// ProcessUsage: what the kernel says of this process (/proc), for those who watch it.
#pragma once

#include <cstdint>
#include <optional>

namespace fettle::io {

struct ProcessUsage {
  double cpu_seconds = 0;  // user and system, since the start
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t open_fds = 0;
  std::uint64_t max_fds = 0;
  double start_time = 0;  // seconds since the Unix epoch
};

/// As of now; nothing if /proc is not there. Reads only memory of the kernel: it blocks nowhere.
std::optional<ProcessUsage> process_usage();

}  // namespace fettle::io
