// Executor: the rules of acting on one host (DESIGN §6): fence, journal, one at a time per
// resource, deadline, cancel. Pure: events in, effects out; daemon/ gives it the journal of store/
// and the kinds of actions/, the simulator gives it fakes.
//
// Life of a task: Perform → Journal(begun) → Journaled → Act → Acted → Journal(done) → Journaled →
// Answer. A key that is already done is answered from the journal. A key that was begun before a
// restart is never acted on blindly: Inspect reads the real state first; only if nothing was done
// it is begun once more.
//
// A key has one answer: what closes a key is durable before it is told, and nothing acts on the key
// afterwards. Refusals by the fence close nothing: a newer leader may ask for the same key.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/task.h"
#include "core/time.h"

namespace fettle::core {

/// What the journal holds of one key; a later write of a key replaces the earlier one. `result`
/// present: done. The key of run 0 is the executor's own: its fence's index is the newest Prune.
struct JournalEntry {
  TaskKey key;
  Fence fence;
  std::string action;
  std::string resource;  // empty: done without ever having begun
  Options input;         // of a begun task: what inspect needs after a restart
  std::optional<TaskResult> result;
};
template <typename Archive>
void fields(Archive& ar, JournalEntry& v) {
  ar(v.key, v.fence, v.action, v.resource, v.input, v.result);
}

/// What inspect() found out about a begun key.
enum class Finding : std::uint8_t { WasDone, NotDone, CannotTell };
constexpr Finding enum_last(Finding) { return Finding::CannotTell; }

namespace executor {

// Events.
struct Perform {
  Task task;
};
/// This write and all before it are durable.
struct Journaled {
  std::uint64_t write = 0;
};
/// Exactly one for each Act.
struct Acted {
  TaskKey key;
  TaskResult result;
};
struct Inspected {
  TaskKey key;
  Finding finding = Finding::CannotTell;
  TaskResult result;
};
struct Cancel {
  TaskKey key;
  Fence fence;
  std::string reason;
};
/// Somebody's message carried it.
struct SawFence {
  std::uint64_t generation = 1;
  Term term;
};
/// A deadline may have passed.
struct Tick {};
/// The leader knows every attempt with an older fence index to be closed.
struct Prune {
  Index below;
};
using Event = std::variant<Perform, Journaled, Acted, Inspected, Cancel, SawFence, Tick, Prune>;

// Effects, to be carried out in order.

/// Write this to the host's journal in one transaction, then say Journaled.
struct Journal {
  std::uint64_t write = 0;
  std::optional<JournalEntry> entry;  // absent: only the fence moved
  std::uint64_t generation = 1;       // the newest fence seen
  Term term;
};
/// An act is to end by itself this long before its deadline (or a twentieth of the time, if that is
/// less), so that its own word on what happened is the answer and not that it was killed.
inline constexpr Duration kOwnEndMax = std::chrono::milliseconds(50);
/// Do it within `remaining`.
struct Act {
  Task task;
};
/// Read the real state of a begun key, change nothing; Inspected follows.
struct Inspect {
  JournalEntry entry;
};
/// Stop the act; its Acted follows, Cancelled or however it ended.
struct Kill {
  TaskKey key;
};
/// `closes` false: only the asker is told why not (the fence, a full journal, a key long finished);
/// the key itself stays as it is, so nobody may commit this as the key's result.
struct Answer {
  TaskKey key;
  TaskResult result;
  bool closes = true;
};
/// Entries with an older fence index may be deleted.
struct Forget {
  Index below;
};
using Effect = std::variant<Journal, Act, Inspect, Kill, Answer, Forget>;

}  // namespace executor

class Executor {
 public:
  static constexpr std::size_t kQueuedPerResourceMax = 16;  // waiting behind the one in progress
  static constexpr std::size_t kJournalMax = 10000;         // keys, done ones included

  /// `journal`, `generation` and `term` as the host's store holds them at start.
  Executor(const std::vector<JournalEntry>& journal, std::uint64_t generation, Term term);

  /// `now` is the host's monotonic time.
  std::vector<executor::Effect> step(Time now, const executor::Event& event);

  /// When the next Tick is due (kNever: none).
  Time deadline() const;

 private:
  enum class Phase : std::uint8_t { Queued, JournalingBegun, Acting, Inspecting, JournalingDone };
  struct Job {
    Task task;
    Phase phase = Phase::Queued;
    Time deadline;
    std::uint64_t write = 0;  // the Journal effect it waits for
    bool killed = false;
    bool reborn = false;      // begun before a restart: inspect, do not act
    bool cancelled = false;   // while inspecting
    std::string stop_reason;  // why it was killed or cancelled
    TaskResult result;
  };
  using Effects = std::vector<executor::Effect>;
  using Jobs = std::map<TaskKey, Job>;

  void on(Time now, const executor::Perform& event, Effects& out);
  void on(Time now, const executor::Journaled& event, Effects& out);
  void on(Time now, const executor::Acted& event, Effects& out);
  void on(Time now, const executor::Inspected& event, Effects& out);
  void on(Time now, const executor::Cancel& event, Effects& out);
  void on(Time now, const executor::SawFence& event, Effects& out);
  void on(Time now, const executor::Tick& event, Effects& out);
  void on(Time now, const executor::Prune& event, Effects& out);

  bool stale(const Fence& fence) const;
  bool outdated(const Task& task) const;
  std::string stale_text(const Fence& fence) const;
  std::string outdated_text(const Task& task) const;
  bool full() const { return journal_.size() + jobs_.size() >= kJournalMax; }
  void saw(std::uint64_t generation, Term term);

  void begin_next(Time now, const std::string& resource, Effects& out);
  bool begin(Time now, Job& job, Effects& out);
  void begun_is_durable(Time now, const TaskKey& key, Effects& out);
  void cancel_job(Job& job, const std::string& reason, Effects& out);
  void cancel_begun(const JournalEntry& entry, const std::string& reason);
  void journal_begun(Job& job, Effects& out);
  void finish(Job& job, TaskResult result, Effects& out);
  void drop_stale(const TaskKey& key, Effects& out);
  void leave_queue(const TaskKey& key, const std::string& resource);
  std::uint64_t write(std::optional<JournalEntry> entry, Effects& out);

  std::uint64_t generation_;
  Term term_;
  std::uint64_t last_write_ = 0;
  std::uint64_t durable_ = 0;
  std::uint64_t fence_write_ = 0;  // the first write with the newest fence
  bool fence_unwritten_ = false;
  std::uint64_t prune_write_ = 0;                      // the prune that is not durable yet; 0: none
  Index finished_;                                     // every key with an older index is closed
  std::map<TaskKey, JournalEntry> journal_;            // as written; durable once no job waits
  std::map<std::string, Index> resource_index_;        // newest index that began on a resource
  std::map<std::string, std::deque<TaskKey>> queues_;  // front is the one in progress
  Jobs jobs_;
};

}  // namespace fettle::core
