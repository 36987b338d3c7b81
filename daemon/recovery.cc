#include "daemon/recovery.h"

#include <filesystem>

#include "actions/action.h"
#include "base/bytes.h"
#include "core/engine.h"
#include "core/snapshot_file.h"
#include "io/files.h"
#include "store/group_store.h"
#include "store/host_store.h"

namespace fettle::daemon {
namespace {

/// The state as of the newest entry that this host holds, committed or not: there is nobody left to
/// ask which of them were.
Status replay(core::Engine& engine, const store::LoadedGroup& loaded) {
  const raft::Snapshot& snapshot = *loaded.snapshot;
  if (!snapshot.data.empty()) FETTLE_CHECK(engine.load(snapshot.data));
  for (const raft::Entry& entry : loaded.entries) {
    if (entry.index <= engine.state().applied || entry.index <= snapshot.meta.index) continue;
    if (entry.kind == raft::EntryKind::Command) {
      FETTLE_TRY(const core::LogEntry command, core::decode_entry(entry.data));
      const core::Applied applied = engine.apply(entry.index, command);
      if (applied.halt) return fail(Code::Refused, *applied.halt);
    } else if (entry.kind == raft::EntryKind::Configuration) {
      FETTLE_TRY(const auto configuration, decode<raft::Configuration>(entry.data));
      engine.configure(entry.index, raft::servers_of(configuration));
    }
  }
  return {};
}

Status take_file(core::Engine& engine, const std::string& path, const std::string& cluster) {
  FETTLE_TRY(const std::string bytes, io::read_file(path, raft::kSnapshotBytesMax));
  FETTLE_TRY(const core::SnapshotFile file, core::read_snapshot_file(bytes));
  if (file.cluster != cluster) {
    return fail(Code::Refused, path + " is of cluster '" + file.cluster + "'");
  }
  return engine.load(file.state);
}

}  // namespace

Result<std::string> recover_alone(const MemberFiles& files, const RecoveryOrder& order) {
  const spec::MemberFile& file = files.member;
  if (file.is_agent()) return fail(Code::Refused, "an agent holds nothing of a group");
  if (order.cluster != file.cluster) {
    return fail(Code::Refused, "--recover-alone names cluster '" + order.cluster +
                                   "', the file is of '" + file.cluster + "': nothing is changed");
  }
  std::error_code failed;
  std::filesystem::create_directories(file.data_dir, failed);
  FETTLE_TRY(const auto store, store::GroupStore::open(file.data_dir + "/group.db"));
  FETTLE_TRY(const store::LoadedGroup loaded, store->load());
  FETTLE_TRY(const auto host_store, store::HostStore::open(file.data_dir + "/host.db"));
  FETTLE_TRY(const store::LoadedHost host, host_store->load());
  core::Engine engine(actions::kinds());
  Index last;
  if (order.snapshot_file.empty()) {
    if (loaded.snapshot == nullptr) {
      return fail(Code::Refused, file.data_dir + " holds nothing of a group: nothing is changed");
    }
    FETTLE_CHECK(replay(engine, loaded));
    last = loaded.entries.empty() ? loaded.snapshot->meta.index : loaded.entries.back().index;
    last = std::max(last, loaded.snapshot->meta.index);
  } else {
    if (loaded.snapshot != nullptr) {
      return fail(Code::Refused, file.data_dir +
                                     " holds a group's data: a snapshot is restored into an empty "
                                     "data directory alone; nothing is changed");
    }
    FETTLE_CHECK(take_file(engine, order.snapshot_file, file.cluster));
    last = engine.state().applied;
  }
  const Index index = next(last);
  const Term term = next(loaded.hard.term);
  // An older state may be restored on a host that has acted for a later generation: it would refuse
  // the orders of any but a newer one, and know the keys of its runs.
  engine.keep_only(index, file.node_name, host.generation);
  auto snapshot = std::make_shared<raft::Snapshot>();
  const core::Address address = own_address(file);
  snapshot->meta = {.index = index,
                    .term = term,
                    .configuration = {{{.id = file.node_name, .info = to_string(address)}}},
                    .configuration_index = index};
  snapshot->data = engine.save();
  FETTLE_CHECK(store->save({raft::Persist{
      .hard = raft::HardState{term, ""}, .snapshot = snapshot, .compact_to = index}}));
  const core::State& state = engine.state();
  return file.node_name + " is the group '" + file.cluster + "' alone, as generation " +
         std::to_string(state.generation) + " from entry " + std::to_string(index.value) +
         ", with spec revision " + std::to_string(state.revision) +
         ".\nStart it, then add others with empty data directories (fettle member add). Members of "
         "the generation before are not heard any more: wipe their data directories first.";
}

}  // namespace fettle::daemon
