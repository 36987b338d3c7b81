// Processes: runs programs of this host from one loop and reaps every one of them. A program gets
// what its command says and nothing else: no shell, no inherited descriptor or environment, stdin
// /dev/null, working directory /, default signals, a session and process group apart from ours.
// When it ends, is killed, or this process ends by whatever cause, its whole group is killed (by
// its keeper, io/keeper.h); only what gave itself another group or session outlives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/loop.h"

namespace fettle::io {

struct ProcessCommand {
  std::vector<std::string> argv;         // argv[0]: the program's absolute path
  std::vector<std::string> environment;  // all of it, as NAME=value
};

struct ProcessEnd {
  enum class How : std::uint8_t {
    Exited,      // value: the exit code
    Signalled,   // value: the signal
    NotStarted,  // value: the errno; no instruction of it ran
    Lost         // its keeper was killed: it was killed too, no telling when
  };
  How how = How::Lost;
  int value = 0;
  /// stdout and stderr as they came, bytes as they are: all of it, or its first kProcessHeadMax and
  /// last kProcessTailMax bytes with a mark between that says how much was left out.
  std::string output;
};
inline constexpr std::size_t kProcessHeadMax = 256;
inline constexpr std::size_t kProcessTailMax = 512;

class Processes;

/// One running program. Destroying it kills the whole group at once (SIGKILL) and nobody is told.
class Process {
 public:
  Process(Process&&) noexcept = default;
  Process& operator=(Process&&) = delete;
  ~Process();

  /// Its output so far, bounded as in ProcessEnd.
  std::string output() const;

 private:
  friend class Processes;
  struct Child;
  explicit Process(std::shared_ptr<Child> child) : child_(std::move(child)) {}
  std::shared_ptr<Child> child_;
};

class Processes {
 public:
  /// Programs and ended ones not reaped yet, together.
  static constexpr std::size_t kRunningMax = 64;
  /// How long the destructor waits for killed groups to be gone.
  static constexpr core::Duration kEndMax = std::chrono::seconds(2);
  /// Called once, on the loop, never from within start().
  using Done = std::function<void(ProcessEnd)>;

  explicit Processes(Loop& loop) : loop_(loop) {}
  /// Kills all that run and reaps them (the one place that waits, for kEndMax at most).
  ~Processes();
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  /// An error (Busy, Io) means that nothing was started. On the loop's thread.
  Result<Process> start(const ProcessCommand& command, Done done);

  /// Programs and ended ones not reaped yet.
  std::size_t count() const { return children_.size(); }

 private:
  friend struct Process::Child;
  void reaped(Process::Child* child);

  Loop& loop_;
  std::vector<std::shared_ptr<Process::Child>> children_;
};

}  // namespace fettle::io
