// Happy path: ask for the lease until it is granted → a warden, a process of its own, starts the
// command in a process group → a thread renews the lease while it runs and tells the warden → the
// command ends → release. Failures: somebody else has it for longer than we wait; no renewal is
// confirmed in time, or this process is killed or stands still (the warden ends the command well
// before the group may give the lease away); the command cannot be started.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
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
constexpr int kLookEveryMs = 20;
constexpr std::array kPassedOn{SIGINT, SIGTERM, SIGHUP};
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

/// Renews every third of the time until it is stopped, and tells the warden how long it lasts.
class Renewer {
 public:
  Renewer(Held& held, int line) : held_(held), line_(line), thread_([this] { run(); }) {}
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
      if (renewed) tell_warden();
      lock.lock();
      pause = renewed ? held_.ttl() / 3 : std::min<Duration>(kAskAgainAfter, held_.ttl() / 10);
    }
  }

  /// One that ended meanwhile does not hear it.
  void tell_warden() {
    const std::int64_t until = held_.until().ns;
    [[maybe_unused]] const ssize_t told = write(line_, &until, sizeof(until));
  }

  Held& held_;
  int line_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  std::thread thread_;
};

/// In the command's process: a group of its own, which ends with the warden at the latest.
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

volatile std::sig_atomic_t passed_to = 0;  // a process id; negative: a group

void pass_on(int signal) {
  if (passed_to != 0) kill(passed_to, signal);
}

void pass_signals_to(pid_t whom) {
  passed_to = whom;
  for (const int signal : kPassedOn) std::signal(signal, pass_on);
}

/// How the warden says that it ended the command; as an exit code it could be the command's own. It
/// says nothing by itself: to write may take as long as somebody pleases.
constexpr int kLeaseLost = SIGUSR1;

/// Stands between the holder and the command, so that the command's end needs neither the holder
/// nor what it knows: the holder may be killed, or stand still for longer than its lease.
class Warden {
 public:
  /// `line`: over it comes each new end of the lease; it closes with the holder.
  Warden(int line, Time until, Duration ttl) : line_(line), until_(until), ttl_(ttl) {}

  /// Starts the command and waits for its end; asks it to end when a quarter of the time is left,
  /// and ends it when an eighth is, or at once when the holder is gone.
  [[noreturn]] void guard(const std::vector<std::string>& command, std::uint64_t token) {
    setpgid(0, 0);  // not of the terminal's group: what is typed there goes by way of the holder
    const pid_t self = getpid();
    const pid_t child = fork();
    if (child < 0) _exit(kExitNotStarted);
    if (child == 0) become(command, token, self);
    setpgid(child, child);
    pass_signals_to(-child);
    int status = 0;
    while (waitpid(child, &status, WNOHANG) != child) {
      hear();
      const Duration left = until_ - io::Loop::now();
      if (!asked_ && left <= ttl_ / 4) {
        asked_ = true;
        kill(-child, SIGTERM);
      }
      if (alone_ || (asked_ && left <= ttl_ / 8)) kill(-child, SIGKILL);
    }
    kill(-child, SIGKILL);  // what it left behind does not hold the lock
    if (asked_) raise(kLeaseLost);
    _exit(exit_of(status));
  }

 private:
  void hear() {
    pollfd line{.fd = line_, .events = POLLIN, .revents = 0};
    if (alone_) line.fd = -1;
    if (poll(&line, 1, kLookEveryMs) <= 0) return;
    std::int64_t until = 0;
    const ssize_t size = read(line_, &until, sizeof(until));
    if (size == 0) alone_ = true;
    if (size == sizeof(until)) until_ = std::max(until_, Time{until});
  }

  int line_;
  Time until_;
  Duration ttl_;
  bool asked_ = false;
  bool alone_ = false;
};

int run_under(Held& held, std::uint64_t token, const std::vector<std::string>& command) {
  std::array<int, 2> line{};
  if (pipe2(line.data(), O_CLOEXEC) != 0) return say({Code::Io, "cannot make a pipe"});
  const Time until = held.until();
  const pid_t warden = fork();
  if (warden < 0) return say({Code::Io, "cannot start a process"});
  if (warden == 0) {
    close(line[1]);
    Warden(line[0], until, held.ttl()).guard(command, token);
  }
  close(line[0]);
  std::signal(SIGPIPE, SIG_IGN);
  pass_signals_to(warden);
  const Renewer renewer(held, line[1]);
  int status = 0;
  while (waitpid(warden, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFSIGNALED(status) || WTERMSIG(status) != kLeaseLost) return exit_of(status);
  say({Code::Timeout, "the lease was not renewed in time: the command was ended"});
  return 1;
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
  std::signal(SIGCHLD, SIG_DFL);     // the command's end is waited for
  std::signal(kLeaseLost, SIG_DFL);  // and how it came
  const int code = run_under(held, *token, options.command);
  held.release();
  return code;
}

}  // namespace fettle::cli
