#include "tests/sim/stored_log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace fettle::sim {
namespace {

constexpr const char* kPath = "group.db";
constexpr int kCheckpointPages = 60;  // a few in each seed

/// What a power loss keeps of what was not synced: nothing, everything, or some sectors.
store::Keep draw_keep(Rng& rng) {
  const std::uint64_t dice = rng.between(0, 3);
  if (dice < 2) return [dice](std::size_t, std::size_t) { return dice == 1; };
  return [&rng](std::size_t, std::size_t) { return rng.chance(50); };
}

void flip_a_bit(store::Image& image, Rng& rng) {
  std::vector<std::string*> files;
  for (const auto& [name, inode] : image.names) {
    if (!image.inodes.at(inode).empty()) files.push_back(&image.inodes.at(inode));
  }
  FETTLE_ASSERT(!files.empty());
  std::string& file = *files[rng.between(0, files.size() - 1)];
  char& byte = file[rng.between(0, file.size() - 1)];
  byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << rng.between(0, 7)));
}

}  // namespace

StoredLog::StoredLog(Rng rng, std::shared_ptr<const raft::Snapshot> first)
    : rng_(rng), disk_(std::make_unique<store::FaultDisk>()) {
  FETTLE_ASSERT(open().has_value());
  if (first == nullptr) return;
  raft::Persist begin;
  begin.snapshot = std::move(first);
  FETTLE_ASSERT(store_->save({begin}).has_value());
}

Status StoredLog::open() {
  FETTLE_TRY(store_, store::GroupStore::open(
                         kPath, {.disk = disk_.get(), .checkpoint_pages = kCheckpointPages}));
  return {};
}

Status StoredLog::save(const std::vector<raft::Persist>& batches) {
  disk_->forget_ops();
  return store_->save(batches);
}

/// The transaction under way ends at one of its operations.
std::unique_ptr<store::FaultDisk> StoredLog::after(const Crash& crash) {
  disk_->forget_ops();
  store::Platter platter = disk_->platter();
  store::Image image = disk_->image();
  if (crash.full) disk_->set_plan({.fault = store::Fault::NoSpace, .nth = 1});
  if (!crash.under_way.empty()) {
    const Status saved = store_->save(crash.under_way);
    FETTLE_ASSERT(saved.has_value() != crash.full);
  }
  const std::size_t all = disk_->ops().size();
  const std::size_t done = crash.full ? all : rng_.between(0, all);
  for (std::size_t i = 0; i < done; ++i) {
    platter.take(disk_->ops()[i]);
    apply(image, disk_->ops()[i], [](std::size_t) { return true; });
  }
  // Damage at the moment of a power loss is the one thing that may go unnoticed.
  if (crash.damage) {
    flip_a_bit(image, rng_);
    return std::make_unique<store::FaultDisk>(store::Plan{}, image);
  }
  if (rng_.chance(50)) return std::make_unique<store::FaultDisk>(store::Plan{}, image, platter);
  return std::make_unique<store::FaultDisk>(store::Plan{},
                                            platter.after_power_loss(draw_keep(rng_)));
}

Result<store::LoadedGroup> StoredLog::crash(const Crash& crash) {
  auto left = after(crash);
  store_.reset();
  disk_ = std::move(left);
  FETTLE_CHECK(open());
  return store_->load();
}

bool holds(const store::LoadedGroup& loaded, const raft::HardState& hard,
           const raft::Snapshot* snapshot, const std::vector<raft::Entry>& entries) {
  const bool both = loaded.snapshot != nullptr && snapshot != nullptr;
  if (!both && (loaded.snapshot != nullptr || snapshot != nullptr)) return false;
  if (both &&
      (loaded.snapshot->meta != snapshot->meta || loaded.snapshot->data != snapshot->data)) {
    return false;
  }
  return loaded.hard == hard && loaded.entries == entries;
}

}  // namespace fettle::sim
