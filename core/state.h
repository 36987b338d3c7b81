// State: everything the replicated engine knows, as plain data. Two engines that applied the same
// log hold equal bytes of it. Reads take a copy (View); api/ turns it into JSON.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "core/model.h"
#include "core/sample.h"
#include "core/task.h"
#include "core/time.h"
#include "core/words.h"

namespace fettle::core {

/// What a member says of itself in its hello; the engine decides only by committed facts.
struct MemberFacts {
  std::string name;
  std::string zone;
  std::string incarnation;
  std::string version;
  std::uint32_t level = 1;
  MemberRole role = MemberRole::Voter;
  /// Its allow-list by word (`haproxy`, `nginx`, ...): patterns that any leader may use here.
  std::map<std::string, std::vector<std::string>> allow;
  friend bool operator==(const MemberFacts&, const MemberFacts&) = default;
};

/// One observer's opinion as the engine keeps it; `since` is engine time.
struct HeldOpinion {
  std::string incarnation;
  std::uint64_t sequence = 0;
  std::vector<ClassOpinion> classes;
  Time at;  // when it was committed
  WallTime wall_at;
};

struct Vote {
  std::string observer;
  Verdict opinion = Verdict::Unknown;
  Outcome outcome = Outcome::CannotProbe;
  std::int64_t age_ms = 0;  // of the fault, when the verdict was reached
};

/// Who decided an admin state, so that Fettle undoes only what it set.
enum class Owner : std::uint8_t { Nobody, Fettle, Person };
constexpr Owner enum_last(Owner) { return Owner::Person; }
constexpr std::string_view to_string(Owner owner) {
  return owner == Owner::Fettle ? "fettle" : owner == Owner::Person ? "person" : "nobody";
}

/// What one director host holds of a node's server: under which process of the director, the state
/// found before Fettle acted there, the state set since.
struct ServerHold {
  std::string process;
  ServerAdmin found = ServerAdmin::Ready;
  ServerAdmin set = ServerAdmin::Ready;
};

/// What a host last saw at the director of one service.
struct DirectorView {
  std::string process;
  std::map<std::string, ServerAdmin> servers;  // by node; a server it does not have is left out
  std::string problem;                         // it could not be read, and why
  Index seen;  // the log index that the host had applied before it looked
  friend bool operator==(const DirectorView&, const DirectorView&) = default;
};

struct NodeState {
  std::string service;
  std::uint64_t watch_revision = 0;
  std::vector<std::string> observers;
  std::map<std::string, HeldOpinion> opinions;  // by observer
  std::map<FaultClass, Verdict> classes;        // what a quorum holds, per class
  Verdict verdict = Verdict::Unknown;
  Outcome cause = Outcome::Pass;  // of the verdict
  FaultClass cause_class = FaultClass::Service;
  std::string reason;  // `2 of 3 observers: refused`
  WallTime since;      // of the verdict
  Time verdict_at;
  Index verdict_index;
  Time start_until;  // failures do not count before (engine time)
  Admin admin = Admin::InService;
  Owner owner = Owner::Nobody;
  WallTime admin_since;
  /// What each director host is expected to hold, by our last act or by adoption of a person's.
  std::map<std::string, ServerHold> holds;
  /// Director hosts that missed an act or lost it in a restart: brought to the wanted state first.
  std::set<std::string> pending_hosts;
  Index traffic_index;  // of the last entry that decided or closed a traffic act, or adopted one
  std::optional<IncidentId> incident;
  bool isolation_in_doubt = false;    // an isolate may have been done: limits count it
  bool restoration_in_doubt = false;  // a restore may have been done: re-assert
  std::uint32_t relapses = 0;         // within kRelapseWindow of the last isolation
  Time isolated_time;
  Time blind_since;  // a quorum could not look since then; zero: it could
};

struct TimelineEntry {
  WallTime at;
  Index index;
  std::string what;
  std::string reason;
};

struct Incident {
  IncidentId id;
  std::string service;
  std::string node;
  FaultClass fault_class = FaultClass::Service;
  Verdict verdict = Verdict::Down;
  std::string reason;
  std::vector<std::string> blocked_by;
  std::vector<Vote> votes;
  WallTime fault_at, detected_at;
  std::optional<WallTime> isolated_at, resolved_at;
  std::int64_t mttd_ms = 0;
  std::optional<std::int64_t> mttr_ms;
  std::vector<RunId> runs;              // beyond kIncidentRunsMax failures of the reflex go
  std::vector<TimelineEntry> timeline;  // bounded by kTimelineMax
  Time opened;
  bool alerted = false;
};
inline constexpr std::size_t kTimelineMax = 200;
inline constexpr std::size_t kIncidentRunsMax = 100;

struct TaskProgress {
  std::string host;
  TaskState state = TaskState::Open;
  std::string result;
  Task task;  // as decided: what a new leader dispatches again
};

struct StepProgress {
  std::string id;
  std::string action;
  StepState state = StepState::Pending;
  std::uint32_t attempt = 0;
  std::vector<TaskProgress> tasks;  // of the current attempt
  Index index;                      // the entry that started the attempt
  Time began;                       // of the step, engine time
  Time deadline;                    // of the attempt
  Time next_attempt;                // while Waiting: for this, or kNever for a condition
  std::optional<WallTime> started_at, finished_at;
  std::string reason;
};

struct Run {
  RunId id;
  PlaybookSpec playbook;       // pinned
  std::uint64_t revision = 0;  // of the spec it was taken from
  std::optional<IncidentId> incident;
  std::string service;
  std::string node;
  Mode mode = Mode::Enforce;
  bool by_person = false;
  bool force = false;
  std::vector<std::string> hosts;  // only these director hosts; empty: all of them
  bool cancelled_by_person = false;
  RunState state = RunState::Running;
  std::uint32_t step = 0;
  bool cancelling = false;  // waits for its open tasks to be closed
  std::string cancel_reason;
  std::string reason;  // why it started; then why it ended
  std::vector<StepProgress> steps;
  Fence fence;  // of its newest attempt (term as of that entry)
  WallTime started_at;
  std::optional<WallTime> finished_at;
  Time finished;
  std::map<std::string, std::string> bound;  // field references, bound once when it started
};

struct Alert {
  std::string key;  // the delivery id: stable over retries and leaders
  std::string receiver;
  AlertStatus status = AlertStatus::Firing;
  Severity severity = Severity::Critical;
  IncidentId incident;
  std::string text;
  std::vector<RunId> runs;
  WallTime at;
  Index index;
};

struct FreezeState {
  std::string service;  // empty: everything
  Time until;
  WallTime wall_until;
  std::string by;
  std::string reason;
};

/// The kept answer to a client's command, so that asking again with its key repeats nothing.
struct ClientAnswer {
  bool ok = true;
  Code code = Code::Invalid;
  std::string text;
  std::uint64_t number = 0;  // a revision, an index or a run, by command
  Time at;
};

/// A failed run, for the pause before the next try and for the breaker.
struct RunFailure {
  Time at;
  std::string node;
};

/// Recent turns to `down` for a cause other than refused or reset, and whether they are a panic.
struct PanicWatch {
  std::map<std::string, Time> downs;   // by node
  std::optional<IncidentId> incident;  // set while all acts on the service are held
};

struct KvValue {
  std::string value;  // canonical JSON text
  std::uint64_t revision = 0;
  friend bool operator==(const KvValue&, const KvValue&) = default;
};
/// core/kv.h
struct KvStore {
  std::uint64_t revision = 0;  // of the last change
  std::uint64_t bytes = 0;     // of all keys and values
  std::map<std::string, KvValue> values;
};

/// core/lease.h
struct Lease {
  std::string holder;
  Duration duration{0};
  Time renewed;             // engine time of the entry that granted or renewed it last
  std::uint64_t token = 0;  // the index of the grant
};

/// A member that the leader could not reach.
struct LostMember {
  Time since;
  WallTime at;
  std::string reason;
};

struct State {
  Time now;
  WallTime wall;
  Index applied;
  std::uint32_t level = 1;
  std::uint64_t generation = 1;
  std::string cluster;
  std::uint64_t next_run = 1;
  std::uint64_t next_incident = 1;
  std::uint64_t revision = 0;  // of the spec; 0: none yet
  Spec spec;
  std::map<std::string, MemberFacts> members;  // configured voters first; facts as committed
  std::map<std::string, NodeState> nodes;
  std::map<IncidentId, Incident> incidents;  // open ones and the last kIncidentsKept closed
  std::map<RunId, Run> runs;                 // open ones and the last kRunsKept finished
  std::map<std::string, Alert> outbox;       // not yet delivered, by key
  std::vector<FreezeState> freezes;
  std::map<std::string, ClientAnswer> clients;  // by idempotency key (core/client_table.h)
  std::map<std::string, std::vector<RunFailure>> failures;  // by playbook, within kBreakerWindow
  std::map<std::string, PanicWatch> panics;                 // by service
  std::map<std::string, std::map<std::string, DirectorView>> directors;  // by host, service
  std::map<std::string, IncidentId> troubles;  // open ones of Fettle's own, by what they are about

