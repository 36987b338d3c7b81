// Happy path: ask for the lease until it is granted → start the command in a process group of its
// own → a thread renews the lease while it runs → the command ends → release. Failures: somebody
// else has it for longer than we wait; no renewal is confirmed in time (the command is ended well
// before the group may give the lease away); the command cannot be started.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>

#include "cli/commands.h"

namespace fettle::cli {
namespace {

using core::Duration;
using core::Time;
using std::chrono::milliseconds;

constexpr Duration kAskAgainAfter = milliseconds(250);
constexpr auto kLookEvery = milliseconds(20);
constexpr int kExitSignalled = 128;
constexpr int kExitNotStarted = 127;

std::string new_holder() {
  constexpr std::size_t kHostBytes = 128;
  std::random_device source;
  std::array<char, kHostBytes> host{};
  gethostname(host.data(), host.size() - 1);
  return std::string(host.data()) + "/" + std::to_string(getpid()) + "/" + std::to_string(source());
}

/// One lease, as its holder sees it: it counts from before it asked.
class Held {
 public:
  Held(const Common& common, const LockOptions& options)
      : common_(common),
        path_("/v1/leases/" + key_part(options.name)),
        holder_(new_holder()),
        ttl_(options.ttl) {}

  Result<std::uint64_t> ask() {
    const Time asked = io::Loop::now();
    FETTLE_TRY(const ordered_json answer,
               post("grant", {{"holder", holder_}, {"duration", core::to_string(ttl_)}}));
    token_ = answer.at("token").get<std::uint64_t>();
    until_ = (asked + ttl_).ns;
    return token_;
  }
  Status renew() {
    const Time asked = io::Loop::now();
    if (const auto renewed = post("renew", of_holder()); !renewed) {
      return std::unexpected(renewed.error());
    }
    until_ = (asked + ttl_).ns;
    return {};
  }
  void release() {
    if (const auto released = post("release", of_holder()); !released) say(released.error());
  }
  /// The holder's own count; any thread.
  Time until() const { return Time{until_}; }
  Duration ttl() const { return ttl_; }

 private:
  ordered_json of_holder() const { return {{"holder", holder_}, {"token", token_}}; }
  Result<ordered_json> post(const std::string& verb, const ordered_json& body) {
    // An answer that comes past the time that it gives is of no use.
    return Client(common_.socket, common_.server)
        .write("POST", path_ + "/" + verb, body, {}, ttl_ / 3);
  }

  Common common_;
  std::string path_;
  std::string holder_;
  Duration ttl_;
  std::uint64_t token_ = 0;
  std::atomic<std::int64_t> until_{0};
};

/// Renews every third of the time until it is stopped.
class Renewer {
 public:
  explicit Renewer(Held& held) : held_(held), thread_([this] { run(); }) {}
  ~Renewer() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Renewer(const Renewer&) = delete;
  Renewer& operator=(const Renewer&) = delete;

 private:
  void run() {
    Duration pause = held_.ttl() / 3;
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, pause, [this] { return stopped_; })) {
      lock.unlock();
      const Status renewed = held_.renew();
      lock.lock();
      pause = renewed ? held_.ttl() / 3 : std::min<Duration>(kAskAgainAfter, held_.ttl() / 10);
    }
  }

  Held& held_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  std::thread thread_;
};

/// In the child: ends with its parent, in a group of its own.
[[noreturn]] void become(const std::vector<std::string>& command, std::uint64_t token,
                         pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kExitNotStarted);
  setenv("FETTLE_LEASE_TOKEN", std::to_string(token).c_str(), 1);
  std::vector<std::string> words = command;
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  std::perror(argv[0]);
  _exit(kExitNotStarted);
}

int exit_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : kExitSignalled + WTERMSIG(status);
}

volatile std::sig_atomic_t child_group = 0;

void pass_on(int signal) {
  if (child_group > 0) kill(-child_group, signal);
}

/// Waits for the command's end; asks it to end when a quarter of the time is left, and ends it when
/// an eighth is.
int watch(const Held& held, pid_t child) {
  int status = 0;
  bool asked = false;
  bool ended = false;
  while (waitpid(child, &status, WNOHANG) != child) {
    const Duration left = held.until() - io::Loop::now();
    if (!asked && left <= held.ttl() / 4) {
      asked = true;
      std::fprintf(stderr, "the lease is not renewed in time: the command is ended\n");
      kill(-child, SIGTERM);
    }
    if (asked && !ended && left <= held.ttl() / 8) {
      ended = true;
      kill(-child, SIGKILL);
    }
    std::this_thread::sleep_for(kLookEvery);
  }
  kill(-child, SIGKILL);  // what it left behind does not hold the lock
  return asked ? 1 : exit_of(status);
}

int run_under(Held& held, std::uint64_t token, const std::vector<std::string>& command) {
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return say({Code::Io, "cannot start a process"});
  if (child == 0) become(command, token, parent);
  setpgid(child, child);
  child_group = child;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, pass_on);
  const Renewer renewer(held);
  return watch(held, child);
}

}  // namespace

int kv_lock(const Common& common, const LockOptions& options) {
  constexpr Duration kTtlMin = std::chrono::seconds(1);
  if (options.ttl < kTtlMin) return say({Code::Invalid, "--ttl is at least 1"});
  Held held(common, options);
  const Time give_up = io::Loop::now() + options.wait;
  Result<std::uint64_t> token = held.ask();
  while (!token && token.error().code != Code::Invalid && io::Loop::now() < give_up) {
    std::this_thread::sleep_for(kAskAgainAfter);
    token = held.ask();
  }
  if (!token) return say(token.error());
  const int code = run_under(held, *token, options.command);
  held.release();
  return code;
}

}  // namespace fettle::cli
