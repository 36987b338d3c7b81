// Attempts: the tasks of a run's current step, from their decision to their close, and what a
// closed traffic attempt means for the node. Internal to runs.cc.
#pragma once

#include <string>

#include "core/applying.h"

namespace fettle::core {

/// How an attempt ended once every host's part was closed.
struct AttemptEnd {
  bool ok = false;
  bool in_doubt = false;    // some host may have acted
  bool may_repeat = false;  // nothing was done, or doing it again is harmless
  std::string reason;
};

/// Decides the next attempt of the run's current step: one task a host (every director host of the
/// service, or the one member that the step's `on` or the node's `host` names), one Perform each.
/// An error says why there is no host that may do it.
Status begin_attempt(Applying& ap, Run& run);

/// True if no host's part of the current attempt is open (also before the first attempt).
bool attempt_is_closed(const Run& run);

/// Closes the open parts whose deadline and margin have passed; true if that closed the attempt.
bool expire_tasks(Applying& ap, Run& run);

/// The part of the current attempt that `key` names, if it is still open.
TaskProgress* open_task(Run& run, const TaskKey& key);

AttemptEnd judge_attempt(const Applying& ap, const Run& run);

/// Keeps what a director host found when it isolated, for the restore that undoes only that.
void remember_director(Applying& ap, const Run& run, const TaskProgress& task,
                       const TaskResult& result);

/// The node's admin state after a closed traffic attempt.
void settle_traffic(Applying& ap, const Run& run, const AttemptEnd& end);

/// Binds the field references of a run once, as it starts (`node.name`, `incident.reason`, ...).
void bind_fields(const State& state, Run& run);

}  // namespace fettle::core
