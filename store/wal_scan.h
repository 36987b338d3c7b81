// scan_wal: reads a write-ahead log of SQLite before SQLite does, and tells damage in its middle
// from a torn tail. SQLite itself stops at the first frame that is wrong and drops what follows
// without a word, be it one torn transaction or a thousand good ones
// (https://www.sqlite.org/walformat.html, "Recovery").
//
// What a power loss may leave is known, because each transaction is synced before the next begins
// (synchronous=FULL), and because Database empties the log whenever it opens one, so nothing of an
// earlier crash lies in it: behind the last whole transaction there may be parts of one more. So a
// wrong frame with the end of one transaction of the same generation (salts) at it or behind it may
// be a torn one; with the ends of two it is damage. Damage to the very last transaction looks like
// a torn one; the superblock tells them apart.
//
// A wrong header has frames behind it only if it was damaged, or if writing the next one over it
// failed halfway. The latter comes after all of its frames were copied into the database, so those
// are compared.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "store/disk.h"

namespace fettle::store {

struct WalScan {
  /// Frames up to the end of the last whole transaction; what SQLite must find too.
  std::uint64_t frames = 0;
  /// Whole transactions.
  std::uint64_t transactions = 0;
  /// Of the file, up to there.
  std::uint64_t bytes = 0;
};

/// Reads `log` (called `path` in messages) once, a frame at a time; of `database`, its file, only
/// what a wrong header makes necessary (null: there is none). An empty or cut-off header is an
/// empty log. Corrupt: damaged; names the frame and its offset.
Result<WalScan> scan_wal(File& log, File* database, const std::string& path);

/// Writes the first `bytes` of the log over themselves and syncs. After a sync that failed the
/// kernel may show pages that it will never write; what SQLite is about to take for committed must
/// be durable before a checkpoint, or a power loss behind it would bring an older log back over a
/// newer database.
Status make_durable(File& log, std::uint64_t bytes, const std::string& path);

}  // namespace fettle::store
