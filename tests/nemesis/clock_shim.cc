// libfettle-clock-shim.so, for LD_PRELOAD: one process's wall clock, moved by as many nanoseconds
// as stand (int64, native order) in the file that FETTLE_CLOCK_FILE names; writing there steps the
// clock of the running process. The other clocks stay as they are.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace {

constexpr std::int64_t kNanoseconds = 1'000'000'000;

using ClockGettime = int (*)(clockid_t, timespec*);

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "fettle-clock-shim: %s\n", what);
  std::_Exit(127);
}

/// The file's eight bytes, shared with who writes them; null if none is named.
const std::atomic<std::int64_t>* offset_in_file() {
  const char* name = std::getenv("FETTLE_CLOCK_FILE");
  if (name == nullptr) return nullptr;
  const int file = open(name, O_RDONLY | O_CLOEXEC);
  if (file < 0) fail("FETTLE_CLOCK_FILE cannot be opened");
  void* bytes = mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (bytes == MAP_FAILED) fail("FETTLE_CLOCK_FILE cannot be mapped");
  return static_cast<const std::atomic<std::int64_t>*>(bytes);
}

std::int64_t offset_ns() {
  static const std::atomic<std::int64_t>* const offset = offset_in_file();
  return offset == nullptr ? 0 : offset->load(std::memory_order_relaxed);
}

int real_clock(clockid_t clock, timespec* at) {
  static const auto real = reinterpret_cast<ClockGettime>(dlsym(RTLD_NEXT, "clock_gettime"));
  if (real == nullptr) fail("no clock_gettime");
  return real(clock, at);
}

timespec wall() {
  timespec at{};
  real_clock(CLOCK_REALTIME, &at);
  const std::int64_t moved = at.tv_sec * kNanoseconds + at.tv_nsec + offset_ns();
  return {.tv_sec = moved / kNanoseconds, .tv_nsec = moved % kNanoseconds};
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, timespec* at) noexcept {
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return real_clock(clock, at);
  *at = wall();
  return 0;
}

__attribute__((visibility("default"))) int gettimeofday(timeval* at, void*) noexcept {
  const timespec now = wall();
  *at = {.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
  return 0;
}

__attribute__((visibility("default"))) time_t time(time_t* at) noexcept {
  const time_t now = wall().tv_sec;
  if (at != nullptr) *at = now;
  return now;
}
}
