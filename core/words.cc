#include "core/words.h"

#include <array>
#include <cstddef>

namespace fettle::core {
namespace {

template <std::size_t N, typename E>
std::string_view word(const std::array<std::string_view, N>& words, E value) {
  const auto i = static_cast<std::size_t>(value);
  return i < N ? words[i] : std::string_view("unknown");
}

constexpr std::array<std::string_view, 5> kClasses{"reachability", "service", "progress", "quality",
                                                   "hardware"};
constexpr std::array<std::string_view, 4> kServerAdmins{"ready", "drain", "maint", "mixed"};

template <typename E, std::size_t N>
std::optional<E> from_word(const std::array<std::string_view, N>& words, std::string_view text) {
  for (std::size_t i = 0; i < N; ++i) {
    if (words[i] == text) return static_cast<E>(i);
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  constexpr std::array<std::string_view, 10> kWords{
      "pass",     "refused", "reset",       "timeout",     "bad_status",
      "bad_body", "slow",    "wrong_model", "no_progress", "cannot_probe"};
  return word(kWords, outcome);
}

std::string_view to_string(Verdict verdict) {
  constexpr std::array<std::string_view, 4> kWords{"unknown", "healthy", "degraded", "down"};
  return word(kWords, verdict);
}

std::string_view to_string(FaultClass fault_class) { return word(kClasses, fault_class); }

std::optional<FaultClass> fault_class_from(std::string_view text) {
  return from_word<FaultClass>(kClasses, text);
}

std::string_view to_string(Affects affects) {
  constexpr std::array<std::string_view, 3> kWords{"none", "degraded", "down"};
  return word(kWords, affects);
}

std::string_view to_string(NodeRole role) {
  constexpr std::array<std::string_view, 2> kWords{"active", "standby"};
  return word(kWords, role);
}

std::string_view to_string(Admin admin) {
  constexpr std::array<std::string_view, 4> kWords{"in_service", "draining", "isolated",
                                                   "maintenance"};
  return word(kWords, admin);
}

std::string_view to_string(Mode mode) {
  constexpr std::array<std::string_view, 3> kWords{"observe", "approve", "enforce"};
  return word(kWords, mode);
}

std::string_view to_string(OnFailure on_failure) {
  constexpr std::array<std::string_view, 5> kWords{"continue", "rollback", "escalate", "abort",
                                                   "pause"};
  return word(kWords, on_failure);
}

std::string_view to_string(MemberRole role) {
  constexpr std::array<std::string_view, 2> kWords{"voter", "agent"};
  return word(kWords, role);
}

std::string_view to_string(RunState state) {
  constexpr std::array<std::string_view, 6> kWords{"running", "waiting",     "succeeded",
                                                   "failed",  "rolled_back", "cancelled"};
  return word(kWords, state);
}

std::string_view to_string(StepState state) {
  constexpr std::array<std::string_view, 8> kWords{"pending", "waiting", "running", "succeeded",
                                                   "failed",  "skipped", "would",   "cancelled"};
  return word(kWords, state);
}

std::string_view to_string(TaskState state) {
  constexpr std::array<std::string_view, 8> kWords{
      "open", "done", "failed", "in_doubt", "refused", "expired", "cancelled", "unreachable"};
  return word(kWords, state);
}

std::string_view to_string(ServerAdmin admin) { return word(kServerAdmins, admin); }

std::optional<ServerAdmin> server_admin_from(std::string_view text) {
  return from_word<ServerAdmin>(kServerAdmins, text);
}

std::string_view to_string(AlertStatus status) {
  constexpr std::array<std::string_view, 2> kWords{"firing", "resolved"};
  return word(kWords, status);
}

std::string_view to_string(Severity severity) {
  constexpr std::array<std::string_view, 3> kWords{"info", "warning", "critical"};
  return word(kWords, severity);
}

}  // namespace fettle::core
