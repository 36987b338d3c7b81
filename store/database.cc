#include "store/database.h"

#include <sqlite3.h>

#include "base/check.h"

namespace fettle::store {
namespace {

constexpr int kCheckpointPages = 1000;

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

Result<std::unique_ptr<Database>> Database::open(const std::string& path, const char* schema,
                                                 int version) {
  sqlite3* raw = nullptr;
  const int rc =
      sqlite3_open_v2(path.c_str(), &raw,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Database> db(new Database(raw, path));
  if (rc != SQLITE_OK) return db->error("open");
  FETTLE_CHECK(db->run("PRAGMA locking_mode=EXCLUSIVE"));
  FETTLE_CHECK(db->run("PRAGMA journal_mode=WAL"));
  FETTLE_CHECK(db->run("PRAGMA synchronous=FULL"));
  FETTLE_CHECK(db->run("PRAGMA wal_autocheckpoint=0"));
  FETTLE_CHECK(db->run("BEGIN IMMEDIATE"));  // takes the lock now: a second process is told here
  std::uint64_t found = 0;
  {
    Statement asked(raw, "PRAGMA user_version");
    if (asked.step()) found = asked.number(0);
  }
  if (found != 0 && found != static_cast<std::uint64_t>(version)) {
    return fail(Code::Invalid, path + " has format " + std::to_string(found) + ", this program " +
                                   std::to_string(version));
  }
  FETTLE_CHECK(db->run(schema));
  FETTLE_CHECK(db->run(("PRAGMA user_version=" + std::to_string(version)).c_str()));
  FETTLE_CHECK(db->run("COMMIT"));
  sqlite3_wal_hook(
      raw,
      [](void* pages, sqlite3*, const char*, int count) {
        *static_cast<int*>(pages) = count;
        return SQLITE_OK;
      },
      &db->wal_pages_);
  return db;
}

Database::~Database() { sqlite3_close_v2(db_); }

Status Database::run(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error(sql);
  return {};
}

std::unexpected<Error> Database::error(const std::string& doing) const {
  const int rc = sqlite3_errcode(db_);
  if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED) {
    return fail(Code::Conflict, path_ + " is in use by another process");
  }
  const Code code = rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB ? Code::Corrupt : Code::Io;
  return fail(code, path_ + ": " + doing.substr(0, 40) + ": " + sqlite3_errmsg(db_));
}

Status Database::checkpoint_if_large() {
  if (wal_pages_ < kCheckpointPages) return {};
  wal_pages_ = 0;
  return run("PRAGMA wal_checkpoint(RESTART)");
}

}  // namespace fettle::store
