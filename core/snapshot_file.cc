#include "core/snapshot_file.h"

#include "base/bytes.h"
#include "core/codec.h"

namespace fettle::core {
namespace {

constexpr std::string_view kMagic = "fettle snapshot 1\n";

}  // namespace

template <typename Archive>
void fields(Archive& ar, SnapshotFile& v) {
  ar(v.cluster, v.generation, v.level, v.index, v.taken, v.state);
}

std::string write_snapshot_file(const SnapshotFile& file) {
  const std::string body = encode(file);
  return std::string(kMagic) + encode(stable_hash(body)) + body;
}

Result<SnapshotFile> read_snapshot_file(std::string_view bytes) {
  const std::size_t sum_size = encode(std::uint64_t{0}).size();
  if (!bytes.starts_with(kMagic) || bytes.size() < kMagic.size() + sum_size) {
    return fail(Code::Corrupt, "this is no snapshot of Fettle's");
  }
  bytes.remove_prefix(kMagic.size());
  FETTLE_TRY(const auto sum, decode<std::uint64_t>(bytes.substr(0, sum_size)));
  bytes.remove_prefix(sum_size);
  if (stable_hash(bytes) != sum) {
    return fail(Code::Corrupt, "the snapshot is damaged or cut short: its checksum is wrong");
  }
  return decode<SnapshotFile>(bytes);
}

}  // namespace fettle::core
