// Task: one step's act on one host, as the leader sends it and a host's executor does it (DESIGN
// §6).
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "base/ids.h"
#include "core/model.h"
#include "core/time.h"
#include "core/words.h"

namespace fettle::core {

/// Who may act: (generation, term of the dispatcher, index of the entry that started the attempt).
struct Fence {
  std::uint64_t generation = 1;
  Term term;
  Index index;
  friend auto operator<=>(const Fence&, const Fence&) = default;
};

/// At most one act per key; a further attempt is a further key.
struct TaskKey {
  std::uint64_t generation = 1;
  RunId run;
  std::uint32_t step = 0;     // position in the run's playbook
  std::uint32_t attempt = 1;  // from 1
  std::string host;           // the member that owns the resource
  friend auto operator<=>(const TaskKey&, const TaskKey&) = default;
};
/// `1/17/0/2@gpu1`: generation/run/step/attempt@host.
std::string to_string(const TaskKey& key);

/// What a host is asked to do. `input` is complete: field references resolved, secrets still by
/// name.
struct Task {
  TaskKey key;
  Fence fence;           // the term is filled in by whoever dispatches
  std::string action;    // `traffic.isolate`
  std::string resource;  // what it touches; one at a time per resource
  Options input;
  Duration remaining{0};  // until its deadline; not begun in time = refused, the host enforces it
  bool idempotent = false;
  std::string reason;  // the sentence that led here
};

/// How it ended. Only Done, Failed, InDoubt, Refused and Cancelled are answers of a host.
struct TaskResult {
  TaskState state = TaskState::Failed;
  std::string text;  // bounded by kTaskTextBytesMax; what the resource said, or why not
  Options output;    // e.g. {"found": "ready"}: the state found, to undo only what we set
};
inline constexpr std::size_t kTaskTextBytesMax = 1024;

template <typename Archive>
void fields(Archive& ar, Fence& v) {
  ar(v.generation, v.term, v.index);
}
template <typename Archive>
void fields(Archive& ar, TaskKey& v) {
  ar(v.generation, v.run, v.step, v.attempt, v.host);
}
template <typename Archive>
void fields(Archive& ar, Task& v) {
  ar(v.key, v.fence, v.action, v.resource, v.input, v.remaining, v.idempotent, v.reason);
}
template <typename Archive>
void fields(Archive& ar, TaskResult& v) {
  ar(v.state, v.text, v.output);
}

}  // namespace fettle::core
