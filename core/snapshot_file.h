// SnapshotFile: the group's whole state as an operator keeps it (`fettle snapshot save`): its bytes
// with what they are and a checksum. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "core/state.h"

namespace fettle::core {

struct SnapshotFile {
  std::string cluster;
  std::uint64_t generation = 1;
  std::uint32_t level = 1;
  Index index;  // of the last entry applied
  WallTime taken;
  std::string state;  // as Engine::save() makes it
};

std::string write_snapshot_file(const SnapshotFile& file);
/// Corrupt: no such file, cut short, or damaged.
Result<SnapshotFile> read_snapshot_file(std::string_view bytes);

}  // namespace fettle::core
