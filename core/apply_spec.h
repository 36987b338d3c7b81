// ApplySpec: a new revision of the spec, and what it changes for nodes, observers and runs.
#pragma once

#include "core/applying.h"
#include "core/command.h"

namespace fettle::core {

/// Takes the revision, or answers why not: a base that moved, deletions without prune, a node that
/// Fettle holds isolated.
ClientAnswer apply_spec(Applying& ap, const command::ApplySpec& command);

/// Forgets what was kept of services and nodes that left the spec, and of hosts that do not steer a
/// service any more.
void forget_what_left(Applying& ap);

/// Assigns observers anew (a spec or the members' facts changed); a node whose watch changed gets a
/// new watch revision and starts without opinions, its verdict stays.
void assign_observers(Applying& ap);
/// The same, because members changed: every node is weighed anew.
void reassign(Applying& ap);

}  // namespace fettle::core
