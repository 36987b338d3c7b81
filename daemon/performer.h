// Performer: the acting side of this host. Carries out what core::Executor decides: its journal on
// the disk worker, its acts by the kinds of actions/, its timer. Work loop only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "actions/action.h"
#include "core/executor.h"
#include "io/process.h"
#include "io/timer.h"
#include "io/worker.h"
#include "store/host_store.h"

namespace fettle::daemon {

class Performer {
 public:
  /// Journal writes between two prunings.
  static constexpr std::size_t kPruneEvery = 256;
  /// A key is closed with this result, durably: the leader may commit it.
  using Answered = std::function<void(core::TaskKey, core::TaskResult)>;

  /// `resolver`, `store` and `allow` outlive it, and so does whatever `disk` still runs of it.
  Performer(io::Loop& loop, io::Resolver& resolver, io::Worker& disk, store::HostStore& store,
            const store::LoadedHost& loaded, const core::AllowList& allow, Answered answered);
  ~Performer();
  Performer(const Performer&) = delete;
  Performer& operator=(const Performer&) = delete;

  /// `finished_below`: attempts decided below this index are closed, their journal may go.
  void perform(core::Task task, Index finished_below);
  void cancel(core::TaskKey key, core::Fence fence, std::string reason);
  void saw_fence(std::uint64_t generation, Term term);

 private:
  void feed(core::executor::Event event);
  void carry_out(core::executor::Journal& effect);
  void carry_out(core::executor::Act& effect);
  void carry_out(core::executor::Inspect& effect);
  void carry_out(core::executor::Kill& effect);
  void carry_out(core::executor::Answer& effect);
  void carry_out(core::executor::Forget& effect);
  void save();
  void bury(const core::TaskKey& key);
  void arm();

  io::Loop& loop_;
  io::Worker& disk_;
  store::HostStore& store_;
  io::Processes processes_;  // outlives every action
  actions::ActionContext context_;
  Answered answered_;
  io::Timer timer_;
  core::Executor executor_;
  std::map<core::TaskKey, std::unique_ptr<actions::Action>> acting_;
  std::vector<core::executor::Journal> unsaved_;
  bool saving_ = false;
  std::size_t written_ = 0;  // since the last pruning
  std::deque<core::executor::Event> waiting_;
  bool stepping_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fettle::daemon
