#include "store/group_store.h"

#include <algorithm>

#include "base/bytes.h"

namespace fettle::store {
namespace {

constexpr int kFormat = 1;
constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS entry (ix INTEGER PRIMARY KEY, bytes BLOB NOT NULL, sum INTEGER "
    "NOT NULL);"
    "CREATE TABLE IF NOT EXISTS hard (id INTEGER PRIMARY KEY CHECK (id = 1), term INTEGER NOT NULL,"
    " vote BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS snapshot (id INTEGER PRIMARY KEY CHECK (id = 1), meta BLOB NOT "
    "NULL, data BLOB NOT NULL, sum INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL);";

}  // namespace

Result<std::unique_ptr<GroupStore>> GroupStore::open(const std::string& path) {
  FETTLE_TRY(auto db, Database::open(path, kSchema, kFormat));
  return std::unique_ptr<GroupStore>(new GroupStore(std::move(db)));
}

Result<LoadedGroup> GroupStore::load() {
  LoadedGroup loaded;
  Statement hard(db_->raw(), "SELECT term, vote FROM hard WHERE id = 1");
  if (hard.step()) loaded.hard = {Term{hard.number(0)}, hard.bytes(1)};
  if (hard.failed()) return db_->error("read term and vote");
  FETTLE_CHECK(load_snapshot(loaded));
  Statement rows(db_->raw(), "SELECT ix, bytes, sum FROM entry ORDER BY ix");
  while (rows.step()) {
    const std::uint64_t index = rows.number(0);
    const std::string bytes = rows.bytes(1);
    const std::uint64_t after = loaded.snapshot == nullptr ? 0 : loaded.snapshot->meta.index.value;
    const std::uint64_t expected =
        loaded.entries.empty() ? std::min(index, after + 1) : loaded.entries.back().index.value + 1;
    if (index != expected) {
      return fail(Code::Corrupt, "group.db: entry " + std::to_string(expected) + " is missing");
    }
    auto entry = decode<raft::Entry>(bytes);
    if (stable_hash(bytes) != rows.number(2) || !entry || entry->index.value != index) {
      return fail(Code::Corrupt, "group.db: entry " + std::to_string(index) + " is damaged");
    }
    loaded.entries.push_back(std::move(*entry));
  }
  if (rows.failed()) return db_->error("read entries");
  return loaded;
}

Status GroupStore::load_snapshot(LoadedGroup& into) {
  Statement row(db_->raw(), "SELECT meta, data, sum FROM snapshot WHERE id = 1");
  if (row.step()) {
    const std::string meta = row.bytes(0);
    auto known = decode<raft::SnapshotMeta>(meta);
    auto snapshot = std::make_shared<raft::Snapshot>();
    snapshot->data = row.bytes(1);
    if (!known || (stable_hash(meta) ^ stable_hash(snapshot->data)) != row.number(2)) {
      return fail(Code::Corrupt, "group.db: the snapshot is damaged");
    }
    snapshot->meta = std::move(*known);
    into.snapshot = std::move(snapshot);
  }
  if (row.failed()) return db_->error("read the snapshot");
  return {};
}

Status GroupStore::save_snapshot(const raft::Snapshot& snapshot) {
  const std::string meta = encode(snapshot.meta);
  Statement put(db_->raw(),
                "INSERT OR REPLACE INTO snapshot (id, meta, data, sum) VALUES (1, ?, ?, ?)");
  put.bind(1, meta).bind(2, snapshot.data);
  put.bind(3, stable_hash(meta) ^ stable_hash(snapshot.data)).step();
  if (put.failed()) return db_->error("write the snapshot");
  return {};
}

Status GroupStore::save_one(const raft::Persist& batch) {
  if (batch.truncate_from) {
    Statement cut(db_->raw(), "DELETE FROM entry WHERE ix >= ?");
    cut.bind(1, batch.truncate_from->value).step();
    if (cut.failed()) return db_->error("truncate");
  }
  if (batch.snapshot != nullptr) FETTLE_CHECK(save_snapshot(*batch.snapshot));
  if (batch.compact_to) {
    Statement compact(db_->raw(), "DELETE FROM entry WHERE ix <= ?");
    compact.bind(1, batch.compact_to->value).step();
    if (compact.failed()) return db_->error("compact");
  }
  Statement add(db_->raw(), "INSERT INTO entry (ix, bytes, sum) VALUES (?, ?, ?)");
  for (const raft::Entry& entry : batch.entries) {
    const std::string bytes = encode(entry);
    add.bind(1, entry.index.value).bind(2, bytes).bind(3, stable_hash(bytes)).step();
    if (add.failed()) return db_->error("append entry " + std::to_string(entry.index.value));
    add.reset();
  }
  if (batch.hard) {
    Statement put(db_->raw(), "INSERT OR REPLACE INTO hard (id, term, vote) VALUES (1, ?, ?)");
    put.bind(1, batch.hard->term.value).bind(2, batch.hard->vote).step();
    if (put.failed()) return db_->error("write term and vote");
  }
  return {};
}

Status GroupStore::save(const std::vector<raft::Persist>& batches) {
  return db_->transaction([&]() -> Status {
    for (const raft::Persist& batch : batches) FETTLE_CHECK(save_one(batch));
    return {};
  });
}

Result<std::optional<std::string>> GroupStore::meta(const std::string& name) {
  Statement row(db_->raw(), "SELECT value FROM meta WHERE name = CAST(? AS TEXT)");
  row.bind(1, name);
  if (row.step()) return row.bytes(0);
  if (row.failed()) return db_->error("read " + name);
  return std::nullopt;
}

Status GroupStore::set_meta(const std::string& name, const std::string& value) {
  return db_->transaction([&]() -> Status {
    Statement put(db_->raw(),
                  "INSERT OR REPLACE INTO meta (name, value) VALUES (CAST(? AS TEXT), ?)");
    put.bind(1, name).bind(2, value).step();
    if (put.failed()) return db_->error("write " + name);
    return {};
  });
}

}  // namespace fettle::store
