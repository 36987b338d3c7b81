#include "store/database.h"

#include <sqlite3.h>

#include "base/bytes.h"
#include "base/check.h"
#include "store/wal_scan.h"

namespace fettle::store {
namespace {

constexpr const char* kTipTable =
    "CREATE TABLE tip (id INTEGER PRIMARY KEY CHECK (id = 1), sequence INTEGER NOT NULL,"
    " bytes BLOB NOT NULL, sum INTEGER NOT NULL);";
/// Of a file that was just made: nothing in it was acknowledged.
constexpr std::uint64_t kFirstSequence = 1;

std::uint64_t sum_of(const Point& point) {
  Writer writer;
  writer(point.sequence, point.tip);
  return stable_hash(writer.bytes());
}

/// Null: there is none.
Result<std::unique_ptr<File>> open_if_there(Disk& disk, const std::string& path) {
  auto file = disk.open_existing(path);
  if (!file && file.error().code == Code::NotFound) return nullptr;
  return file;
}

/// Looks at what is there before SQLite does. No other handle of this process may be open on the
/// database (closing ours would drop its locks): the superblock's lock sees to it.
Result<WalScan> look(Disk& disk, const std::string& path, const std::optional<Point>& promised) {
  FETTLE_TRY(const std::unique_ptr<File> database, open_if_there(disk, path));
  FETTLE_TRY(const std::unique_ptr<File> log, open_if_there(disk, path + "-wal"));
  std::uint64_t size = 0;
  WalScan wal;
  if (database) {
    FETTLE_TRY(size, database->size());
  }
  if (log) {
    FETTLE_TRY(wal, scan_wal(*log, database.get(), path + "-wal"));
    FETTLE_CHECK(make_durable(*log, wal.bytes, path + "-wal"));
  }
  if (size == 0 && ((promised && promised->sequence > kFirstSequence) || wal.frames > 0)) {
    return fail(Code::Corrupt, path +
                                   ": it is missing or empty, and its superblock or write-ahead"
                                   " log is not");
  }
  return wal;
}

}  // namespace

Statement::Statement(sqlite3* db, const char* sql) {
  if (sqlite3_prepare_v2(db, sql, -1, &raw_, nullptr) != SQLITE_OK) failed_ = true;
}

Statement::~Statement() { sqlite3_finalize(raw_); }

Statement& Statement::bind(int at, std::uint64_t number) {
  if (!failed_) sqlite3_bind_int64(raw_, at, static_cast<sqlite3_int64>(number));
  return *this;
}

Statement& Statement::bind(int at, std::string_view bytes) {
  if (!failed_) {
    const char* data = bytes.data() == nullptr ? "" : bytes.data();
    sqlite3_bind_blob64(raw_, at, data, bytes.size(), SQLITE_TRANSIENT);
  }
  return *this;
}

bool Statement::step() {
  if (failed_) return false;
  const int rc = sqlite3_step(raw_);
  if (rc == SQLITE_ROW) return true;
  failed_ = rc != SQLITE_DONE;
  return false;
}

std::uint64_t Statement::number(int column) const {
  return static_cast<std::uint64_t>(sqlite3_column_int64(raw_, column));
}

std::string Statement::bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(raw_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(raw_, column));
  return data == nullptr ? std::string() : std::string(data, size);
}

void Statement::reset() {
  sqlite3_reset(raw_);
  sqlite3_clear_bindings(raw_);
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path, const Layout& layout,
                                                 const Options& options) {
  Disk& disk = options.disk != nullptr ? *options.disk : host_disk();
  auto superblock = Superblock::open(disk, path + "-superblock");
  if (!superblock && superblock.error().code == Code::Conflict) {
    return fail(Code::Conflict, path + " is in use by another process");
  }
  if (!superblock) return fail(superblock.error().code, path + ": " + superblock.error().what);
  FETTLE_TRY(const WalScan wal, look(disk, path, (*superblock)->newest()));
  std::unique_ptr<Database> db(new Database(path, *std::move(superblock)));
  db->slot_sync_ = layout.slot_sync;
  db->checkpoint_pages_ = options.checkpoint_pages;
  FETTLE_CHECK(db->connect(disk.vfs()));
  FETTLE_CHECK(db->create_if_new(layout));
  FETTLE_CHECK(db->check_version(layout));
  FETTLE_CHECK(db->read_tip());
  FETTLE_CHECK(db->compare(layout));
  FETTLE_CHECK(db->check_pages());
  FETTLE_CHECK(db->empty_wal(wal.frames));
  FETTLE_CHECK(db->remember());
  FETTLE_CHECK(db->superblock_->settle());
  db->checkpoint_on_close(true);
  db->usable_ = true;
  return db;
}

