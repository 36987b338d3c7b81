// Superblock: a small file beside a database that remembers, apart from it, what was acknowledged:
// the number of the last transaction and its tip (what the database says of itself, as bytes). At
// start the database must hold at least that much; SQLite alone cannot tell a tail that was torn
// before it was acknowledged from one that was lost afterwards.
//
// Two slots, each a whole record with its own checksum. The one that is known to be durable is
// never the one written to, so a torn write costs at most what was not durable yet; and after
// settle() both say the same, so either may be damaged at rest.
//
// When it is written (docs/decisions/0008-superblock.md): after the transaction is durable and
// before the acknowledgement leaves. A slot can therefore never promise more than the database
// holds, whatever a power loss keeps. Blocks; the disk worker's thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/disk.h"

namespace fettle::store {

inline constexpr std::size_t kTipBytesMax = 2048;
inline constexpr std::size_t kSlotBytes = 4096;  // one slot's place; a record of 512 is one sector

/// A point in a database's history. Transactions are numbered from 1, so whoever has number n has
/// everything below it.
struct Point {
  std::uint64_t sequence = 0;
  std::string tip;
  friend bool operator==(const Point&, const Point&) = default;
};

/// A slot's bytes, whole sectors of 512. The tip has at most kTipBytesMax bytes.
std::string encode_slot(const Point& point);
/// None: damaged, or never written. Reads at most kSlotBytes.
std::optional<Point> parse_slot(std::string_view bytes);

class Superblock {
 public:
  /// Opens, or makes, and locks the file. Conflict: another holds it.
  static Result<std::unique_ptr<Superblock>> open(Disk& disk, const std::string& path);

  /// The newest point that a whole slot holds; none in a new file, or if both are damaged.
  const std::optional<Point>& newest() const { return newest_; }

  /// Remembers `point`: survives this process, and is durable after the next sync().
  Status write(Point point);
  Status sync();
  /// Makes the newest point durable in both slots.
  Status settle();

 private:
  explicit Superblock(std::unique_ptr<File> file) : file_(std::move(file)) {}
  Status read();

  std::unique_ptr<File> file_;
  std::optional<Point> newest_;
  std::size_t durable_ = 0;  // this slot is not written to
  bool dirty_ = false;       // the other one is newer
  bool settled_ = false;     // both hold `newest_`, durably
};

}  // namespace fettle::store
