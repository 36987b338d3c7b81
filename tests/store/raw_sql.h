// Changes a database behind the store's back, as damage would.
#pragma once

#include <sqlite3.h>

#include <string>

#include "base/check.h"

namespace fettle::store {

inline void raw_sql(const std::string& path, const std::string& sql) {
  sqlite3* db = nullptr;
  FETTLE_ASSERT(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
  FETTLE_ASSERT_MSG(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK,
                    sqlite3_errmsg(db));
  sqlite3_close(db);
}

}  // namespace fettle::store
