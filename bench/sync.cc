#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "bench/measure.h"

namespace fettle::bench {

Status measure_sync(const std::string& folder, std::size_t count) {
  const std::string path = folder + "/sync";
  const int fd = open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  const std::string block(4096, 's');
  nlohmann::json times = nlohmann::json::array();
  bool good = fd >= 0;
  for (std::size_t i = 0; good && i < count; ++i) {
    good = write(fd, block.data(), block.size()) == static_cast<ssize_t>(block.size());
    const auto began = std::chrono::steady_clock::now();
    good = good && fdatasync(fd) == 0;
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - began;
    times.push_back(took.count());
  }
  const std::string why = good ? "" : std::strerror(errno);
  if (fd >= 0) close(fd);
  unlink(path.c_str());
  if (!good) return fail(Code::Io, path + ": " + why);
  std::puts(nlohmann::json{{"times_us", std::move(times)}}.dump().c_str());
  return {};
}

}  // namespace fettle::bench
