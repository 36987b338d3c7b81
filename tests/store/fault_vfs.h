// FaultDisk: a disk in memory that fails on demand, under both the store's own files (store::Disk)
// and SQLite's (a VFS registered under a name of its own). Records every operation, so that a power
// loss after each can be played afterwards (tests/store/platter.h). One thread.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/rng.h"
#include "store/disk.h"
#include "tests/store/platter.h"

namespace fettle::store {

enum class Fault : std::uint8_t {
  None,
  WriteError,  // the nth write or truncation fails and changes nothing
  ShortWrite,  // the nth write puts half of its bytes there, then fails
  NoSpace,     // from the nth write on there is no room, for any
  SyncError,   // the nth sync fails, and what was to be synced is gone
  SyncHidden,  // the same, but it can be read until the power is lost
  ReadError,   // the nth read fails
  ShortRead,   // the nth read says that the file ends in its middle
};

struct Plan {
  Fault fault = Fault::None;
  std::uint64_t nth = 0;  // counted from 1, over all files
};

class FaultDisk final : public Disk {
 public:
  /// All of `image` is durable.
  explicit FaultDisk(Plan plan = {}, const Image& image = {})
      : FaultDisk(plan, image, Platter(image)) {}
  /// What can be read is `image`, what is durable is up to `platter`.
  FaultDisk(Plan plan, Image image, Platter platter);
  ~FaultDisk() override;
  FaultDisk(const FaultDisk&) = delete;
  FaultDisk& operator=(const FaultDisk&) = delete;

  Result<std::unique_ptr<File>> open_existing(const std::string& path) override;
  Result<std::unique_ptr<File>> open_locked(const std::string& path) override;
  Status sync_folder_of(const std::string& path) override;
  const char* vfs() const override { return vfs_name_.c_str(); }

  /// As a process sees it now, and after its death.
  const Image& image() const { return image_; }
  const Platter& platter() const { return platter_; }
  const std::vector<Op>& ops() const { return ops_; }
  bool struck() const { return struck_; }
  /// Those recorded so far are not asked for any more.
  void forget_ops() { ops_.clear(); }
  /// Another fault from now on; operations are counted from here.
  void set_plan(Plan plan) {
    plan_ = plan;
    reads_ = writes_ = syncs_ = 0;
  }
  /// Writes, truncations and syncs that were asked for after the fault.
  std::uint64_t changes_since() const { return changes_since_; }

  // What the files below are made of; also SQLite's view.
  enum class Outcome : std::uint8_t { Fine, Error, Full };
  int create(const std::string& name);
  Outcome read(int inode, std::uint64_t at, std::size_t bytes, std::string& out);
  Outcome write(int inode, std::uint64_t at, std::string_view bytes);
  Outcome truncate(int inode, std::uint64_t size);
  Outcome sync(int inode);
  Outcome sync_folder();
  void remove(const std::string& name);
  Rng& rng() { return rng_; }
  std::set<int>& locked() { return locked_; }

 private:
  void note(Op op);
  bool strikes(bool now);
  bool no_room();

  Plan plan_;
  Image image_;
  Platter platter_;
  std::vector<Op> ops_;
  std::set<int> locked_;
  int next_inode_ = 1;
  std::uint64_t reads_ = 0, writes_ = 0, syncs_ = 0;
  bool struck_ = false;
  std::uint64_t changes_since_ = 0;
  Rng rng_{7};  // SQLite's salts: the same in each run
  std::string vfs_name_;
  sqlite3_vfs vfs_{};
};

}  // namespace fettle::store
