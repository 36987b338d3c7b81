// Action: one way to act on a host. `core::Executor` decides when; this does it. Answers exactly
// once, on the loop, never from within; destroying it is the kill: nothing more happens and nobody
// is told.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "core/allow.h"
#include "core/executor.h"
#include "core/kind.h"
#include "core/task.h"
#include "io/loop.h"
#include "io/process.h"
#include "io/resolver.h"

namespace fettle::actions {

/// What actions need of the member that runs them; outlives them.
struct ActionContext {
  io::Loop& loop;
  const core::AllowList& allow;  // of this host; no leader overrides it
  io::Processes& processes;
  io::Resolver& resolver;
};

class Action {
 public:
  using Done = std::function<void(core::TaskResult)>;
  using Found = std::function<void(core::Finding, core::TaskResult)>;

  virtual ~Action() = default;
  /// Does it, within `task.remaining`.
  virtual void start(const core::Task& task, Done done) = 0;
  /// Reads the real state to tell whether a begun task was done. Changes nothing.
  virtual void inspect(const core::JournalEntry& entry, Found found) = 0;
};

/// All action kinds, also those that the engine decides by itself.
const std::vector<core::KindSpec>& kinds();
/// One act of the kind; NotFound for a kind without a host's act.
Result<std::unique_ptr<Action>> make(const std::string& kind, ActionContext& context);

}  // namespace fettle::actions
