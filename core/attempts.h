// Attempts: the tasks of a run's current step, from their decision to their close. Internal to
// runs.cc.
#pragma once

#include <string>

#include "core/applying.h"
#include "core/traffic.h"

namespace fettle::core {

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

/// Done if every host confirmed; on directors, if every host in reach did and at least one.
AttemptEnd judge_attempt(const Applying& ap, const Run& run);

/// Binds the field references of a run once, as it starts (`node.name`, `incident.reason`, ...).
void bind_fields(const State& state, Run& run);

}  // namespace fettle::core
