#include "io/process_usage.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "io/files.h"
#include "io/loop.h"

namespace fettle::io {
namespace {

constexpr std::size_t kStatBytesMax = 4096;
// Fields of /proc/self/stat after the command's name, counted from the state (proc(5): field 3).
constexpr std::size_t kUtime = 11;
constexpr std::size_t kStime = 12;
constexpr std::size_t kStartTime = 19;
constexpr std::size_t kVsize = 20;
constexpr std::size_t kRss = 21;

std::vector<std::uint64_t> stat_fields() {
  const auto text = read_file("/proc/self/stat", kStatBytesMax);
  std::vector<std::uint64_t> fields;
  if (!text || text->rfind(')') == std::string::npos) return fields;
  std::size_t at = text->rfind(')') + 2;
  while (at < text->size()) {
    const std::size_t end = std::min(text->find(' ', at), text->size());
    fields.push_back(std::strtoull(text->substr(at, end - at).c_str(), nullptr, 10));
    at = end + 1;
  }
  return fields;
}

std::uint64_t count_fds() {
  std::error_code ignored;
  std::uint64_t count = 0;
  for (std::filesystem::directory_iterator fd("/proc/self/fd", ignored), end; fd != end;
       fd.increment(ignored)) {
    ++count;
  }
  return count == 0 ? 0 : count - 1;  // one is the directory that was being read
}

/// The start is in ticks of the clock that Loop::now() reads.
double start_time(std::uint64_t ticks, double ticks_per_second) {
  constexpr double kNs = 1e9;
  constexpr double kMs = 1e3;
  const double age =
      static_cast<double>(Loop::now().ns) / kNs - static_cast<double>(ticks) / ticks_per_second;
  return static_cast<double>(Loop::wall_now().ms) / kMs - age;
}

}  // namespace

std::optional<ProcessUsage> process_usage() {
  const std::vector<std::uint64_t> fields = stat_fields();
  if (fields.size() <= kRss) return std::nullopt;
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  ProcessUsage usage;
  usage.cpu_seconds = static_cast<double>(fields[kUtime] + fields[kStime]) / ticks;
  usage.virtual_bytes = fields[kVsize];
  usage.resident_bytes = fields[kRss] * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  usage.open_fds = count_fds();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) usage.max_fds = limit.rlim_cur;
  static const double kStarted = start_time(fields[kStartTime], ticks);  // does not jitter
  usage.start_time = kStarted;
  return usage;
}

}  // namespace fettle::io