Database::Database(std::string path, std::unique_ptr<Superblock> superblock)
    : path_(std::move(path)), superblock_(std::move(superblock)) {}

Database::~Database() {
  if (usable_) static_cast<void>(settle());
  sqlite3_close_v2(db_);
}

Status Database::connect(const char* vfs) {
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path_.c_str(), &db_, flags, vfs) != SQLITE_OK) return error("open");
  checkpoint_on_close(false);  // a file that is refused stays as it is
  FETTLE_CHECK(run("PRAGMA locking_mode=EXCLUSIVE"));
  FETTLE_CHECK(run("PRAGMA journal_mode=WAL"));
  FETTLE_CHECK(run("PRAGMA synchronous=FULL"));
  FETTLE_CHECK(run("PRAGMA wal_autocheckpoint=0"));
  FETTLE_CHECK(run("PRAGMA secure_delete=OFF"));  // else what is compacted is written once more
  FETTLE_CHECK(run("PRAGMA temp_store=MEMORY"));
  FETTLE_CHECK(run("BEGIN IMMEDIATE"));  // takes SQLite's lock now
  FETTLE_CHECK(run("COMMIT"));
  sqlite3_wal_hook(
      db_,
      [](void* pages, sqlite3*, const char*, int count) {
        *static_cast<int*>(pages) = count;
        return SQLITE_OK;
      },
      &wal_pages_);
  return {};
}

Status Database::create_if_new(const Layout& layout) {
  Statement inside(db_, "SELECT count(*) FROM sqlite_schema");
  if (!inside.step()) return error("read the schema");
  if (inside.number(0) != 0) return {};
  inside.reset();
  const auto& promised = superblock_->newest();
  if (promised && promised->sequence > kFirstSequence) {
    return corrupt("it is empty, and its superblock is not");
  }
  FETTLE_CHECK(run("BEGIN IMMEDIATE"));
  FETTLE_CHECK(run(kTipTable));
  FETTLE_CHECK(run(layout.tables));
  FETTLE_CHECK(put_tip({kFirstSequence, layout.first_tip}));
  FETTLE_CHECK(run(("PRAGMA user_version=" + std::to_string(layout.version)).c_str()));
  return run("COMMIT");
}

Status Database::check_version(const Layout& layout) {
  Statement asked(db_, "PRAGMA user_version");
  if (!asked.step()) return error("read the version");
  if (asked.number(0) == static_cast<std::uint64_t>(layout.version)) return {};
  return fail(Code::Invalid, path_ + " has format " + std::to_string(asked.number(0)) +
                                 ", this program " + std::to_string(layout.version));
}

/// The structure of the file: a page that is both free and in use would be written over later.
Status Database::check_pages() {
  Statement check(db_, "PRAGMA quick_check(1)");
  if (!check.step()) return error("check the pages");
  const std::string found = check.bytes(0);
  if (found != "ok") return corrupt("damaged: " + found);
  return {};
}

Status Database::read_tip() {
  Statement row(db_, "SELECT sequence, bytes, sum FROM tip WHERE id = 1");
  if (row.step()) {
    point_ = {row.number(0), row.bytes(1)};
    if (sum_of(point_) == row.number(2)) return {};
    return corrupt("its tip is damaged");
  }
  if (row.failed()) return error("read the tip");
  return corrupt("its tip is missing");
}

