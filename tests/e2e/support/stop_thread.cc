// fettle-stop-thread TID: holds one thread of a process still, as a wedge would, until the
// process is gone. Prints `stopped` when the thread stands and `gone` when it was killed.
//
// It seizes the thread (PTRACE_SEIZE, PTRACE_INTERRUPT) and never lets it run again. SIGABRT and
// SIGKILL get through: another thread takes the first, and dying for it wakes every thread, held or
// not. What is left then is a zombie that belongs to its tracer; until it is reaped here
// (waitpid with __WALL), the process's parent is not told. Should this program end first, the
// kernel lets the thread run on.
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

int fail(const char* what) {
  std::fprintf(stderr, "fettle-stop-thread: %s: %s\n", what, std::strerror(errno));
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fettle-stop-thread TID\n");
    return 2;
  }
  const pid_t tid = std::atoi(argv[1]);
  if (ptrace(PTRACE_SEIZE, tid, nullptr, nullptr) != 0) return fail("seize");
  if (ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr) != 0) return fail("interrupt");
  int status = 0;
  if (waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status)) return fail("wait for the stop");
  std::puts("stopped");
  std::fflush(stdout);
  while (true) {
    if (waitpid(tid, &status, __WALL) != tid) return fail("wait for the end");
    if (WIFEXITED(status) || WIFSIGNALED(status)) break;
  }
  std::puts("gone");
  return 0;
}
