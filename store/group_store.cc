#include "store/group_store.h"

#include <algorithm>

#include "base/bytes.h"

namespace fettle::store {
namespace {

constexpr int kFormat = 2;
constexpr const char* kTables =
    "CREATE TABLE entry (ix INTEGER PRIMARY KEY, bytes BLOB NOT NULL, sum INTEGER NOT NULL);"
    "CREATE TABLE snapshot (id INTEGER PRIMARY KEY CHECK (id = 1), bytes BLOB NOT NULL,"
    " sum INTEGER NOT NULL);"
    "CREATE TABLE snapshot_part (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL, sum INTEGER NOT NULL);";

/// Rows of one stage have the ids from stage * kPartsMax on.
constexpr std::uint64_t kPartsMax = 1U << 20U;
static_assert(kSnapshotBytesMax / kPartsMax <= 256, "parts may be as small as that");
constexpr std::uint64_t kPartsPerTransaction = 16;  // 4 MiB

struct SnapshotRow {
  raft::SnapshotMeta meta;
  std::uint64_t stage = 0;
  std::uint64_t bytes = 0;
  std::uint64_t sum = 0;  // of the data
};

template <typename Archive>
void fields(Archive& ar, SnapshotRow& v) {
  ar(v.meta, v.stage, v.bytes, v.sum);
}

std::uint64_t sum_of_fact(const std::string& name, const std::string& value) {
  return stable_hash(encode(std::pair{name, value}));
}

std::string text(Index index) { return std::to_string(index.value); }
std::string text(Term term) { return std::to_string(term.value); }

/// The index that the next entry must have.
Index next_index(const GroupTip& tip) {
  return next(tip.last.value > 0 ? tip.last : tip.snapshot_index);
}

/// What `held` lacks of what was acknowledged.
std::string missing(std::string_view held_bytes, std::string_view acknowledged_bytes) {
  const GroupTip held = decode<GroupTip>(held_bytes).value_or(GroupTip{});
  const GroupTip promised = decode<GroupTip>(acknowledged_bytes).value_or(GroupTip{});
  std::string said;
  const auto add = [&said](const std::string& what) { said += (said.empty() ? "" : "; ") + what; };
  const Index from = next_index(held), to = Index{next_index(promised).value - 1};
  if (to >= from) {
    add("acknowledged entries " + text(from) + ".." + text(to) + " are missing");
  } else if (promised.last_term > held.last_term) {
    add("acknowledged entries up to " + text(to) + " of term " + text(promised.last_term) +
        " are missing");
  }
  if (promised.hard != held.hard) {
    add("term " + text(promised.hard.term) + " with the vote for '" + promised.hard.vote +
        "' was acknowledged, term " + text(held.hard.term) + " with '" + held.hard.vote +
        "' is there");
  }
  if (said.empty()) add("the log ends as it should, at entry " + text(to));
  return said;
}

std::unexpected<Error> would_leave(const std::string& what) {
  return fail(Code::Invalid, "a batch that " + what);
}

/// A log that nobody could load again is not written.
Status check_whole(const GroupTip& tip) {
  const bool empty = tip.last.value == 0;
  if (!empty && tip.first.value > tip.snapshot_index.value + 1) {
    return would_leave("would leave entries from " + text(tip.first) + ", the snapshot ends at " +
                       text(tip.snapshot_index));
  }
  if (!empty && tip.last < tip.snapshot_index) {
    return would_leave("would leave entries up to " + text(tip.last) +
                       ", short of the snapshot's " + text(tip.snapshot_index));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<GroupStore>> GroupStore::open(const std::string& path,
                                                     const Options& options) {
  const Layout layout{.version = kFormat,
                      .tables = kTables,
                      .first_tip = encode(GroupTip{}),
                      .slot_sync = SlotSync::Later,
                      .missing = missing};
  FETTLE_TRY(auto db, Database::open(path, layout, options));
  FETTLE_TRY(GroupTip tip, decode<GroupTip>(db->tip()));
  return std::unique_ptr<GroupStore>(
      new GroupStore(std::move(db), std::move(tip), options.snapshot_part_bytes));
}

Result<LoadedGroup> GroupStore::load() {
  LoadedGroup loaded;
  loaded.hard = tip_.hard;
  FETTLE_CHECK(load_snapshot(loaded));
  FETTLE_CHECK(load_entries(loaded));
  FETTLE_CHECK(check_facts());
  return loaded;
}

Status GroupStore::load_entries(LoadedGroup& loaded) {
  Index next_one = tip_.first;
  Statement rows(db_->raw(), "SELECT ix, bytes, sum FROM entry ORDER BY ix");
  while (rows.step()) {
    const Index index{rows.number(0)};
    if (tip_.last.value == 0 || index < tip_.first || index > tip_.last) {
      return damaged("entry " + text(index) + " should not be there");
    }
    if (index != next_one) break;
    const std::string bytes = rows.bytes(1);
    auto entry = decode<raft::Entry>(bytes);
    if (stable_hash(bytes) != rows.number(2) || !entry || entry->index != index) {
      return damaged("entry " + text(index) + " is damaged");
    }
    next_one = next(index);
    loaded.entries.push_back(std::move(*entry));
  }
  if (rows.failed()) return db_->error("read entries");
  if (tip_.last.value == 0) return {};
  if (next_one <= tip_.last) return damaged("entry " + text(next_one) + " is missing");
  if (loaded.entries.back().term != tip_.last_term) {
    return damaged("entry " + text(tip_.last) + " is of another term");
  }
  if (Status whole = check_whole(tip_); !whole) return damaged(whole.error().what);
  return {};
}

Status GroupStore::load_snapshot(LoadedGroup& loaded) {
  Statement found(db_->raw(), "SELECT bytes, sum FROM snapshot WHERE id = 1");
  const bool there = found.step();
  if (found.failed()) return db_->error("read the snapshot");
  if (there != tip_.has_snapshot) {
    return damaged(there ? "the snapshot should not be there" : "the snapshot is missing");
  }
  if (!there) return {};
  const std::string bytes = found.bytes(0);
  const auto row = decode<SnapshotRow>(bytes);
  if (stable_hash(bytes) != found.number(1) || !row || row->bytes > kSnapshotBytesMax ||
      row->stage != tip_.stage || row->meta.index != tip_.snapshot_index ||
      row->meta.term != tip_.snapshot_term) {
    return damaged("the snapshot's head is damaged");
  }
  auto snapshot = std::make_shared<raft::Snapshot>();
  snapshot->meta = row->meta;
  snapshot->data.reserve(row->bytes);
  const std::uint64_t first = row->stage * kPartsMax;
  Statement parts(db_->raw(),
                  "SELECT bytes FROM snapshot_part WHERE id >= ? AND id < ? ORDER BY id");
  parts.bind(1, first).bind(2, first + kPartsMax);
  while (parts.step() && snapshot->data.size() < row->bytes) snapshot->data += parts.bytes(0);
  if (parts.failed()) return db_->error("read the snapshot");
  if (snapshot->data.size() != row->bytes || stable_hash(snapshot->data) != row->sum) {
    return damaged("the snapshot at " + text(row->meta.index) + " is damaged");
  }
  loaded.snapshot = std::move(snapshot);
  return {};
}

Status GroupStore::check_facts() {
  std::uint64_t count = 0, sum = 0;
  Statement rows(db_->raw(), "SELECT CAST(name AS BLOB), value, sum FROM meta");
  while (rows.step()) {
    const std::string name = rows.bytes(0);
    if (sum_of_fact(name, rows.bytes(1)) != rows.number(2)) return damaged(name + " is damaged");
    ++count;
    sum += rows.number(2);
  }
  if (rows.failed()) return db_->error("read the facts");
  if (count != tip_.facts || sum != tip_.facts_sum) return damaged("a fact is missing or another");
  return {};
}

Status GroupStore::truncate(Index from, GroupTip& tip) {
  if (tip.last < from) return {};
  Statement cut(db_->raw(), "DELETE FROM entry WHERE ix >= ?");
  cut.bind(1, from.value).step();
  if (cut.failed()) return db_->error("truncate");
  if (from <= tip.first) {
    tip.first = tip.last = Index{};
    tip.last_term = Term{};
    return {};
  }
  tip.last = Index{from.value - 1};
  Statement row(db_->raw(), "SELECT bytes FROM entry WHERE ix = ?");
  row.bind(1, tip.last.value);
  if (!row.step()) return db_->error("read entry " + text(tip.last));
  FETTLE_TRY(const raft::Entry entry, decode<raft::Entry>(row.bytes(0)));
  tip.last_term = entry.term;
  return {};
}

Status GroupStore::compact(Index to, GroupTip& tip) {
  if (to > tip.snapshot_index) {
    return would_leave("compacts up to " + text(to) + ", beyond the snapshot's " +
                       text(tip.snapshot_index));
  }
  if (tip.last.value == 0 || to < tip.first) return {};
  Statement cut(db_->raw(), "DELETE FROM entry WHERE ix <= ?");
  cut.bind(1, to.value).step();
  if (cut.failed()) return db_->error("compact");
  tip.first = next(to);
  if (to < tip.last) return {};
  tip.first = tip.last = Index{};
  tip.last_term = Term{};
  return {};
}

Status GroupStore::append(const raft::Entry& entry, GroupTip& tip) {
  if (entry.index != next_index(tip)) {
    return would_leave("appends entry " + text(entry.index) + " where " + text(next_index(tip)) +
                       " is next");
  }
  const std::string bytes = encode(entry);
  Statement add(db_->raw(), "INSERT INTO entry (ix, bytes, sum) VALUES (?, ?, ?)");
  add.bind(1, entry.index.value).bind(2, bytes).bind(3, stable_hash(bytes)).step();
  if (add.failed()) return db_->error("append entry " + text(entry.index));
  if (tip.last.value == 0) tip.first = entry.index;
  tip.last = entry.index;
  tip.last_term = entry.term;
  return {};
}

/// Rows of any stage but the one in force, a few in each transaction.
Status GroupStore::drop_stale_parts() {
  const std::uint64_t first = tip_.stage * kPartsMax;
  for (bool more = true; more;) {
    Statement stale(db_->raw(), "SELECT 1 FROM snapshot_part WHERE id < ? OR id >= ? LIMIT 1");
    more = stale.bind(1, first).bind(2, first + kPartsMax).step();
    if (stale.failed()) return db_->error("look for stale parts");
    stale.reset();
    if (!more) return {};
    FETTLE_CHECK(db_->transaction([&]() -> Result<std::string> {
      Statement cut(db_->raw(),
                    "DELETE FROM snapshot_part WHERE id IN"
                    " (SELECT id FROM snapshot_part WHERE id < ? OR id >= ? LIMIT ?)");
      cut.bind(1, first).bind(2, first + kPartsMax).bind(3, kPartsPerTransaction).step();
      if (cut.failed()) return db_->error("drop stale parts");
      return db_->tip();
    }));
  }
  return {};
}

/// Puts the data into rows of the next stage, to which nothing points yet.
Status GroupStore::stage(const raft::Snapshot& snapshot) {
  if (snapshot.data.size() > kSnapshotBytesMax) {
    return fail(Code::Invalid, "a snapshot of " + std::to_string(snapshot.data.size()) +
                                   " bytes, more than " + std::to_string(kSnapshotBytesMax));
  }
  FETTLE_CHECK(drop_stale_parts());
  const std::uint64_t first = (tip_.stage + 1) * kPartsMax;
  const std::uint64_t parts = (snapshot.data.size() + part_bytes_ - 1) / part_bytes_;
  for (std::uint64_t part = 0; part < parts;) {
    FETTLE_CHECK(db_->transaction([&]() -> Result<std::string> {
      Statement add(db_->raw(), "INSERT INTO snapshot_part (id, bytes) VALUES (?, ?)");
      const std::uint64_t end = std::min(parts, part + kPartsPerTransaction);
      for (; part < end; ++part) {
        const std::string_view bytes(snapshot.data);
        add.bind(1, first + part).bind(2, bytes.substr(part * part_bytes_, part_bytes_)).step();
        if (add.failed()) return db_->error("stage a snapshot");
        add.reset();
      }
      return db_->tip();
    }));
  }
  return {};
}

Status GroupStore::replace_snapshot(const raft::Snapshot& snapshot, GroupTip& tip) {
  tip.has_snapshot = true;
  tip.snapshot_index = snapshot.meta.index;
  tip.snapshot_term = snapshot.meta.term;
  tip.stage = tip_.stage + 1;
  const std::string bytes = encode(SnapshotRow{.meta = snapshot.meta,
                                               .stage = tip.stage,
                                               .bytes = snapshot.data.size(),
                                               .sum = stable_hash(snapshot.data)});
  Statement put(db_->raw(), "INSERT OR REPLACE INTO snapshot (id, bytes, sum) VALUES (1, ?, ?)");
  put.bind(1, bytes).bind(2, stable_hash(bytes)).step();
  if (put.failed()) return db_->error("write the snapshot");
  return {};
}

Status GroupStore::save_one(const raft::Persist& batch, GroupTip& tip) {
  if (batch.truncate_from) FETTLE_CHECK(truncate(*batch.truncate_from, tip));
  if (batch.snapshot) FETTLE_CHECK(replace_snapshot(*batch.snapshot, tip));
  if (batch.compact_to) FETTLE_CHECK(compact(*batch.compact_to, tip));
  for (const raft::Entry& entry : batch.entries) FETTLE_CHECK(append(entry, tip));
  if (batch.hard) tip.hard = *batch.hard;
  return check_whole(tip);
}

Status GroupStore::save(const std::vector<raft::Persist>& batches) {
  const auto newest =
      std::ranges::find_if(batches.rbegin(), batches.rend(),
                           [](const raft::Persist& batch) { return batch.snapshot != nullptr; });
  if (newest != batches.rend()) FETTLE_CHECK(stage(*newest->snapshot));
  GroupTip tip = tip_;
  const Status saved = db_->transaction([&]() -> Result<std::string> {
    for (const raft::Persist& batch : batches) FETTLE_CHECK(save_one(batch, tip));
    return encode(tip);
  });
  if (saved) tip_ = std::move(tip);
  return saved;
}

Result<std::optional<std::string>> GroupStore::meta(const std::string& name) {
  Statement row(db_->raw(), "SELECT value, sum FROM meta WHERE name = CAST(? AS TEXT)");
  row.bind(1, name);
  if (row.step()) {
    std::string value = row.bytes(0);
    if (sum_of_fact(name, value) != row.number(1)) return damaged(name + " is damaged");
    return value;
  }
  if (row.failed()) return db_->error("read " + name);
  return std::nullopt;
}

Status GroupStore::set_meta(const std::string& name, const std::string& value) {
  FETTLE_TRY(const std::optional<std::string> before, meta(name));
  GroupTip tip = tip_;
  if (!before) ++tip.facts;
  tip.facts_sum += sum_of_fact(name, value) - (before ? sum_of_fact(name, *before) : 0);
  FETTLE_CHECK(db_->transaction([&]() -> Result<std::string> {
    Statement put(db_->raw(),
                  "INSERT OR REPLACE INTO meta (name, value, sum)"
                  " VALUES (CAST(? AS TEXT), ?, ?)");
    put.bind(1, name).bind(2, value).bind(3, sum_of_fact(name, value)).step();
    if (put.failed()) return db_->error("write " + name);
    return encode(tip);
  }));
  tip_ = std::move(tip);
  return {};
}

std::unexpected<Error> GroupStore::damaged(const std::string& what) const {
  return fail(Code::Corrupt, db_->path() + ": " + what);
}

}  // namespace fettle::store
