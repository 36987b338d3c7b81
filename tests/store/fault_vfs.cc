#include "tests/store/fault_vfs.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace fettle::store {
namespace {

using Outcome = FaultDisk::Outcome;

class FaultFile final : public File {
 public:
  FaultFile(FaultDisk& disk, int inode, std::string path)
      : disk_(disk), inode_(inode), path_(std::move(path)) {}
  ~FaultFile() override { disk_.locked().erase(inode_); }
  FaultFile(const FaultFile&) = delete;
  FaultFile& operator=(const FaultFile&) = delete;

  Result<std::string> read(std::uint64_t offset, std::size_t bytes) override {
    std::string out;
    if (disk_.read(inode_, offset, bytes, out) != Outcome::Fine) return failed("read");
    return out;
  }
  Status write(std::uint64_t offset, std::string_view bytes) override {
    if (disk_.write(inode_, offset, bytes) != Outcome::Fine) return failed("write");
    return {};
  }
  Status sync() override {
    if (disk_.sync(inode_) != Outcome::Fine) return failed("sync");
    return {};
  }
  Result<std::uint64_t> size() override { return disk_.image().inodes.at(inode_).size(); }

 private:
  std::unexpected<Error> failed(const char* doing) const {
    return fail(Code::Io, std::string(doing) + " " + path_ + ": it fails");
  }

