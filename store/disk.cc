#include "store/disk.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace fettle::store {
namespace {

std::unexpected<Error> failed(const std::string& doing, const std::string& path, int error) {
  return fail(error == ENOENT ? Code::NotFound : Code::Io,
              doing + " " + path + ": " + std::strerror(error));
}

class HostFile final : public File {
 public:
  HostFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~HostFile() override { close(fd_); }
  HostFile(const HostFile&) = delete;
  HostFile& operator=(const HostFile&) = delete;

  Result<std::string> read(std::uint64_t offset, std::size_t bytes) override {
    std::string read(bytes, '\0');
    std::size_t have = 0;
    while (have < bytes) {
      const ssize_t got =
          pread(fd_, read.data() + have, bytes - have, static_cast<off_t>(offset + have));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return failed("read", path_, errno);
      if (got == 0) break;
      have += static_cast<std::size_t>(got);
    }
    read.resize(have);
    return read;
  }
  Status write(std::uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t put = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return failed("write", path_, put < 0 ? errno : ENOSPC);
      offset += static_cast<std::size_t>(put);
      bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
  }
  Status sync() override {
    if (fdatasync(fd_) != 0) return failed("sync", path_, errno);
    return {};
  }
  Result<std::uint64_t> size() override {
    struct stat found{};
    if (fstat(fd_, &found) != 0) return failed("stat", path_, errno);
    return static_cast<std::uint64_t>(found.st_size);
  }

 private:
  int fd_;
  std::string path_;
};

class HostDisk final : public Disk {
 public:
  Result<std::unique_ptr<File>> open_existing(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) return failed("open", path, errno);
    return std::make_unique<HostFile>(fd, path);
  }
  Result<std::unique_ptr<File>> open_locked(const std::string& path) override {
    constexpr mode_t kOwnerOnly = 0600;
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kOwnerOnly);
    if (fd < 0) return fail(Code::Io, "open " + path + ": " + std::strerror(errno));
    auto file = std::make_unique<HostFile>(fd, path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return file;
    if (errno == EWOULDBLOCK) return fail(Code::Conflict, path + " is locked by another process");
    return failed("lock", path, errno);
  }
  Status sync_folder_of(const std::string& path) override {
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return failed("open", folder, errno);
    const int error = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    if (error != 0) return failed("sync", folder, error);
    return {};
  }
  const char* vfs() const override { return nullptr; }
};

}  // namespace

Disk& host_disk() {
  static HostDisk disk;
  return disk;
}

}  // namespace fettle::store
