#include "store/host_store.h"

#include "base/bytes.h"

namespace fettle::store {
namespace {

constexpr int kFormat = 3;
constexpr const char* kTables =
    "CREATE TABLE journal (key BLOB PRIMARY KEY, ix INTEGER NOT NULL, bytes BLOB NOT NULL,"
    " sum INTEGER NOT NULL) WITHOUT ROWID;";

std::string text(const HostTip& tip) {
  return "fence " + std::to_string(tip.generation) + "/" + std::to_string(tip.term.value) +
         " and journal entry " + std::to_string(tip.written);
}

/// What `held` lacks of what was acknowledged.
std::string missing(std::string_view held, std::string_view acknowledged) {
  const HostTip have = decode<HostTip>(held).value_or(HostTip{});
  const HostTip promised = decode<HostTip>(acknowledged).value_or(HostTip{});
  return text(promised) + " were acknowledged, " + text(have) + " are there";
}

}  // namespace

Result<std::unique_ptr<HostStore>> HostStore::open(const std::string& path,
                                                   const Options& options) {
  const Layout layout{.version = kFormat,
                      .tables = kTables,
                      .first_tip = encode(HostTip{}),
                      .slot_sync = SlotSync::BeforeAcknowledged,
                      .missing = missing};
  FETTLE_TRY(auto db, Database::open(path, layout, options));
  FETTLE_TRY(const HostTip tip, decode<HostTip>(db->tip()));
  return std::unique_ptr<HostStore>(new HostStore(std::move(db), tip));
}

Result<LoadedHost> HostStore::load() {
  LoadedHost loaded;
  loaded.generation = tip_.generation;
  loaded.term = tip_.term;
  std::uint64_t sum = 0;
  Statement rows(db_->raw(), "SELECT bytes, sum, key, ix FROM journal ORDER BY ix, key");
  while (rows.step()) {
    const std::string bytes = rows.bytes(0);
    auto entry = decode<core::JournalEntry>(bytes);
    if (stable_hash(bytes) != rows.number(1) || !entry ||
        core::to_string(entry->key) != rows.bytes(2) ||
        entry->fence.index.value != rows.number(3)) {
      return damaged("the journal entry " + rows.bytes(2) + " is damaged");
    }
    sum += rows.number(1);
    loaded.journal.push_back(std::move(*entry));
  }
  if (rows.failed()) return db_->error("read the journal");
  if (loaded.journal.size() != tip_.entries) {
    return damaged(std::to_string(tip_.entries) + " journal entries should be there, " +
                   std::to_string(loaded.journal.size()) + " are");
  }
  if (sum != tip_.sum) return damaged("the journal holds other entries than were written");
  return loaded;
}

Status HostStore::put(const core::JournalEntry& entry, HostTip& tip) {
  const std::string key = core::to_string(entry.key);
  const std::string bytes = encode(entry);
  Statement before(db_->raw(), "SELECT sum FROM journal WHERE key = ?");
  before.bind(1, std::string_view(key));
  if (before.step()) {
    tip.sum -= before.number(0);
    --tip.entries;
  }
  if (before.failed()) return db_->error("read the journal");
  Statement put(db_->raw(),
                "INSERT OR REPLACE INTO journal (key, ix, bytes, sum) VALUES (?, ?, ?, ?)");
  put.bind(1, key).bind(2, entry.fence.index.value).bind(3, bytes).bind(4, stable_hash(bytes));
  put.step();
  if (put.failed()) return db_->error("write the journal");
  tip.sum += stable_hash(bytes);
  ++tip.entries;
  ++tip.written;
  return {};
}

Status HostStore::save(const std::vector<core::executor::Journal>& writes) {
  HostTip tip = tip_;
  const Status saved = db_->transaction([&]() -> Result<std::string> {
    for (const core::executor::Journal& write : writes) {
      tip.generation = write.generation;
      tip.term = write.term;
      if (write.entry) FETTLE_CHECK(put(*write.entry, tip));
    }
    return encode(tip);
  });
  if (saved) tip_ = tip;
  return saved;
}

Status HostStore::forget_below(Index index) {
  HostTip tip = tip_;
  const Status forgotten = db_->transaction([&]() -> Result<std::string> {
    Statement going(db_->raw(), "SELECT sum FROM journal WHERE ix < ?");
    going.bind(1, index.value);
    while (going.step()) {
      tip.sum -= going.number(0);
      --tip.entries;
    }
    Statement cut(db_->raw(), "DELETE FROM journal WHERE ix < ?");
    cut.bind(1, index.value).step();
    if (going.failed() || cut.failed()) return db_->error("prune the journal");
    return encode(tip);
  });
  if (forgotten) tip_ = tip;
  return forgotten;
}

Result<std::uint64_t> HostStore::count_start() {
  HostTip tip = tip_;
  ++tip.starts;
  FETTLE_CHECK(db_->transaction([&]() -> Result<std::string> { return encode(tip); }));
  tip_ = tip;
  return tip_.starts;
}

Result<std::string> HostStore::incarnation(const std::string& fresh) {
  if (!tip_.incarnation.empty()) return tip_.incarnation;
  HostTip tip = tip_;
  tip.incarnation = fresh;
  FETTLE_CHECK(db_->transaction([&]() -> Result<std::string> { return encode(tip); }));
  tip_ = tip;
  return tip_.incarnation;
}

std::unexpected<Error> HostStore::damaged(const std::string& what) const {
  return fail(Code::Corrupt, db_->path() + ": " + what);
}

}  // namespace fettle::store
