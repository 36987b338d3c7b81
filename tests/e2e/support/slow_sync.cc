// libfettle-slow-sync.so, for LD_PRELOAD: while the file that FETTLE_SLOW_SYNC names is there, each
// fdatasync of the process takes as many milliseconds longer as FETTLE_SLOW_SYNC_MS says. A disk
// that limps.
#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>

namespace {

using Fdatasync = int (*)(int);

void limp() {
  const char* file = std::getenv("FETTLE_SLOW_SYNC");
  const char* ms = std::getenv("FETTLE_SLOW_SYNC_MS");
  if (file == nullptr || ms == nullptr || access(file, F_OK) != 0) return;
  const long longer = std::strtol(ms, nullptr, 10);
  timespec left{.tv_sec = longer / 1000, .tv_nsec = longer % 1000 * 1'000'000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int fdatasync(int file) {
  static const auto real = reinterpret_cast<Fdatasync>(dlsym(RTLD_NEXT, "fdatasync"));
  if (real == nullptr) std::_Exit(127);
  limp();
  return real(file);
}
}
