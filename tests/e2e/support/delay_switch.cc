// fettle-delay-switch DELAYS NETNS…: a switch in user space with one port in each network
// namespace, as eth0 there, that passes every frame on after a fixed time. (netem does that too,
// and is not in every kernel.) DELAYS is a file of lines "I J MS": from port I to port J, one way;
// ports count from 1, and without a line it is 0. Read again on SIGHUP. Says "ready" once all
// ports are there; they go with it. Needs root.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <queue>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Mac = std::array<char, 6>;

constexpr std::size_t kFrameBytesMax = 2048;  // of an Ethernet frame of 1500 bytes
constexpr std::size_t kQueuedMax = 65536;     // what comes beyond is lost, as in any switch

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "fettle-delay-switch: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

/// A port that is eth0 of the namespace; the process stays in that namespace.
int make_port(const std::string& netns) {
  const int space = open(("/run/netns/" + netns).c_str(), O_RDONLY | O_CLOEXEC);
  if (space < 0 || setns(space, CLONE_NEWNET) != 0) fail(netns);
  close(space);
  const int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (tap < 0) fail("/dev/net/tun");
  ifreq request{};
  std::strncpy(request.ifr_name, "eth0", IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (ioctl(tap, TUNSETIFF, &request) != 0) fail("eth0 of " + netns);
  return tap;
}

struct Frame {
  Clock::time_point due;
  std::uint64_t number = 0;  // what came first leaves first
  std::size_t to = 0;
  std::vector<char> bytes;
  bool operator>(const Frame& other) const {
    return std::pair(due, number) > std::pair(other.due, other.number);
  }
};

class Switch {
 public:
  Switch(std::string delays, std::vector<int> ports)
      : file_(std::move(delays)), ports_(std::move(ports)) {
    read_delays();
  }

  void read_delays() {
    delays_.clear();
    std::ifstream in(file_);
    std::size_t from = 0;
    std::size_t to = 0;
    for (double ms = 0; in >> from >> to >> ms;) {
      delays_[{from - 1, to - 1}] = std::chrono::duration_cast<Clock::duration>(
          std::chrono::duration<double, std::milli>(ms));
    }
  }

  /// Waits for frames, or until one is due, and moves what can be moved.
  void turn() {
    std::vector<pollfd> waits;
    for (const int port : ports_) waits.push_back({.fd = port, .events = POLLIN, .revents = 0});
    timespec wait{.tv_sec = 1, .tv_nsec = 0};
    if (!queue_.empty()) {
      const auto left = std::max(queue_.top().due - Clock::now(), Clock::duration{0});
      const auto ns = std::chrono::nanoseconds(left).count();
      wait = {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
    }
    ppoll(waits.data(), waits.size(), &wait, nullptr);
    for (std::size_t i = 0; i < ports_.size(); ++i) take_from(i);
    for (; !queue_.empty() && queue_.top().due <= Clock::now(); queue_.pop()) {
      const Frame& frame = queue_.top();
      // A port whose eth0 is not up yet takes nothing: lost, like on a wire.
      if (write(ports_[frame.to], frame.bytes.data(), frame.bytes.size()) < 0) continue;
    }
  }

 private:
  void take_from(std::size_t from) {
    std::array<char, kFrameBytesMax> bytes{};
    for (;;) {
      const ssize_t size = read(ports_[from], bytes.data(), bytes.size());
      if (size < static_cast<ssize_t>(2 * sizeof(Mac))) return;
      pass_on(from, {bytes.begin(), bytes.begin() + size});
    }
  }

  void pass_on(std::size_t from, const std::vector<char>& bytes) {
    Mac to{};
    Mac sender{};
    std::copy_n(bytes.begin(), to.size(), to.begin());
    std::copy_n(bytes.begin() + to.size(), sender.size(), sender.begin());
    behind_[sender] = from;
    const auto known = behind_.find(to);
    for (std::size_t port = 0; port < ports_.size(); ++port) {
      if (port == from || (known != behind_.end() && known->second != port)) continue;
      if (queue_.size() >= kQueuedMax) return;
      queue_.push({Clock::now() + delays_[{from, port}], next_++, port, bytes});
    }
  }

  std::string file_;
  std::vector<int> ports_;
  std::map<std::pair<std::size_t, std::size_t>, Clock::duration> delays_;
  std::map<Mac, std::size_t> behind_;
  std::priority_queue<Frame, std::vector<Frame>, std::greater<>> queue_;
  std::uint64_t next_ = 0;
};

volatile std::sig_atomic_t read_again = 0;

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: fettle-delay-switch DELAYS NETNS...\n");
    return 2;
  }
  std::vector<int> ports;
  for (int i = 2; i < argc; ++i) ports.push_back(make_port(argv[i]));
  struct sigaction again{};
  again.sa_handler = [](int) { read_again = 1; };
  sigaction(SIGHUP, &again, nullptr);
  Switch one(argv[1], std::move(ports));
  std::puts("ready");
  std::fflush(stdout);
  for (;;) {
    if (read_again != 0) {
      read_again = 0;
      one.read_delays();
      std::puts("read again");
      std::fflush(stdout);
    }
    one.turn();
  }
}
