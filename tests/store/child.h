// A child process that reports numbers through a pipe and may be killed at any moment. What runs in
// it must not touch GoogleTest; it ends by _exit.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>

#include "base/check.h"

namespace fettle::store {

class Child {
 public:
  /// Said by the child; false: nobody listens any more.
  using Say = std::function<bool(std::uint64_t)>;

  explicit Child(const std::function<int(const Say&)>& work) {
    std::array<int, 2> ends{};
    FETTLE_ASSERT(pipe(ends.data()) == 0);
    pid_ = fork();
    FETTLE_ASSERT(pid_ >= 0);
    if (pid_ == 0) {
      close(ends[0]);
      _exit(work([&](std::uint64_t number) {
        return write(ends[1], &number, sizeof(number)) == static_cast<ssize_t>(sizeof(number));
      }));
    }
    close(ends[1]);
    pipe_ = ends[0];
  }
  ~Child() {
    kill_now();
    close(pipe_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// The next number it said; nothing once it is dead and all was read.
  std::optional<std::uint64_t> hear() const {
    std::uint64_t number = 0;
    const ssize_t size = read(pipe_, &number, sizeof(number));
    if (size != static_cast<ssize_t>(sizeof(number))) return std::nullopt;
    return number;
  }
  /// SIGKILL, and waits until it is gone.
  void kill_now() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    wait_for_exit();
  }
  /// Its exit status; -1 if a signal ended it.
  int wait_for_exit() {
    int status = 0;
    FETTLE_ASSERT(waitpid(pid_, &status, 0) == pid_);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_ = -1;
  int pipe_ = -1;
};

}  // namespace fettle::store