  // From level 2 on.
  KvStore kv;
  std::map<std::string, Lease> leases;     // by name; one that is free may still stand here
  std::map<std::string, LostMember> lost;  // members that are not live
  /// By node, observer: the index at which the observer joined the others; its opinions count under
  /// this revision instead of the node's watch_revision.
  std::map<std::string, std::map<std::string, std::uint64_t>> joined;
};
inline constexpr std::size_t kIncidentsKept = 500;
inline constexpr std::size_t kRunsKept = 500;
inline constexpr std::size_t kOutboxMax = 4096;

/// The service called `name` in `spec`, or null.
const ServiceSpec* find_service(const Spec& spec, const std::string& name);
/// The node called `name`, or null.
const NodeSpec* find_node(const Spec& spec, const std::string& name);
/// The revision under which the observer's opinions of the node count.
std::uint64_t watch_revision_of(const State& state, const std::string& node,
                                const std::string& observer);
/// A service's health from its nodes': healthy (all), down (none healthy, some down), degraded (in
/// between), unknown (nothing known of any).
Verdict service_verdict(const State& state, const std::string& service);

/// One thing that happened, for the event stream and the log; a pure function of the log.
struct Event {
  Index index;
  std::uint32_t n = 0;  // within the entry
  WallTime at;
  std::string kind;  // `verdict.changed`, `step.started`, ...
  std::string service, node;
  std::optional<IncidentId> incident;
  std::optional<RunId> run;
  std::string step;
  std::string value;  // the new verdict, state, ...
  std::string reason;
};

}  // namespace fettle::core
