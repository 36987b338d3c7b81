#include "core/limits.h"

#include <algorithm>

#include "base/check.h"
#include "core/applying.h"
#include "core/level.h"
#include "core/liveness.h"
#include "core/verdicts.h"

namespace fettle::core {
namespace {

/// Doublings of the pause after a failure: no hour has room for more failed runs of one node.
constexpr std::uint32_t kPauseDoublings = 7;

/// What counts of a playbook's failures for a node: those of the last kBreakerWindow.
struct Failures {
  std::size_t recent = 0;
  std::uint32_t of_node = 0;
  Time oldest = kNever;
  Time newest_of_node;
};

Failures failures_of(const State& state, const std::string& playbook, const std::string& node) {
  Failures failures;
  const auto found = state.failures.find(failure_key(playbook, state.nodes.at(node).service));
  if (found == state.failures.end()) return failures;
  for (const RunFailure& failure : found->second) {
    if (state.now - failure.at >= kBreakerWindow) continue;
    ++failures.recent;
    failures.oldest = std::min(failures.oldest, failure.at);
    if (failure.node != node) continue;
    ++failures.of_node;
    failures.newest_of_node = std::max(failures.newest_of_node, failure.at);
  }
  return failures;
}

std::optional<Hold> open_breaker(const std::string& playbook, const Failures& failures) {
  if (playbook == kBuiltinIsolate || failures.recent < kBreakerFailures) return std::nullopt;
  return Hold{"the breaker of " + playbook + " is open: " + std::to_string(failures.recent) +
                  " failed runs within 1h",
              failures.oldest + kBreakerWindow};
}

/// True while a run has begun to isolate the node, or a person has been promised it, and its end is
/// not known.
bool isolating(const State& state, const std::string& node) {
  return std::ranges::any_of(state.runs, [&](const auto& entry) {
    const Run& run = entry.second;
    if (run.node != node || is_over(run.state) || run.step >= run.steps.size()) return false;
    const StepProgress& step = run.steps[run.step];
    return step.action == "traffic.isolate" && (step.attempt > 0 || run.by_person);
  });
}

struct Census {
  std::uint32_t in_service = 0;  // active nodes not out
  std::uint32_t out = 0;
  std::uint32_t healthy_in_service = 0;
};

/// In service, but a director in reach that missed the restore still has it out: until that is made
/// good, another one isolated there would be one too many.
bool held_out_at_a_director(const State& state, const std::string& name) {
  const NodeState& node = state.nodes.at(name);
  return std::ranges::any_of(node.pending_hosts, [&](const std::string& host) {
    const auto views = state.directors.find(host);
    if (!is_live(state, host) || views == state.directors.end()) return false;
    const auto view = views->second.find(node.service);
    if (view == views->second.end() || !view->second.problem.empty()) return false;
    const auto server = view->second.servers.find(name);
    return server != view->second.servers.end() && server->second != ServerAdmin::Ready;
  });
}

bool counts_as_out(const State& state, const std::string& name) {
  return is_out(state, name) || (state.nodes.contains(name) && held_out_at_a_director(state, name));
}

Census census(const State& state, const ServiceSpec& service) {
  Census count;
  for (const NodeSpec& node : service.nodes) {
    if (node.role != NodeRole::Active) continue;
    if (counts_as_out(state, node.name)) {
      ++count.out;
      continue;
    }
    ++count.in_service;
    const auto found = state.nodes.find(node.name);
    if (found != state.nodes.end() && found->second.verdict == Verdict::Healthy) {
      ++count.healthy_in_service;
    }
  }
  return count;
}

}  // namespace

bool is_out(const State& state, const std::string& node) {
  const auto found = state.nodes.find(node);
  if (found == state.nodes.end()) return false;
  return found->second.admin != Admin::InService || found->second.isolation_in_doubt ||
         (isolating(state, node) && !FETTLE_MUTANT(core_limit_counted_on_completion));
}

namespace {

std::vector<std::string> why_not(const State& state, const std::string& name, bool decided_counts) {
  std::vector<std::string> reasons;
  const NodeState& node = state.nodes.at(name);
  const ServiceSpec* service = find_service(state.spec, node.service);
  if (service == nullptr) return {"its service is not in the spec"};
  if (auto panic = panic_hold(state, node.service)) reasons.push_back(std::move(panic->reason));
  const bool surely_out = node.admin != Admin::InService;  // one in doubt may still be in service
  if (surely_out || (decided_counts && isolating(state, name))) return reasons;
  Census count = census(state, *service);
  const NodeSpec* spec = find_node(state.spec, name);
  if (counts_as_out(state, name) && spec != nullptr && spec->role == NodeRole::Active) {
    --count.out;
    ++count.in_service;
    if (node.verdict == Verdict::Healthy) ++count.healthy_in_service;
  }
  if (count.in_service <= 1 && !FETTLE_MUTANT(core_last_node_isolated)) {
    reasons.emplace_back("last_node: it is the last node in service");
  }
  if (count.out >= service->max_isolated) {
    reasons.push_back("max_isolated: " + std::to_string(count.out) + " of at most " +
                      std::to_string(service->max_isolated) + " already out");
  }
  if (node.verdict == Verdict::Healthy && count.healthy_in_service <= service->min_healthy) {
    reasons.push_back("min_healthy: only " + std::to_string(count.healthy_in_service) +
                      " healthy in service, at least " + std::to_string(service->min_healthy) +
                      " must stay");
  }
  return reasons;
}

}  // namespace

std::vector<std::string> why_not_isolate(const State& state, const std::string& name) {
  return why_not(state, name, true);
}

std::vector<std::string> why_not_order_isolation(const State& state, const std::string& name) {
  return why_not(state, name, false);
}

std::optional<std::string> why_stale(const State& state, const std::string& name) {
  if (state.level < kLevel2 || !is_stale(state, state.nodes.at(name))) return std::nullopt;
  return "its verdict is an old one: its observers changed and no quorum of them has a view yet";
}

std::optional<std::string> why_not_restore(const State& state, const std::string& name) {
  const NodeState& node = state.nodes.at(name);
  if (node.verdict == Verdict::Healthy) return why_stale(state, name);
  if (FETTLE_MUTANT(core_restore_unhealthy)) return std::nullopt;
  return "its verdict is " + std::string(to_string(node.verdict)) +
         (node.reason.empty() ? "" : " (" + node.reason + ")") + ", not healthy";
}

std::optional<Hold> panic_hold(const State& state, const std::string& service) {
  const auto panic = state.panics.find(service);
  if (panic == state.panics.end() || !panic->second.incident) return std::nullopt;
  return Hold{"panic: " + state.incidents.at(*panic->second.incident).reason};
}

std::optional<Hold> freeze_hold(const State& state, const std::string& service) {
  for (const FreezeState& freeze : state.freezes) {
    if (FETTLE_MUTANT(core_freeze_ignored)) continue;
    if (!freeze.service.empty() && freeze.service != service) continue;
    return Hold{"frozen until " + to_string(freeze.wall_until) + " by " + freeze.by +
                    (freeze.reason.empty() ? "" : ": " + freeze.reason),
                freeze.until};
  }
  return std::nullopt;
}

std::optional<std::string> frozen(const State& state, const std::string& service) {
  auto hold = freeze_hold(state, service);
  return hold ? std::optional(std::move(hold->reason)) : std::nullopt;
}

bool is_reflex(const PlaybookSpec& playbook) {
  const bool builtin = playbook.name == kBuiltinIsolate || playbook.name == kReassert;
  return builtin && !playbook.steps.empty() && playbook.steps[0].action == "traffic.isolate";
}

std::string failure_name(const PlaybookSpec& playbook) {
  return is_reflex(playbook) ? std::string(kBuiltinIsolate) : playbook.name;
}

std::string failure_key(const std::string& playbook, const std::string& service) {
  return playbook.starts_with("builtin-") ? playbook + "/" + service : playbook;
}

std::optional<Hold> breaker_hold(const State& state, const std::string& playbook,
                                 const std::string& node) {
  return open_breaker(playbook, failures_of(state, playbook, node));
}

std::optional<Hold> failure_hold(const State& state, const std::string& playbook,
                                 const std::string& node) {
  const Failures failures = failures_of(state, playbook, node);
  if (auto open = open_breaker(playbook, failures)) return open;
  if (failures.of_node == 0) return std::nullopt;
  Duration pause = kFailurePause * (1U << std::min(failures.of_node - 1, kPauseDoublings));
  if (playbook == kBuiltinIsolate) pause = std::min<Duration>(pause, kReflexPauseMax);
  const Time until = failures.newest_of_node + pause;
  if (state.now >= until) return std::nullopt;
  return Hold{"the last run of " + playbook + " on it failed; it pauses before it tries again",
              until};
}

Time hold_down_until(const NodeState& node) {
  if (node.relapses == 0) return node.verdict_at;
  const Duration hold = kHoldDown * (1U << std::min(node.relapses - 1, 7U));
  return node.verdict_at + std::min<Duration>(hold, kHoldDownMax);
}

}  // namespace fettle::core
