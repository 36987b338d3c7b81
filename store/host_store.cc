#include "store/host_store.h"

#include "base/bytes.h"

namespace fettle::store {
namespace {

constexpr int kFormat = 1;
constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS journal (key BLOB PRIMARY KEY, ix INTEGER NOT NULL, bytes BLOB NOT "
    "NULL,"
    " sum INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS fence (id INTEGER PRIMARY KEY CHECK (id = 1),"
    " generation INTEGER NOT NULL, term INTEGER NOT NULL, starts INTEGER NOT NULL DEFAULT 0);"
    "INSERT OR IGNORE INTO fence (id, generation, term) VALUES (1, 1, 0);";

}  // namespace

Result<std::unique_ptr<HostStore>> HostStore::open(const std::string& path) {
  FETTLE_TRY(auto db, Database::open(path, kSchema, kFormat));
  return std::unique_ptr<HostStore>(new HostStore(std::move(db)));
}

Result<LoadedHost> HostStore::load() {
  LoadedHost loaded;
  Statement fence(db_->raw(), "SELECT generation, term FROM fence WHERE id = 1");
  if (fence.step()) {
    loaded.generation = fence.number(0);
    loaded.term = Term{fence.number(1)};
  }
  Statement rows(db_->raw(), "SELECT bytes, sum, key FROM journal ORDER BY ix, key");
  while (rows.step()) {
    const std::string bytes = rows.bytes(0);
    auto entry = decode<core::JournalEntry>(bytes);
    if (stable_hash(bytes) != rows.number(1) || !entry) {
      return fail(Code::Corrupt, "host.db: the journal entry " + rows.bytes(2) + " is damaged");
    }
    loaded.journal.push_back(std::move(*entry));
  }
  if (fence.failed() || rows.failed()) return db_->error("read the journal");
  return loaded;
}

Status HostStore::save(const std::vector<core::executor::Journal>& writes) {
  return db_->transaction([&]() -> Status {
    for (const core::executor::Journal& write : writes) {
      Statement fence(db_->raw(), "UPDATE fence SET generation = ?, term = ? WHERE id = 1");
      fence.bind(1, write.generation).bind(2, write.term.value).step();
      if (fence.failed()) return db_->error("write the fence");
      if (!write.entry) continue;
      const std::string bytes = encode(*write.entry);
      Statement put(db_->raw(),
                    "INSERT OR REPLACE INTO journal (key, ix, bytes, sum) VALUES (?, ?, ?, ?)");
      put.bind(1, core::to_string(write.entry->key))
          .bind(2, write.entry->fence.index.value)
          .bind(3, bytes)
          .bind(4, stable_hash(bytes))
          .step();
      if (put.failed()) return db_->error("write the journal");
    }
    return {};
  });
}

Status HostStore::forget_below(Index index) {
  return db_->transaction([&]() -> Status {
    Statement cut(db_->raw(), "DELETE FROM journal WHERE ix < ?");
    cut.bind(1, index.value).step();
    if (cut.failed()) return db_->error("prune the journal");
    return {};
  });
}

Result<std::uint64_t> HostStore::count_start() {
  FETTLE_CHECK(db_->transaction(
      [&]() -> Status { return db_->run("UPDATE fence SET starts = starts + 1 WHERE id = 1"); }));
  Statement row(db_->raw(), "SELECT starts FROM fence WHERE id = 1");
  if (!row.step()) return db_->error("count the start");
  return row.number(0);
}

}  // namespace fettle::store
