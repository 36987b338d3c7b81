// Keeper: the small process that stands between a member and one program that it runs. It lives in
// a session of its own and holds one end of a line whose other end only the member holds: when that
// end closes, because the member wants the program ended or because it died by whatever signal, the
// keeper kills the program's whole process group, reaps it and ends. (PR_SET_PDEATHSIG alone would
// miss the program's children and hangs on the thread that forked.) Internal to process.cc.
#pragma once

#include <cstdint>
#include <type_traits>

namespace fettle::io::keeper {

/// What comes over the line, one message each.
struct Report {
  enum class What : std::uint8_t {
    Started,     // value: the program's process id, which is its group's id too
    NotStarted,  // value: the errno; Exited follows
    Exited,      // value: the exit code; what was left of its group is killed
    Signalled    // value: the signal; likewise
  };
  What what = What::Exited;
  std::int32_t value = 0;
};
static_assert(std::is_trivially_copyable_v<Report>);

/// Everything it needs, made before the fork: afterwards nothing may allocate.
struct Plan {
  char* const* argv = nullptr;         // the program's path first; null-terminated
  char* const* environment = nullptr;  // null-terminated
  int line = -1;                       // a SOCK_SEQPACKET socket; one byte from the member: go
  int output = -1;                     // the program's stdout and stderr
};

/// Runs in the forked process with every signal blocked, and never returns. The program's process
/// id stays taken until the member has closed the line, so the member may signal its group.
[[noreturn]] void keep(const Plan& plan) noexcept;

}  // namespace fettle::io::keeper
