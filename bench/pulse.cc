// Open loop: the next attempt never waits for an earlier one, so that the time without a leader is
// seen to within one period.
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <deque>
#include <map>

#include "bench/measure.h"
#include "io/timer.h"

namespace fettle::bench {
namespace {

class Pulse {
 public:
  Pulse(const Connect& connect, const PulseConfig& config) : config_(config), ticker_(loop_) {
    for (std::size_t i = 0; i < config.sockets.size(); ++i) {
      members_.push_back(
          {connect(loop_, config.sockets[i],
                   [this](std::uint64_t attempt, bool ok) { finish(attempt, ok ? "ok" : "no"); }),
           0});
    }
    auto pipe = std::make_unique<uv_pipe_t>();
    uv_pipe_init(loop_.raw(), pipe.get(), 0);
    pipe->data = this;
    uv_pipe_open(pipe.get(), STDIN_FILENO);
    stdin_ = io::Handle<uv_pipe_t>(std::move(pipe));
  }

  void run() {
    uv_read_start(
        io::as_stream(stdin_.get()),
        [](uv_handle_t*, std::size_t, uv_buf_t* buffer) {
          static char unread[64];
          *buffer = uv_buf_init(unread, sizeof unread);
        },
        [](uv_stream_t* pipe, ssize_t size, const uv_buf_t*) {
          if (size < 0) static_cast<Pulse*>(pipe->data)->loop_.stop();
        });
    ticker_.start_repeating(config_.every, [this] { tick(); });
    loop_.run();
  }

 private:
  struct Member {
    std::unique_ptr<MemberClient> client;
    std::size_t in_flight;
  };
  struct Attempt {
    std::size_t member;
    std::uint64_t began_ns;
  };

  void tick() {
    const std::uint64_t now = uv_hrtime();
    const auto limit = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(config_.deadline).count());
    while (!attempts_.empty() && attempts_.begin()->second.began_ns + limit <= now) {
      const std::uint64_t oldest = attempts_.begin()->first;
      members_[attempts_.begin()->second.member].client->give_up(oldest);
      finish(oldest, "late");
    }
    const std::uint64_t attempt = next_++;
    const std::size_t chosen = attempt % members_.size();
    if (members_[chosen].in_flight >= config_.in_flight_max) {
      return say(chosen, "skipped", now);
    }
    ++members_[chosen].in_flight;
    attempts_.emplace(attempt, Attempt{chosen, now});
    members_[chosen].client->put(attempt, "bench/pulse");
  }

  void finish(std::uint64_t attempt, const char* how) {
    const auto found = attempts_.find(attempt);
    if (found == attempts_.end()) return;
    --members_[found->second.member].in_flight;
    say(found->second.member, how, found->second.began_ns);
    attempts_.erase(found);
  }

  static void say(std::size_t member, const char* how, std::uint64_t began_ns) {
    std::printf("%zu %s %" PRIu64 " %" PRIu64 "\n", member, how, began_ns, uv_hrtime());
    std::fflush(stdout);
  }

  PulseConfig config_;
  io::Loop loop_;
  std::vector<Member> members_;
  io::Timer ticker_;
  io::Handle<uv_pipe_t> stdin_;
  std::map<std::uint64_t, Attempt> attempts_;  // in flight; in the order they began
  std::uint64_t next_ = 0;
};

}  // namespace

Status run_pulse(const Connect& connect, const PulseConfig& config) {
  Pulse(connect, config).run();
  return {};
}

}  // namespace fettle::bench
