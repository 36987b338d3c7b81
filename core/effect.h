// Effect: what the engine wants done, or wants told, after an entry. Each carries its reason.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/state.h"
#include "core/task.h"

namespace fettle::core {

namespace effect {
/// The leader sends it to `task.key.host`, once a majority confirmed its term after this entry.
struct Perform {
  Task task;
};
/// The leader asks the host to stop and acknowledge.
struct Cancel {
  TaskKey key;
  Fence fence;
  std::string reason;
};
/// The leader delivers the outbox entry with this key.
struct Deliver {
  std::string key;
};
/// For the event stream and the log, on every member.
struct Happened {
  Event event;
};
/// What members watch changed: ask Engine::watches().
struct WatchesChanged {};
/// A key of the store changed, for those who watch it, on every member; without a value it is gone.
struct KvChanged {
  std::string key;
  std::uint64_t revision = 0;
  std::optional<std::string> value;
};
}  // namespace effect

using Effect = std::variant<effect::Perform, effect::Cancel, effect::Deliver, effect::Happened,
                            effect::WatchesChanged, effect::KvChanged>;

/// What apply() gives back: effects in order, and the answer to whoever proposed it.
struct Applied {
  std::vector<Effect> effects;
  ClientAnswer answer;
  /// Set: nothing was applied, this voter must stop, and why: it would go another way than the
  /// others.
  std::optional<std::string> halt;
};

}  // namespace fettle::core
