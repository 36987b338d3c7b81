// Stories of a damaged write-ahead log: what SQLite makes of it, and what the scan says.
#include "store/wal_scan.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/rng.h"
#include "store/group_store.h"
#include "tests/store/memory_file.h"
#include "tests/store/raw_sql.h"
#include "tests/store/temp_folder.h"

namespace fettle::store {
namespace {

constexpr std::size_t kHeaderBytes = 32;
constexpr std::size_t kFrameBytes = 24 + 4096;

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}
std::string flip(std::string bytes, std::size_t at) {
  bytes.at(at) = static_cast<char>(bytes.at(at) ^ 1);
  return bytes;
}

/// A row of one in each of `count` transactions, in a log that was never copied into its file.
void write_rows(const std::string& path, int count) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  const auto run = [&](const std::string& sql) {
    ASSERT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sql;
  };
  run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;");
  run("CREATE TABLE one (n INTEGER PRIMARY KEY, text TEXT)");
  for (int i = 0; i < count; ++i) run("INSERT INTO one (text) VALUES ('something to keep')");
  sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_close(db);
}

std::string answer(const std::string& path, const char* sql) {
  sqlite3* db = nullptr;
  EXPECT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  std::string text;
  sqlite3_exec(
      db, sql,
      [](void* to, int, char** values, char**) {
        *static_cast<std::string*>(to) = values[0];
        return 0;
      },
      &text, nullptr);
  sqlite3_close(db);
  return text;
}

Result<WalScan> scan(const std::string& bytes) {
  MemoryFile log(bytes);
  return scan_wal(log, nullptr, "group.db-wal");
}

TEST(WalScan, SqliteDropsHalfOfADamagedLogWithoutAWordAndTheScanSaysWhere) {
  const TempFolder folder;
  const std::string path = folder.file("plain.db");
  ASSERT_NO_FATAL_FAILURE(write_rows(path, 100));
  const std::string whole = read(path + "-wal");
  const std::size_t frames = (whole.size() - kHeaderBytes) / kFrameBytes;
  const std::size_t middle = frames / 2;
  const std::string damaged = flip(whole, kHeaderBytes + middle * kFrameBytes + 1000);

  ASSERT_TRUE(scan(whole));
  EXPECT_EQ(scan(whole)->frames, frames);
  EXPECT_EQ(scan(whole)->transactions, 101U);
  const auto found = scan(damaged);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::Corrupt);
  EXPECT_EQ(found.error().what, "group.db-wal: frame " + std::to_string(middle + 1) + " at byte " +
                                    std::to_string(kHeaderBytes + middle * kFrameBytes) +
                                    " is damaged, and later transactions follow it, up to frame " +
                                    std::to_string(middle + 2) + " or further");

  write(path + "-wal", damaged);
  std::filesystem::remove(path + "-shm");
  EXPECT_LT(std::stoi(answer(path, "SELECT count(*) FROM one")), 60) << "of 100";
  EXPECT_EQ(answer(path, "PRAGMA integrity_check"), "ok");
}

TEST(WalScan, ALogCutAnywhereIsATornTail) {
  const TempFolder folder;
  const std::string path = folder.file("plain.db");
  ASSERT_NO_FATAL_FAILURE(write_rows(path, 6));
  const std::string whole = read(path + "-wal");
  std::uint64_t before = 0;
  for (std::size_t size = 0; size <= whole.size(); size += 97) {
    const auto found = scan(whole.substr(0, size));
    ASSERT_TRUE(found) << size << ": " << found.error().what;
    EXPECT_GE(found->frames, before);
    EXPECT_LE(found->bytes, size);
    before = found->frames;
  }
}

TEST(WalScan, TheLastTransactionDamagedMayBeATornOne) {
  const TempFolder folder;
  const std::string path = folder.file("plain.db");
  ASSERT_NO_FATAL_FAILURE(write_rows(path, 6));
  const std::string whole = read(path + "-wal");
  const auto found = scan(flip(whole, whole.size() - 10));
  ASSERT_TRUE(found) << found.error().what;
  EXPECT_EQ(found->transactions, scan(whole)->transactions - 1);
}

TEST(WalScan, AWrongHeaderIsDamageUnlessTheDatabaseHasAllOfItsFrames) {
  const TempFolder folder;
  const std::string path = folder.file("plain.db");
  ASSERT_NO_FATAL_FAILURE(write_rows(path, 6));
  const std::string damaged = flip(read(path + "-wal"), 17);
  MemoryFile log(damaged);
  MemoryFile stale(read(path));
  const auto found = scan_wal(log, &stale, "group.db-wal");
  ASSERT_FALSE(found);
  EXPECT_TRUE(found.error().what.starts_with("group.db-wal: its header at byte 0 is damaged"))
      << found.error().what;
  raw_sql(path, "PRAGMA wal_checkpoint(PASSIVE)");
  MemoryFile copied(read(path));
  const auto fine = scan_wal(log, &copied, "group.db-wal");
  ASSERT_TRUE(fine) << fine.error().what;
  EXPECT_EQ(fine->frames, 0U);
}

TEST(WalScan, ALogOfABigEndianHostIsRead) {
  // The checksums of a log made here, counted anew over big-endian words.
  const TempFolder folder;
  const std::string path = folder.file("plain.db");
  ASSERT_NO_FATAL_FAILURE(write_rows(path, 3));
  const std::string big = big_endian_wal(read(path + "-wal"));
  ASSERT_TRUE(scan(big));
  EXPECT_EQ(scan(big)->transactions, 4U);
  EXPECT_FALSE(scan(flip(big, kHeaderBytes + 500)));
}

TEST(WalScan, TheStoreRefusesALogThatIsDamagedInItsMiddle) {
  const TempFolder folder;
  const std::string path = folder.file("group.db");
  const std::string copy = folder.file("copy.db");
  {
    auto store = GroupStore::open(path);
    ASSERT_TRUE(store);
    for (std::uint64_t i = 1; i <= 40; ++i) {
      raft::Persist persist;
      persist.entries = {{Term{1}, Index{i}, raft::EntryKind::Noop, std::string(3000, 'x')}};
      ASSERT_TRUE((*store)->save({persist}));
    }
    for (const char* end : {"", "-wal", "-superblock"}) write(copy + end, read(path + end));
  }
  const std::string whole = read(copy + "-wal");
  write(copy + "-wal", flip(whole, whole.size() / 2));
  const auto refused = GroupStore::open(copy);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().what.starts_with(copy + "-wal: frame ")) << refused.error().what;
  write(copy + "-wal", whole);
  auto again = GroupStore::open(copy);
  ASSERT_TRUE(again) << "refusing changed nothing: " << again.error().what;
  EXPECT_EQ((*again)->load()->entries.size(), 40U);
}

}  // namespace
}  // namespace fettle::store
