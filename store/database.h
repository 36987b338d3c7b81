// Database: one SQLite file, opened for durability: WAL, synchronous=FULL, one process at a time;
// with it a superblock (store/superblock.h) that notices if acknowledged transactions are missing,
// and a scan of the write-ahead log (store/wal_scan.h) before SQLite may shorten it. Blocks; used
// from the disk worker's thread only. Errors name the file and SQLite's text.
//
// Each transaction also writes the *tip*: one row with the transaction's number and the owner's own
// account of what the tables hold, so that rows that went missing are noticed as well as changed
// ones. The superblock holds a copy of the newest acknowledged tip.
//
// After a failed write or sync every further transaction is refused: what is durable is not known
// any more, so the process must end and start anew from what is on the disk.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/disk.h"
#include "store/superblock.h"

struct sqlite3;
struct sqlite3_stmt;

namespace fettle::store {

class Statement {
 public:
  Statement(sqlite3* db, const char* sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(int at, std::uint64_t number);
  Statement& bind(int at, std::string_view bytes);
  /// True: a row is there. False: done, or an error (see failed()).
  bool step();
  bool failed() const { return failed_; }
  std::uint64_t number(int column) const;
  std::string bytes(int column) const;
  void reset();

 private:
  sqlite3_stmt* raw_ = nullptr;
  bool failed_ = false;
};

/// Which acknowledgements the superblock protects against power loss *and* damage of the last
/// transaction at the same moment (docs/decisions/0008-superblock.md).
enum class SlotSync : std::uint8_t {
  BeforeAcknowledged,  // all; a second sync for each transaction
  Later,               // those before the last checkpoint or settle(); no further sync
};

struct Options {
  Disk* disk = nullptr;         // null: the host's own; outlives the database
  int checkpoint_pages = 1000;  // of the write-ahead log; it is copied into the file beyond them
  std::size_t snapshot_part_bytes = 256U * 1024;  // of one row; files of another size are read
};

/// What is inside a file, as its owner knows it.
struct Layout {
  int version = 0;          // of tables and tip; a file of another one is refused
  const char* tables = "";  // SQL that makes them in a new file
  std::string first_tip;    // of a new file
  SlotSync slot_sync = SlotSync::BeforeAcknowledged;
  /// Says what is missing in a file with tip `held`, given the tip that was acknowledged.
  std::string (*missing)(std::string_view held, std::string_view acknowledged) = nullptr;
};

class Database {
 public:
  /// Opens or creates the file. Conflict: another process holds it. Invalid: of another version.
  /// Corrupt: damaged, or less than what was acknowledged; the files are left as they are.
  static Result<std::unique_ptr<Database>> open(const std::string& path, const Layout& layout,
                                                const Options& options = {});
  /// Settles and copies the write-ahead log into the file, unless something failed before.
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  sqlite3* raw() const { return db_; }
  const std::string& path() const { return path_; }
  /// As of the last transaction.
  const std::string& tip() const { return point_.tip; }

  /// Runs `work` in one transaction, together with the tip that it returns: durable, and remembered
  /// by the superblock, on return. An error leaves nothing of it and refuses all that follow.
  Status transaction(const std::function<Result<std::string>()>& work);
  /// Makes what the superblock remembers durable in both its slots. For quiet times; costs two
  /// syncs if anything was written since, else nothing.
  Status settle();
  /// The newest error as a value.
  std::unexpected<Error> error(const std::string& doing) const;

 private:
  Database(std::string path, std::unique_ptr<Superblock> superblock);
  Status connect(const char* vfs);
  Status create_if_new(const Layout& layout);
  Status check_version(const Layout& layout);
  Status check_pages();
  Status read_tip();
  Status compare(const Layout& layout) const;
  Status empty_wal(std::uint64_t frames);
  Status begin_to_end(const std::function<Result<std::string>()>& work);
  Status put_tip(const Point& point);
  Status remember();
  Status checkpoint_if_large();
  Status run(const char* sql);
  void checkpoint_on_close(bool wanted);
  std::unexpected<Error> corrupt(const std::string& what) const;

  const std::string path_;
  std::unique_ptr<Superblock> superblock_;
  sqlite3* db_ = nullptr;
  Point point_;
  SlotSync slot_sync_ = SlotSync::BeforeAcknowledged;
  int checkpoint_pages_ = 0;
  int wal_pages_ = 0;
  bool usable_ = false;  // opened whole, and nothing failed since
};

}  // namespace fettle::store
