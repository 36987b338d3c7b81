// Level: which commands, behaviour and bytes of the engine every voter of the group understands
// (DESIGN §4 "Determinism"). A newer version keeps to the group's level until the leader, seeing
// that every voter supports a higher one, commits RaiseLevel. Pure.
//
// Level 1: founding, facts, spec, opinions, runs, orders of people, alerts, directors.
// Level 2: key-value store, leases, member liveness, membership, agents, state hashes,
// and ApplySpec that abandons.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/applying.h"
#include "core/command.h"
#include "core/state.h"

namespace fettle::core {

/// The level of what the list above names under 2.
inline constexpr std::uint32_t kLevel2 = 2;

/// The level that `command` belongs to: below it, it is refused.
std::uint32_t level_of(const Command& command);

/// Why the group is not at `level`, as a sentence that names a voter that does not support it; or
/// nothing: every voter's committed facts do.
std::optional<std::string> why_not_level(const State& state, std::uint32_t level);

/// Why the group's level is below `level`, as a sentence; nothing: it is not.
std::optional<std::string> why_below(const State& state, std::uint32_t level);

/// As why_below(), for what the command needs. RaiseLevel itself needs nothing.
std::optional<std::string> why_not_command(const State& state, const Command& command);

/// The level that a leader which knows levels up to `known` is to raise the group to, if any.
std::optional<std::uint32_t> level_to_raise(const State& state, std::uint32_t known);

ClientAnswer raise_level(Applying& ap, const command::RaiseLevel& command);

}  // namespace fettle::core
