// Weigh: triggers are levels, not edges (DESIGN §8). Every node of a touched service is weighed
// anew: which playbook would act, what blocks it, until when.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/applying.h"
#include "core/limits.h"

namespace fettle::core {

/// The built-in playbook of a verdict: isolate on down, restore on healthy.
PlaybookSpec builtin_playbook(Verdict verdict);

/// What would act on a node now, and what blocks it; for `fettle why`.
struct Weighing {
  std::optional<PlaybookSpec> playbook;  // absent: nothing is to be done
  std::string reason;
  std::vector<Hold> blocked_by;
  std::vector<std::string> others;  // playbooks that take the verdict too
};
Weighing weighing_of(const State& state, const std::string& node);

/// Weighs one node: starts a run, or writes on its incident why none starts.
void weigh(Applying& ap, const std::string& node);

/// When a node that is not yet acted on must be weighed again (kNever: on the next change).
Time weigh_due(const State& state, const std::string& name, const NodeState& node);

}  // namespace fettle::core
