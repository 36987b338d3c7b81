// Closed loop: as many writes in flight as there are writers, always; latencies of those that
// began and ended within the window.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/measure.h"
#include "io/timer.h"

namespace fettle::bench {
namespace {

constexpr std::uint64_t kKeys = 1024;

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

class Writers {
 public:
  Writers(const Connect& connect, const ThroughputConfig& config)
      : config_(config),
        client_(connect(loop_, config.socket,
                        [this](std::uint64_t writer, bool ok) { answered(writer, ok); })),
        timer_(loop_),
        began_(config.writers) {}

  nlohmann::ordered_json run() {
    for (std::size_t writer = 0; writer < began_.size(); ++writer) write(writer);
    timer_.start(core_duration(config_.warm_up), [this] { open_window(); });
    loop_.run();
    std::ranges::sort(taken_us_);
    const auto at = [this](double share) {
      if (taken_us_.empty()) return 0.0;
      const auto place = static_cast<std::size_t>(share * static_cast<double>(taken_us_.size()));
      return taken_us_[std::min(place, taken_us_.size() - 1)];
    };
    return {{"commits", taken_us_.size()},  {"failed", failed_},
            {"seconds", seconds_},          {"p50_us", at(0.5)},
            {"p99_us", at(0.99)},           {"max_us", at(1)},
            {"client_cpu", cpu_ / seconds_}};
  }

 private:
  static core::Duration core_duration(std::chrono::duration<double> seconds) {
    return std::chrono::duration_cast<core::Duration>(seconds);
  }

  void write(std::size_t writer) {
    began_[writer] = uv_hrtime();
    client_->put(writer, "bench/" + std::to_string(next_key_++ % kKeys));
  }

  void answered(std::size_t writer, bool ok) {
    if (!ok) {  // nothing fails in a group without faults: what bench.js makes of it is an error
      ++failed_;
      return;
    }
    if (measuring_ && began_[writer] >= window_began_) {
      taken_us_.push_back(static_cast<double>(uv_hrtime() - began_[writer]) / 1e3);
    }
    write(writer);
  }

  void open_window() {
    measuring_ = true;
    window_began_ = uv_hrtime();
    cpu_ = -cpu_seconds();
    timer_.start(core_duration(config_.window), [this] {
      measuring_ = false;
      seconds_ = static_cast<double>(uv_hrtime() - window_began_) / 1e9;
      cpu_ += cpu_seconds();
      loop_.stop();
    });
  }

  ThroughputConfig config_;
  io::Loop loop_;
  std::unique_ptr<MemberClient> client_;
  io::Timer timer_;
  std::vector<std::uint64_t> began_;  // by writer
  std::vector<double> taken_us_;
  std::uint64_t next_key_ = 0;
  std::uint64_t window_began_ = 0;
  std::size_t failed_ = 0;
  double seconds_ = 0;
  double cpu_ = 0;
  bool measuring_ = false;
};

}  // namespace

Status measure_throughput(const Connect& connect, const ThroughputConfig& config) {
  std::puts(Writers(connect, config).run().dump().c_str());
  return {};
}

}  // namespace fettle::bench