Status Database::compare(const Layout& layout) const {
  const auto& promised = superblock_->newest();
  if (!promised) {
    if (point_.sequence == kFirstSequence) return {};
    return corrupt("both slots of its superblock are damaged or missing, so whether its " +
                   std::to_string(point_.sequence) + " transactions are all that were " +
                   "acknowledged cannot be known");
  }
  if (promised->sequence > point_.sequence) {
    return corrupt("transactions " + std::to_string(point_.sequence + 1) + ".." +
                   std::to_string(promised->sequence) +
                   " are missing: " + layout.missing(point_.tip, promised->tip));
  }
  if (promised->sequence == point_.sequence && promised->tip != point_.tip) {
    return corrupt("it and its superblock are of different histories, at transaction " +
                   std::to_string(point_.sequence));
  }
  return {};
}

/// `frames`: what the scan found. SQLite must have found the same before the log may go; an emptied
/// log holds nothing of an earlier crash, on which scan_wal() relies.
Status Database::empty_wal(std::uint64_t frames) {
  int found = 0;
  if (sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_PASSIVE, &found, nullptr) !=
      SQLITE_OK) {
    return error("checkpoint");
  }
  const bool is_new = frames == 0 && point_.sequence == kFirstSequence;
  if (!is_new && static_cast<std::uint64_t>(found) != frames) {
    return corrupt("SQLite reads " + std::to_string(found) + " frames of its write-ahead log, " +
                   std::to_string(frames) + " are whole");
  }
  return run("PRAGMA wal_checkpoint(TRUNCATE)");
}

Status Database::run(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error(sql);
  return {};
}

Status Database::transaction(const std::function<Result<std::string>()>& work) {
  if (!usable_) {
    return fail(Code::Io, path_ + ": an earlier write failed, what is durable is not known");
  }
  Status done = begin_to_end(work);
  if (done) done = checkpoint_if_large();
  if (!done) {
    usable_ = false;
    checkpoint_on_close(false);
  }
  return done;
}

Status Database::begin_to_end(const std::function<Result<std::string>()>& work) {
  FETTLE_CHECK(run("BEGIN IMMEDIATE"));
  Result<std::string> tip = work();
  Status done = tip ? Status{} : std::unexpected(tip.error());
  Point next{point_.sequence + 1, tip.value_or("")};
  if (done) done = put_tip(next);
  if (done) done = run("COMMIT");
  if (!done) {
    static_cast<void>(sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr));
    return done;
  }
  point_ = std::move(next);
  return remember();
}

Status Database::put_tip(const Point& point) {
  FETTLE_ASSERT_MSG(point.tip.size() <= kTipBytesMax, "a tip is too large");
  Statement put(db_, "INSERT OR REPLACE INTO tip (id, sequence, bytes, sum) VALUES (1, ?, ?, ?)");
  put.bind(1, point.sequence).bind(2, point.tip).bind(3, sum_of(point)).step();
  if (put.failed()) return error("write the tip");
  return {};
}

Status Database::remember() {
  FETTLE_CHECK(superblock_->write(point_));
  if (slot_sync_ == SlotSync::BeforeAcknowledged) return superblock_->sync();
  return {};
}

Status Database::settle() {
  if (!usable_) return {};
  Status done = superblock_->settle();
  if (!done) {
    usable_ = false;
    checkpoint_on_close(false);
  }
  return done;
}

Status Database::checkpoint_if_large() {
  if (wal_pages_ < checkpoint_pages_) return {};
  wal_pages_ = 0;
  FETTLE_CHECK(superblock_->sync());
  return run("PRAGMA wal_checkpoint(RESTART)");
}

void Database::checkpoint_on_close(bool wanted) {
  sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, wanted ? 0 : 1, nullptr);
}

std::unexpected<Error> Database::error(const std::string& doing) const {
  const int rc = sqlite3_errcode(db_);
  if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED) {
    return fail(Code::Conflict, path_ + " is in use by another process");
  }
  const Code code = rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB ? Code::Corrupt : Code::Io;
  return fail(code, path_ + ": " + doing.substr(0, 40) + ": " + sqlite3_errmsg(db_));
}

std::unexpected<Error> Database::corrupt(const std::string& what) const {
  return fail(Code::Corrupt, path_ + ": " + what);
}

}  // namespace fettle::store
