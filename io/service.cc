#include "io/service.h"

#include <pthread.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "base/check.h"

namespace fettle::io {

Signals::Signals(Loop& loop, const std::vector<int>& signals, std::function<void(int)> on_signal)
    : on_signal_(std::move(on_signal)) {
  for (const int number : signals) {
    auto raw = std::make_unique<uv_signal_t>();
    FETTLE_ASSERT(uv_signal_init(loop.raw(), raw.get()) == 0);
    raw->data = this;
    uv_signal_start(
        raw.get(),
        [](uv_signal_t* handle, int signal) {
          if (handle->data != nullptr) static_cast<Signals*>(handle->data)->on_signal_(signal);
        },
        number);
    handles_.emplace_back(std::move(raw));
  }
}

void notify_manager(const std::string& state) { sd_notify(0, state.c_str()); }

core::Duration manager_watch_interval() {
  std::uint64_t interval_us = 0;
  if (sd_watchdog_enabled(0, &interval_us) <= 0) return {};
  return std::chrono::microseconds(interval_us);
}

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

void name_thread(const char* name) {
  FETTLE_ASSERT_MSG(pthread_setname_np(pthread_self(), name) == 0, "a thread's name is too long");
}

std::size_t raise_descriptor_limit(std::size_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlim_t higher = std::max(limit.rlim_cur, std::min<rlim_t>(wanted, limit.rlim_max));
  const rlimit raised{higher, limit.rlim_max};
  return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? higher : limit.rlim_cur;
}

}  // namespace fettle::io
