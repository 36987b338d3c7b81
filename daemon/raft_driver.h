// RaftDriver: carries out what raft::Raft decides: persist (one disk worker, many batches in one
// transaction), send, apply — in this order — and wakes it when its timer is due. Group loop only.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/counts.h"
#include "io/timer.h"
#include "io/worker.h"
#include "raft/raft.h"
#include "store/group_store.h"

namespace fettle::daemon {

/// The exit code of a process whose disk failed: the service manager must not restart it.
inline constexpr int kExitDiskFailed = 74;
/// The exit code of a member that met a log entry of an engine level beyond its version's, or whose
/// state is not what the others hold: it must not go on by itself.
inline constexpr int kExitEngineHalted = 76;

struct RaftEvents {
  std::function<void(const raft::Message&)> send;
  /// Who the group is changed, committed or not.
  std::function<void()> configuration_changed;
  std::function<void(const raft::Transferred&)> transferred;
  /// The machine's state is this snapshot's from now on.
  std::function<void(const raft::Snapshot&)> restore;
  std::function<void(const raft::Entry&)> apply;
  std::function<void(const raft::Accepted&)> accepted;
  std::function<void(const raft::Rejected&)> rejected;
  std::function<void(const raft::ReadDone&)> read_done;
  /// After every step, once all of the above was told.
  std::function<void(bool role_changed)> stepped;
};

class RaftDriver {
 public:
  RaftDriver(io::Loop& loop, io::Worker& disk, store::GroupStore& store, raft::Config config,
             store::LoadedGroup loaded, RaftEvents events);
  ~RaftDriver();
  RaftDriver(const RaftDriver&) = delete;
  RaftDriver& operator=(const RaftDriver&) = delete;

  void start();
  /// Takes an input; one that comes while another is carried out waits its turn.
  void step(raft::Input input);
  /// Proposes at the end of the loop's turn, with whatever else is proposed in it.
  void propose(raft::Propose proposal);
  const raft::Raft& raft() const { return raft_; }
  Index applied() const { return applied_; }
  /// The slowest of the batches that became durable since this was asked last, or that wait for
  /// longer than `patience`; nullopt: there was none, so nothing is known of the disk.
  std::optional<core::Duration> take_slowest_save(core::Duration patience);
  /// How long batches took to become durable, the wait for the disk worker included.
  const core::Histogram& persist_times() const { return persist_times_; }

 private:
  void carry_out(raft::Output output);
  void save();
  void settle_when_quiet();
  void arm();

  io::Loop& loop_;
  io::Worker& disk_;
  store::GroupStore& store_;
  RaftEvents events_;
  io::Timer timer_;
  io::Timer quiet_;
  raft::Raft raft_;
  Index applied_;
  std::vector<raft::Propose> proposals_;  // of this turn of the loop
  std::vector<raft::Persist> unsaved_;
  bool saving_ = false;
  core::Time saving_since_;
  std::optional<core::Duration> slowest_save_;
  core::Histogram persist_times_{core::latency_bounds()};
  bool stepping_ = false;
  std::deque<raft::Input> waiting_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fettle::daemon
