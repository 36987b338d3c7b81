// Weigh: triggers are levels, not edges (DESIGN §8). Every node of a touched service is weighed
// anew: which playbook would act, what blocks it, until when.
#pragma once

#include <string>

#include "core/applying.h"

namespace fettle::core {

/// The built-in playbook of a verdict: isolate on down, restore on healthy.
PlaybookSpec builtin_playbook(Verdict verdict);

/// Weighs one node: starts a run, or writes on its incident why none starts.
void weigh(Applying& ap, const std::string& node);

/// When a node that is not yet acted on must be weighed again (kNever: on the next change).
Time weigh_due(const State& state, const std::string& node);

}  // namespace fettle::core
