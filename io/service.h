// Service: what the service manager and the kernel tell a daemon, and what it tells them.
#pragma once

#include <functional>
#include <string>
#include <vector>

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

}  // namespace fettle::io
