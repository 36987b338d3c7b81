// What a leader does without being asked: it raises the engine's level once every voter supports
// it.
#include "core/level.h"
#include "daemon/group.h"

namespace fettle::daemon {

/// At every step: the first client of a new group must not find it below the level it can have.
void Group::tend_level() {
  if (raise_proposed_ || engine_.state().level >= core::kEngineLevel) return;
  const auto level = core::level_to_raise(engine_.state(), core::kEngineLevel);
  if (!level) return;
  raise_proposed_ = true;
  propose(core::command::RaiseLevel{*level}, "", nullptr);
}

}  // namespace fettle::daemon
