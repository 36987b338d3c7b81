// Service: what the service manager and the kernel tell a daemon, and what it tells them.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "core/time.h"
#include "io/handle.h"
#include "io/loop.h"

namespace fettle::io {

/// Calls `on_signal` on the loop for each of the signals while it lives.
class Signals {
 public:
  Signals(Loop& loop, const std::vector<int>& signals, std::function<void(int)> on_signal);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  std::vector<Handle<uv_signal_t>> handles_;
  std::function<void(int)> on_signal_;
};

/// sd_notify(3): `READY=1`, `WATCHDOG=1`, `STOPPING=1`, `STATUS=...`; nothing without a manager.
void notify_manager(const std::string& state);

/// How long the service manager waits for a WATCHDOG=1 of this process before it ends it
/// (sd_watchdog_enabled(3)); zero: it does not watch, or watches another process.
core::Duration manager_watch_interval();

/// What this host calls itself (gethostname(2)).
std::string host_name();

/// Names the calling thread for `top -H` and /proc; at most 15 bytes.
void name_thread(const char* name);

/// Raises the soft limit on descriptors to `wanted`, or as far as the hard limit allows; never
/// lowers it. Answers the limit that holds now; 0 if the kernel did not say.
std::size_t raise_descriptor_limit(std::size_t wanted);

}  // namespace fettle::io
