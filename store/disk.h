// Disk and File: the few file operations that the store does itself, beside SQLite's own, behind an
// interface so that tests can fail them. Blocking; one thread at a time. Every failure is final: a
// write or sync that failed is never tried again, because the kernel may have dropped the dirty
// pages and would report success for nothing (Rebello et al., "Can Applications Recover from fsync
// Failures?", 2020).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fettle::store {

/// One open file; closed, and its lock given up, by the destructor. Errors name the file.
class File {
 public:
  virtual ~File() = default;
  /// The bytes at `offset`; fewer than `bytes` only where the file ends.
  virtual Result<std::string> read(std::uint64_t offset, std::size_t bytes) = 0;
  /// All of them, or an error; not durable before sync().
  virtual Status write(std::uint64_t offset, std::string_view bytes) = 0;
  /// What was written is durable on return (fdatasync).
  virtual Status sync() = 0;
  /// In bytes.
  virtual Result<std::uint64_t> size() = 0;
};

/// Where the store's files lie: our own by File, SQLite's by the VFS of that name.
class Disk {
 public:
  virtual ~Disk() = default;
  /// To read and write, not locked. NotFound if there is none.
  virtual Result<std::unique_ptr<File>> open_existing(const std::string& path) = 0;
  /// To read and write, made if there is none, locked as long as it is open. Conflict: another
  /// holds it, this process included.
  virtual Result<std::unique_ptr<File>> open_locked(const std::string& path) = 0;
  /// Makes durable that the folder of `path` names the files it names.
  virtual Status sync_folder_of(const std::string& path) = 0;
  /// SQLite's VFS for the databases here; null: its own.
  virtual const char* vfs() const = 0;
};

/// The host's own. Lives as long as the process.
Disk& host_disk();

}  // namespace fettle::store
