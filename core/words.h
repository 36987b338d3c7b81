// The words that YAML, code, API and log share: outcomes, verdicts, classes, roles, states.
// Each enum's to_string() is its spelling on the outside; enum_last() bounds it in bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace fettle::core {

/// What one look at a node saw. CannotProbe ("I could not look") never counts against the node.
enum class Outcome : std::uint8_t {
  Pass,
  Refused,
  Reset,
  Timeout,
  BadStatus,
  BadBody,
  Slow,
  WrongModel,
  NoProgress,
  CannotProbe
};
constexpr Outcome enum_last(Outcome) { return Outcome::CannotProbe; }
std::string_view to_string(Outcome outcome);

/// A node's (or class's) health, ordered from "nothing known" to worst.
enum class Verdict : std::uint8_t { Unknown, Healthy, Degraded, Down };
constexpr Verdict enum_last(Verdict) { return Verdict::Down; }
std::string_view to_string(Verdict verdict);

/// Fault classes vote separately (DESIGN §7).
enum class FaultClass : std::uint8_t { Reachability, Service, Progress, Quality, Hardware };
constexpr FaultClass enum_last(FaultClass) { return FaultClass::Hardware; }
std::string_view to_string(FaultClass fault_class);
std::optional<FaultClass> fault_class_from(std::string_view word);

/// The worst verdict a probe's failure may give.
enum class Affects : std::uint8_t { None, Degraded, Down };
constexpr Affects enum_last(Affects) { return Affects::Down; }
std::string_view to_string(Affects affects);

enum class NodeRole : std::uint8_t { Active, Standby };
constexpr NodeRole enum_last(NodeRole) { return NodeRole::Standby; }
std::string_view to_string(NodeRole role);

/// What Fettle or a person decided about a node's traffic.
enum class Admin : std::uint8_t { InService, Draining, Isolated, Maintenance };
constexpr Admin enum_last(Admin) { return Admin::Maintenance; }
std::string_view to_string(Admin admin);

/// How far a playbook may go: write down, wait for a person, act.
enum class Mode : std::uint8_t { Observe, Approve, Enforce };
constexpr Mode enum_last(Mode) { return Mode::Enforce; }
std::string_view to_string(Mode mode);

enum class OnFailure : std::uint8_t { Continue, Rollback, Escalate, Abort, Pause };
constexpr OnFailure enum_last(OnFailure) { return OnFailure::Pause; }
std::string_view to_string(OnFailure on_failure);

enum class MemberRole : std::uint8_t { Voter, Agent };
constexpr MemberRole enum_last(MemberRole) { return MemberRole::Agent; }
std::string_view to_string(MemberRole role);

enum class RunState : std::uint8_t { Running, Waiting, Succeeded, Failed, RolledBack, Cancelled };
constexpr RunState enum_last(RunState) { return RunState::Cancelled; }
std::string_view to_string(RunState state);
constexpr bool is_over(RunState s) { return s != RunState::Running && s != RunState::Waiting; }

/// `Would` is what observe mode writes down instead of acting.
enum class StepState : std::uint8_t {
  Pending,
  Waiting,
  Running,
  Succeeded,
  Failed,
  Skipped,
  Would,
  Cancelled
};
constexpr StepState enum_last(StepState) { return StepState::Cancelled; }
std::string_view to_string(StepState state);

/// One host's part of an attempt. InDoubt: may or may not have acted. Expired: its host never
/// answered, and the host's own deadline plus a margin has passed. Unreachable: nothing was done,
/// for what was to be acted on could not be reached.
enum class TaskState : std::uint8_t {
  Open,
  Done,
  Failed,
  InDoubt,
  Refused,
  Expired,
  Cancelled,
  Unreachable
};
constexpr TaskState enum_last(TaskState) { return TaskState::Unreachable; }
std::string_view to_string(TaskState state);

/// What a director holds of one server; Mixed: its backends differ.
enum class ServerAdmin : std::uint8_t { Ready, Drain, Maint, Mixed };
constexpr ServerAdmin enum_last(ServerAdmin) { return ServerAdmin::Mixed; }
std::string_view to_string(ServerAdmin admin);
std::optional<ServerAdmin> server_admin_from(std::string_view word);

enum class AlertStatus : std::uint8_t { Firing, Resolved };
constexpr AlertStatus enum_last(AlertStatus) { return AlertStatus::Resolved; }
std::string_view to_string(AlertStatus status);

enum class Severity : std::uint8_t { Info, Warning, Critical };
constexpr Severity enum_last(Severity) { return Severity::Critical; }
std::string_view to_string(Severity severity);

}  // namespace fettle::core