  FaultDisk& disk_;
  int inode_;
  std::string path_;
};

// What SQLite sees: a file is its base and where it lies. SQLite allocates it, so no constructor
// runs.
struct VfsFile {
  sqlite3_file base;
  FaultDisk* disk;
  int inode;
  bool new_name;  // its folder is synced with it
};

VfsFile& of(sqlite3_file* file) { return *reinterpret_cast<VfsFile*>(file); }
FaultDisk& disk_of(sqlite3_vfs* vfs) { return *static_cast<FaultDisk*>(vfs->pAppData); }

int code(Outcome outcome, int error) {
  if (outcome == Outcome::Fine) return SQLITE_OK;
  return outcome == Outcome::Full ? SQLITE_FULL : error;
}

int file_close(sqlite3_file*) { return SQLITE_OK; }
int file_read(sqlite3_file* file, void* out, int size, sqlite3_int64 at) {
  std::string bytes;
  const auto wanted = static_cast<std::size_t>(size);
  const Outcome read =
      of(file).disk->read(of(file).inode, static_cast<std::uint64_t>(at), wanted, bytes);
  if (read != Outcome::Fine) return SQLITE_IOERR_READ;
  std::memset(out, 0, wanted);
  std::memcpy(out, bytes.data(), bytes.size());
  return bytes.size() == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}
int file_write(sqlite3_file* file, const void* data, int size, sqlite3_int64 at) {
  const std::string_view bytes(static_cast<const char*>(data), static_cast<std::size_t>(size));
  return code(of(file).disk->write(of(file).inode, static_cast<std::uint64_t>(at), bytes),
              SQLITE_IOERR_WRITE);
}
int file_truncate(sqlite3_file* file, sqlite3_int64 size) {
  return code(of(file).disk->truncate(of(file).inode, static_cast<std::uint64_t>(size)),
              SQLITE_IOERR_TRUNCATE);
}
int file_sync(sqlite3_file* file, int) {
  const Outcome synced = of(file).disk->sync(of(file).inode);
  if (synced != Outcome::Fine || !of(file).new_name) return code(synced, SQLITE_IOERR_FSYNC);
  of(file).new_name = false;
  return code(of(file).disk->sync_folder(), SQLITE_IOERR_DIR_FSYNC);
}
int file_size(sqlite3_file* file, sqlite3_int64* size) {
  *size = static_cast<sqlite3_int64>(of(file).disk->image().inodes.at(of(file).inode).size());
  return SQLITE_OK;
}
int file_lock(sqlite3_file*, int) { return SQLITE_OK; }
int file_reserved(sqlite3_file*, int* held) {
  *held = 0;
  return SQLITE_OK;
}
int file_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int file_sector(sqlite3_file*) { return 4096; }  // as SQLite's own
int file_characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

// Version 1: no shared memory, which a database in exclusive mode does not ask for.
const sqlite3_io_methods kMethods{1,
                                  file_close,
                                  file_read,
                                  file_write,
                                  file_truncate,
                                  file_sync,
                                  file_size,
                                  file_lock,
                                  file_lock,
                                  file_reserved,
                                  file_control,
                                  file_sector,
                                  file_characteristics,
                                  nullptr,
                                  nullptr,
                                  nullptr,
                                  nullptr,
                                  nullptr,
                                  nullptr};

int vfs_open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
  FETTLE_ASSERT_MSG(name != nullptr, "the store needs no file without a name");
  FaultDisk& disk = disk_of(vfs);
  of(file).base.pMethods = nullptr;
  const auto found = disk.image().names.find(name);
  const bool there = found != disk.image().names.end();
  if (!there && (flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
  constexpr int kLogs = SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL;
  of(file).new_name = !there && (flags & kLogs) != 0;
  of(file).disk = &disk;
  of(file).inode = there ? found->second : disk.create(name);
  of(file).base.pMethods = &kMethods;
  if (out != nullptr) *out = flags;
  return SQLITE_OK;
}
int vfs_delete(sqlite3_vfs* vfs, const char* name, int sync_folder) {
  if (disk_of(vfs).image().find(name) == nullptr) return SQLITE_IOERR_DELETE_NOENT;
  disk_of(vfs).remove(name);
  if (sync_folder == 0) return SQLITE_OK;
  return code(disk_of(vfs).sync_folder(), SQLITE_IOERR_DIR_FSYNC);
}
int vfs_access(sqlite3_vfs* vfs, const char* name, int, int* there) {
  const std::string* content = disk_of(vfs).image().find(name);
  *there = content != nullptr && !content->empty() ? 1 : 0;
  return SQLITE_OK;
}
int vfs_full_path(sqlite3_vfs*, const char* name, int size, char* out) {
  sqlite3_snprintf(size, out, "%s", name);
  return SQLITE_OK;
}
int vfs_randomness(sqlite3_vfs* vfs, int size, char* out) {
  for (int i = 0; i < size; ++i) out[i] = static_cast<char>(disk_of(vfs).rng().next());
  return size;
}
int vfs_sleep(sqlite3_vfs*, int micros) { return micros; }
int vfs_time(sqlite3_vfs*, double* julian_day) {
  *julian_day = 2460000.5;
  return SQLITE_OK;
}
int vfs_last_error(sqlite3_vfs*, int, char*) { return 0; }

constexpr int kPathBytesMax = 512;

}  // namespace

FaultDisk::FaultDisk(Plan plan, Image image, Platter platter)
    : plan_(plan), image_(std::move(image)), platter_(std::move(platter)) {
  for (const auto& [inode, content] : image_.inodes) next_inode_ = std::max(next_inode_, inode + 1);
  static int made = 0;
  vfs_name_ = "fault" + std::to_string(++made);
  vfs_.iVersion = 1;
  vfs_.szOsFile = sizeof(VfsFile);
  vfs_.mxPathname = kPathBytesMax;
  vfs_.zName = vfs_name_.c_str();
  vfs_.pAppData = this;
  vfs_.xOpen = vfs_open;
  vfs_.xDelete = vfs_delete;
  vfs_.xAccess = vfs_access;
  vfs_.xFullPathname = vfs_full_path;
  vfs_.xRandomness = vfs_randomness;
  vfs_.xSleep = vfs_sleep;
  vfs_.xCurrentTime = vfs_time;
  vfs_.xGetLastError = vfs_last_error;
  FETTLE_ASSERT(sqlite3_vfs_register(&vfs_, 0) == SQLITE_OK);
}

FaultDisk::~FaultDisk() { sqlite3_vfs_unregister(&vfs_); }

Result<std::unique_ptr<File>> FaultDisk::open_existing(const std::string& path) {
  const auto found = image_.names.find(path);
  if (found == image_.names.end()) return fail(Code::NotFound, "open " + path + ": none");
  return std::make_unique<FaultFile>(*this, found->second, path);
}

Result<std::unique_ptr<File>> FaultDisk::open_locked(const std::string& path) {
  const auto found = image_.names.find(path);
  const int inode = found == image_.names.end() ? create(path) : found->second;
  if (!locked_.insert(inode).second) return fail(Code::Conflict, path + " is locked");
  return std::make_unique<FaultFile>(*this, inode, path);
}

Status FaultDisk::sync_folder_of(const std::string& path) {
  if (sync_folder() != Outcome::Fine) return fail(Code::Io, "sync the folder of " + path);
  return {};
}

void FaultDisk::note(Op op) {
  apply(image_, op, [](std::size_t) { return true; });
  platter_.take(op);
  ops_.push_back(std::move(op));
}

bool FaultDisk::strikes(bool now) {
  if (now) struck_ = true;
  return now;
}

int FaultDisk::create(const std::string& name) {
  const int inode = next_inode_++;
  note({.kind = Op::Kind::Create, .name = name, .inode = inode});
  return inode;
}

void FaultDisk::remove(const std::string& name) {
  note({.kind = Op::Kind::Delete, .name = name, .inode = image_.names.at(name)});
}

Outcome FaultDisk::read(int inode, std::uint64_t at, std::size_t bytes, std::string& out) {
  const std::string& content = image_.inodes.at(inode);
  const bool now = ++reads_ == plan_.nth;
  if (strikes(now && plan_.fault == Fault::ReadError)) return Outcome::Error;
  out = at < content.size() ? content.substr(at, bytes) : std::string();
  if (strikes(now && plan_.fault == Fault::ShortRead)) out.resize(out.size() / 2);
  return Outcome::Fine;
}

bool FaultDisk::no_room() { return strikes(plan_.fault == Fault::NoSpace && writes_ >= plan_.nth); }

Outcome FaultDisk::write(int inode, std::uint64_t at, std::string_view bytes) {
  if (struck_) ++changes_since_;
  const bool now = ++writes_ == plan_.nth;
  if (no_room()) return Outcome::Full;
  if (strikes(now && plan_.fault == Fault::WriteError)) return Outcome::Error;
  const bool half = strikes(now && plan_.fault == Fault::ShortWrite);
  if (half) bytes = bytes.substr(0, bytes.size() / 2);
  note({.kind = Op::Kind::Write, .inode = inode, .at = at, .bytes = std::string(bytes)});
  return half ? Outcome::Error : Outcome::Fine;
}

Outcome FaultDisk::truncate(int inode, std::uint64_t size) {
  if (struck_) ++changes_since_;
  const bool now = ++writes_ == plan_.nth;
  if (strikes(now && (plan_.fault == Fault::WriteError || plan_.fault == Fault::ShortWrite))) {
    return Outcome::Error;
  }
  note({.kind = Op::Kind::Truncate, .inode = inode, .at = size});
  return Outcome::Fine;
}

Outcome FaultDisk::sync(int inode) {
  if (struck_) ++changes_since_;
  const bool drops = plan_.fault == Fault::SyncError || plan_.fault == Fault::SyncHidden;
  if (strikes(++syncs_ == plan_.nth && drops)) {
    const std::string& durable = platter_.drop(inode);
    if (plan_.fault == Fault::SyncError) image_.inodes[inode] = durable;
    return Outcome::Error;
  }
  note({.kind = Op::Kind::Sync, .inode = inode});
  return Outcome::Fine;
}

Outcome FaultDisk::sync_folder() {
  if (struck_) ++changes_since_;
  const bool fails = plan_.fault == Fault::SyncError || plan_.fault == Fault::SyncHidden;
  if (strikes(++syncs_ == plan_.nth && fails)) return Outcome::Error;
  note({.kind = Op::Kind::SyncFolder});
  return Outcome::Fine;
}

}  // namespace fettle::store
