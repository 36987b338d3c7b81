#include "io/files.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace fettle::io {
namespace {

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

std::unexpected<Error> system_error(const std::string& what) {
  const int code = errno;
  return fail(code == ENOENT ? Code::NotFound : Code::Io, what + ": " + std::strerror(code));
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return system_error("open " + path);
  std::string text;
  std::array<char, 65536> part;
  while (true) {
    const ssize_t count = read(file.fd, part.data(), part.size());
    if (count < 0) return system_error("read " + path);
    if (count == 0) return text;
    text.append(part.data(), static_cast<std::size_t>(count));
    if (text.size() > bytes_max) {
      return fail(Code::Invalid, path + " is larger than " + std::to_string(bytes_max) + " bytes");
    }
  }
}

Status write_file_atomic(const std::string& path, std::string_view bytes, mode_t mode) {
  const std::string beside = path + ".new";
  {
    const Descriptor file{open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)};
    if (file.fd < 0) return system_error("create " + beside);
    if (fchmod(file.fd, mode) != 0) return system_error("chmod " + beside);
    while (!bytes.empty()) {
      const ssize_t count = write(file.fd, bytes.data(), bytes.size());
      if (count < 0) return system_error("write " + beside);
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    if (fsync(file.fd) != 0) return system_error("fsync " + beside);
  }
  if (std::rename(beside.c_str(), path.c_str()) != 0) return system_error("rename to " + path);
  return {};
}

std::vector<std::string> glob(const std::string& pattern) {
  if (pattern.find_first_of("*?") == std::string::npos) return {pattern};
  glob_t found{};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    for (std::size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
  }
  globfree(&found);
  return paths;
}

}  // namespace fettle::io
