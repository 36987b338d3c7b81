// Happy path: wait for the go → fork → report Started → the program ends → kill what is left of its
// group → report Exited → the line closes → reap → end. Failures: the line closes earlier (kill the
// group, reap, end); no fork or no exec (NotStarted); the keeper itself is killed (the kernel kills
// the program, and the member sees the line close).
// Only async-signal-safe calls: this is the fork of a process with threads.
#include "io/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace fettle::io::keeper {
namespace {

constexpr int kFirstOwn = 10;  // our descriptors are moved to here and above
constexpr int kExecFailed = 127;
constexpr mode_t kUmask = 022;

void tell(int line, Report::What what, int value) noexcept {
  const Report report{what, value};
  static_cast<void>(send(line, &report, sizeof report, MSG_NOSIGNAL));
}

void close_between(unsigned first, unsigned last) noexcept {
  if (first > last || close_range(first, last, 0) == 0) return;
  rlimit limit{};
  const bool known = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  const auto end = std::min<rlim_t>(last, known ? limit.rlim_cur : 65536);
  for (rlim_t fd = first; fd <= end; ++fd) close(static_cast<int>(fd));
}

/// Keeps `a` and `b` and the standard three of everything that is open.
void close_all_but(int a, int b) noexcept {
  const auto low = static_cast<unsigned>(std::min(a, b));
  const auto high = static_cast<unsigned>(std::max(a, b));
  close_between(STDERR_FILENO + 1, low - 1);
  close_between(low + 1, high - 1);
  close_between(high + 1, ~0U);
}

/// Handlers of the member must not run here, and what it ignores its programs must not ignore.
void reset_signals() noexcept {
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) sigaction(number, &standard, nullptr);
}

[[noreturn]] void become(const Plan& plan, pid_t keeper) noexcept {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != keeper) _exit(kExecFailed);
  dup2(plan.output, STDOUT_FILENO);
  dup2(plan.output, STDERR_FILENO);
  umask(kUmask);
  sigset_t none;
  sigemptyset(&none);
  if (chdir("/") == 0 && sigprocmask(SIG_SETMASK, &none, nullptr) == 0) {
    execve(plan.argv[0], plan.argv, plan.environment);
  }
  tell(plan.line, Report::What::NotStarted, errno);
  _exit(kExecFailed);
}

/// True if the member said go; false if it closed the line.
bool await_go(int line) noexcept {
  pollfd waits{line, POLLIN, 0};
  while (poll(&waits, 1, -1) < 0 && errno == EINTR) {
  }
  char go = 0;
  return recv(line, &go, 1, 0) == 1;
}

/// True once the program has ended and its end is told; it is not reaped yet. Orphans of its group,
/// which come to us, are reaped on the way.
bool ended(pid_t program, int line) noexcept {
  while (true) {
    siginfo_t info{};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return false;
    if (info.si_pid != program) {
      waitpid(info.si_pid, nullptr, WNOHANG);
      continue;
    }
    kill(-program, SIGKILL);
    const bool exited = info.si_code == CLD_EXITED;
    tell(line, exited ? Report::What::Exited : Report::What::Signalled, info.si_status);
    return true;
  }
}

/// Returns when the line is closed.
void watch(pid_t program, int line, int children) noexcept {
  bool over = false;
  while (true) {
    pollfd waits[2] = {{line, POLLIN, 0}, {over ? -1 : children, POLLIN, 0}};
    if (poll(waits, 2, -1) < 0) continue;
    if (waits[0].revents != 0) return;
    if (waits[1].revents == 0) continue;
    signalfd_siginfo drained{};
    static_cast<void>(read(children, &drained, sizeof drained));
    over = ended(program, line);
  }
}

}  // namespace

void keep(const Plan& given) noexcept {
  reset_signals();
  setsid();
  prctl(PR_SET_NAME, "fettle-keeper");
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  Plan plan = given;
  plan.line = fcntl(given.line, F_DUPFD_CLOEXEC, kFirstOwn);
  plan.output = fcntl(given.output, F_DUPFD_CLOEXEC, kFirstOwn);
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (plan.line < 0 || plan.output < 0 || nothing < 0) {
    tell(given.line, Report::What::NotStarted, errno);
    _exit(1);
  }
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(nothing, standard);
  close_all_but(plan.line, plan.output);
  if (!await_go(plan.line)) _exit(0);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  const int children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  const pid_t self = getpid();
  const pid_t program = children < 0 ? -1 : _Fork();
  if (program == 0) become(plan, self);
  if (program < 0) {
    tell(plan.line, Report::What::NotStarted, errno);
    _exit(1);
  }
  setpgid(program, program);  // both sides do it, so that it is done for whoever comes first
  close(plan.output);
  tell(plan.line, Report::What::Started, program);
  watch(program, plan.line, children);
  kill(-program, SIGKILL);
  while (waitpid(-program, nullptr, 0) > 0 || errno == EINTR) {
  }
  _exit(0);
}

}  // namespace fettle::io::keeper
