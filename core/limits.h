// Limits: what no playbook and no person (without force) may pass (DESIGN §8, CONTRACT "Limits").
// They count decided effects, also unfinished or in doubt, in the entry that decides. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/state.h"

namespace fettle::core {

/// Failed runs of a playbook within this open its breaker.
inline constexpr Duration kBreakerWindow = std::chrono::hours(1);
inline constexpr std::size_t kBreakerFailures = 3;
/// After a failed run the same playbook waits this long before it tries the node again; it doubles.
inline constexpr Duration kFailurePause = std::chrono::seconds(30);
/// And no longer than this before a reflex (see is_reflex).
inline constexpr Duration kReflexPauseMax = std::chrono::minutes(1);

/// The playbooks that need no file: what every service does unless it says `builtin: false`.
inline constexpr std::string_view kBuiltinIsolate = "builtin-isolate";
inline constexpr std::string_view kBuiltinRestore = "builtin-restore";
inline constexpr std::string_view kReassert = "builtin-reassert";
/// A node that relapsed must stay healthy this long before it is restored; it doubles each time.
inline constexpr Duration kHoldDown = std::chrono::seconds(5);
inline constexpr Duration kHoldDownMax = std::chrono::minutes(10);
/// A node isolated again within this of its last isolation has relapsed.
inline constexpr Duration kRelapseWindow = std::chrono::hours(1);

/// Why the node may not be taken out of service now; empty: it may.
std::vector<std::string> why_not_isolate(const State& state, const std::string& node);

/// The same for a new order, to which an isolation that is only decided, perhaps being cancelled or
/// forced, gives no leave: nothing of it may come to be.
std::vector<std::string> why_not_order_isolation(const State& state, const std::string& node);

/// Why the node may not be put back now; nothing: it may.
std::optional<std::string> why_not_restore(const State& state, const std::string& node);

/// That the node's verdict is stale (core/verdicts.h), as a sentence; nothing: it is not.
std::optional<std::string> why_stale(const State& state, const std::string& node);

/// The freeze that covers the service now, as a sentence.
std::optional<std::string> frozen(const State& state, const std::string& service);

/// What blocks an act, and until when (kNever: until something else changes).
struct Hold {
  std::string reason;
  Time until = kNever;
};
/// The panic that holds every act on the service now.
std::optional<Hold> panic_hold(const State& state, const std::string& service);
/// As frozen(), with its end.
std::optional<Hold> freeze_hold(const State& state, const std::string& service);

/// A built-in playbook that isolates: it waits for the service's limits only (CONTRACT "What it
/// means"), so that earlier failures pace it and never open a breaker.
bool is_reflex(const PlaybookSpec& playbook);
/// The name under which the playbook's failures count: all of the reflex under one.
std::string failure_name(const PlaybookSpec& playbook);
/// Failures of the built-in playbooks count for each service alone. `playbook`: failure_name().
std::string failure_key(const std::string& playbook, const std::string& service);
/// The playbook's breaker is open: it starts on no node, until then.
std::optional<Hold> breaker_hold(const State& state, const std::string& playbook,
                                 const std::string& node);
/// Why the playbook may not start on the node now because of earlier failures, and until when.
std::optional<Hold> failure_hold(const State& state, const std::string& playbook,
                                 const std::string& node);

/// Until when a healthy isolated node waits before it is restored.
Time hold_down_until(const NodeState& node);

/// A node that counts as out of service: isolated, or an isolation of it is decided or in doubt.
bool is_out(const State& state, const std::string& node);

}  // namespace fettle::core
