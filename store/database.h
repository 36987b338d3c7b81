// Database: one SQLite file, opened for durability: WAL, synchronous=FULL, one process at a time.
// Blocks; used from the disk worker's thread only. Errors name the file and SQLite's text.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

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

class Database {
 public:
  /// Opens or creates the file and its tables. `version` is the format of what is inside: another
  /// one is refused. Conflict if another process holds it.
  static Result<std::unique_ptr<Database>> open(const std::string& path, const char* schema,
                                                int version);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  sqlite3* raw() const { return db_; }
  Status run(const char* sql);
  /// Runs `work` in one transaction that is durable on return; an error rolls it back.
  template <typename Work>
  Status transaction(Work&& work) {
    FETTLE_CHECK(run("BEGIN IMMEDIATE"));
    if (Status done = work(); !done) {
      static_cast<void>(run("ROLLBACK"));
      return done;
    }
    FETTLE_CHECK(run("COMMIT"));
    return checkpoint_if_large();
  }
  /// The newest error as a value.
  std::unexpected<Error> error(const std::string& doing) const;

 private:
  Database(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}
  Status checkpoint_if_large();

  sqlite3* db_;
  std::string path_;
  int wal_pages_ = 0;
};

}  // namespace fettle::store
