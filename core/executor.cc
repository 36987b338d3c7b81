// Happy path: Perform queues a job behind its resource; at the front its begun entry is written
// (with the newest fence); once that is durable it acts; the result is written; once that is
// durable it is answered and the next of the resource begins. Failure modes: a newer fence is seen
// before the act (dropped, closes nothing); deadline before the act (refused) or during it
// (killed); cancel before the act (cancelled), during it (killed) or before the task was ever heard
// of (remembered); crash before begun is durable (never happened), between begun and done
// (inspected when asked again), after done (answered from the journal).
#include "core/executor.h"

#include <algorithm>
#include <tuple>

#include "base/check.h"

namespace fettle::core {
namespace {

/// The journal's own key (no task has run 0): its entry's fence index is the newest Prune.
const TaskKey& prune_key() {
  static const TaskKey key{.generation = 0, .run = RunId{0}, .step = 0, .attempt = 0, .host = ""};
  return key;
}

std::string fence_text(std::uint64_t generation, Term term) {
  return std::to_string(generation) + "/" + std::to_string(term.value);
}

TaskResult refused(std::string why) { return {TaskState::Refused, std::move(why), {}}; }

TaskResult too_late() { return refused("deadline passed before it began"); }

/// Cuts at a bound without splitting a UTF-8 sequence.
void bound_text(std::string& text) {
  if (text.size() <= kTaskTextBytesMax) return;
  std::size_t size = kTaskTextBytesMax;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0U) == 0x80U) --size;
  text.resize(size);
}

Time deadline_of(Time now, Duration remaining) {
  return remaining >= kNever - now ? kNever : now + remaining;
}

}  // namespace

Executor::Executor(const std::vector<JournalEntry>& journal, std::uint64_t generation, Term term)
    : generation_(generation), term_(term) {
  for (const JournalEntry& entry : journal) {
    if (entry.key == prune_key()) finished_ = entry.fence.index;
  }
  for (const JournalEntry& entry : journal) {
    if (entry.key == prune_key() || entry.fence.index < finished_) continue;
    journal_.insert_or_assign(entry.key, entry);
    if (entry.resource.empty()) continue;
    Index& newest = resource_index_[entry.resource];
    newest = std::max(newest, entry.fence.index);
  }
}

std::vector<executor::Effect> Executor::step(Time now, const executor::Event& event) {
  Effects out;
  std::visit([&](const auto& e) { on(now, e, out); }, event);
  if (fence_unwritten_) write(std::nullopt, out);
  return out;
}

Time Executor::deadline() const {
  Time due = kNever;
  for (const auto& [key, job] : jobs_) {
    const bool waits = job.phase == Phase::Queued && !job.reborn;
    const bool acts = job.phase == Phase::Acting && !job.killed;
    if (waits || acts) due = std::min(due, job.deadline);
  }
  return due;
}

void Executor::on(Time now, const executor::Perform& event, Effects& out) {
  const Task& task = event.task;
  const TaskKey& key = task.key;
  const auto tell = [&](TaskResult result, bool closes) {
    out.push_back(executor::Answer{key, std::move(result), closes});
  };
  if (stale(task.fence)) return tell(refused(stale_text(task.fence)), false);
  saw(task.fence.generation, task.fence.term);
  if (task.fence.index < finished_) {
    return tell(
        refused("the leader finished everything before index " + std::to_string(finished_.value)),
        false);
  }
  if (const auto job = jobs_.find(key); job != jobs_.end()) {
    job->second.task.fence = std::max(job->second.task.fence, task.fence);
    return;
  }
  const auto known = FETTLE_MUTANT(executor_journal_off) ? journal_.end() : journal_.find(key);
  if (known != journal_.end() && known->second.result) return tell(*known->second.result, true);
  const bool reborn = known != journal_.end();
  if (!reborn && full()) return tell(refused("journal full"), false);

  Job& job = jobs_[key];
  job.task = task;
  job.deadline = deadline_of(now, task.remaining);
  job.reborn = reborn;
  if (!reborn) {
    if (task.remaining <= Duration{0}) return finish(job, too_late(), out);
    const auto queue = queues_.find(task.resource);
    if (queue != queues_.end() && queue->second.size() > kQueuedPerResourceMax) {
      return finish(job, refused("queue full"), out);
    }
  }
  queues_[task.resource].push_back(key);
  begin_next(now, task.resource, out);
}

void Executor::on(Time now, const executor::Journaled& event, Effects& out) {
  durable_ = std::max(durable_, event.write);
  if (prune_write_ != 0 && prune_write_ <= durable_) {
    prune_write_ = 0;
    out.push_back(executor::Forget{finished_});
  }
  std::vector<TaskKey> begun;
  std::vector<TaskKey> done;
  for (const auto& [key, job] : jobs_) {
    if (job.write > durable_) continue;
    if (job.phase == Phase::JournalingDone) done.push_back(key);
    // The newest fence, too, is persisted before the act.
    if (job.phase == Phase::JournalingBegun && fence_write_ <= durable_) begun.push_back(key);
  }
  for (const TaskKey& key : done) {
    const auto job = jobs_.find(key);
    const std::string resource = job->second.task.resource;
    out.push_back(executor::Answer{key, std::move(job->second.result), true});
    jobs_.erase(job);
    leave_queue(key, resource);
    begin_next(now, resource, out);
  }
  for (const TaskKey& key : begun) begun_is_durable(now, key, out);
}

void Executor::begun_is_durable(Time now, const TaskKey& key, Effects& out) {
  Job& job = jobs_.at(key);
  if (stale(job.task.fence)) {
    const std::string resource = job.task.resource;
    drop_stale(key, out);
    return begin_next(now, resource, out);
  }
  if (job.deadline <= now) return finish(job, too_late(), out);
  job.phase = Phase::Acting;
  if (job.deadline != kNever) {
    const Duration left = job.deadline - now;
    job.task.remaining = left - std::min(executor::kOwnEndMax, left / 20);
  }
  out.push_back(executor::Act{job.task});
}

void Executor::on(Time, const executor::Acted& event, Effects& out) {
  const auto found = jobs_.find(event.key);
  if (found == jobs_.end() || found->second.phase != Phase::Acting) return;
  Job& job = found->second;
  TaskResult result = event.result;
  if (result.state == TaskState::Cancelled && result.text.empty()) result.text = job.stop_reason;
  finish(job, std::move(result), out);
}

void Executor::on(Time now, const executor::Inspected& event, Effects& out) {
  const auto found = jobs_.find(event.key);
  if (found == jobs_.end() || found->second.phase != Phase::Inspecting) return;
  Job& job = found->second;
  TaskResult result = event.result;
  if (event.finding == Finding::WasDone) {
    result.state = TaskState::Done;
    return finish(job, std::move(result), out);
  }
  if (event.finding == Finding::CannotTell && !FETTLE_MUTANT(executor_doubt_taken_for_undone)) {
    result.state = TaskState::InDoubt;
    if (result.text.empty()) result.text = "begun before a restart; its state does not tell";
    return finish(job, std::move(result), out);
  }
  if (job.cancelled) return finish(job, {TaskState::Cancelled, job.stop_reason, {}}, out);
  if (outdated(job.task)) return finish(job, refused(outdated_text(job.task)), out);
  if (job.deadline <= now) return finish(job, too_late(), out);
  if (!stale(job.task.fence)) return journal_begun(job, out);
  const std::string resource = job.task.resource;
  drop_stale(event.key, out);
  begin_next(now, resource, out);
}

void Executor::on(Time now, const executor::Cancel& event, Effects& out) {
  const auto tell = [&](TaskResult result, bool closes) {
    out.push_back(executor::Answer{event.key, std::move(result), closes});
  };
  if (stale(event.fence)) return tell(refused(stale_text(event.fence)), false);
  saw(event.fence.generation, event.fence.term);
  if (const auto job = jobs_.find(event.key); job != jobs_.end()) {
    return cancel_job(job->second, event.reason, out);
  }
  if (const auto known = journal_.find(event.key); known != journal_.end()) {
    if (known->second.result) return tell(*known->second.result, true);
    const std::string resource = known->second.resource;
    cancel_begun(known->second, event.reason);
    return begin_next(now, resource, out);
  }
  if (event.fence.index < finished_) return tell(refused("finished and forgotten"), false);
  if (full()) return tell(refused("journal full"), false);
  Job& job = jobs_[event.key];
  job.task.key = event.key;
  job.task.fence = event.fence;
  finish(job, {TaskState::Cancelled, event.reason, {}}, out);
}

void Executor::cancel_job(Job& job, const std::string& reason, Effects& out) {
  switch (job.phase) {
    case Phase::Queued:
      if (job.reborn) break;
      leave_queue(job.task.key, job.task.resource);
      return finish(job, {TaskState::Cancelled, reason, {}}, out);
    case Phase::JournalingBegun:
      return finish(job, {TaskState::Cancelled, reason, {}}, out);
    case Phase::Acting:
      if (job.killed) return;
      job.killed = true;
      job.stop_reason = reason;
      out.push_back(executor::Kill{job.task.key});
      return;
    case Phase::Inspecting:
      break;
    case Phase::JournalingDone:
      return;
  }
  job.cancelled = true;
  job.stop_reason = reason;
}

/// Whether it was done before the restart is not known yet: its inspection gives the answer.
void Executor::cancel_begun(const JournalEntry& entry, const std::string& reason) {
  Job& job = jobs_[entry.key];
  job.task.key = entry.key;
  job.task.fence = entry.fence;
  job.task.action = entry.action;
  job.task.resource = entry.resource;
  job.task.input = entry.input;
  job.deadline = kNever;
  job.reborn = true;
  job.cancelled = true;
  job.stop_reason = reason;
  queues_[entry.resource].push_back(entry.key);
}

void Executor::on(Time, const executor::SawFence& event, Effects&) {
  saw(event.generation, event.term);
}

void Executor::on(Time now, const executor::Tick&, Effects& out) {
  for (auto& [key, job] : jobs_) {
    if (job.deadline > now) continue;
    if (job.phase == Phase::Queued && !job.reborn) {
      leave_queue(key, job.task.resource);
      finish(job, too_late(), out);
    } else if (job.phase == Phase::Acting && !job.killed) {
      job.killed = true;
      job.stop_reason = "deadline passed while acting";
      out.push_back(executor::Kill{key});
    }
  }
}

void Executor::on(Time, const executor::Prune& event, Effects& out) {
  if (event.below <= finished_) return;
  finished_ = event.below;
  JournalEntry own;
  own.key = prune_key();
  own.fence.index = finished_;
  prune_write_ = write(own, out);
  std::erase_if(journal_, [this](const auto& known) {
    return known.second.fence.index < finished_ && !jobs_.contains(known.first);
  });
  std::erase_if(resource_index_, [this](const auto& r) { return r.second < finished_; });
}

bool Executor::stale(const Fence& fence) const {
  if (FETTLE_MUTANT(executor_fence_ignored)) return false;
  if (FETTLE_MUTANT(executor_fence_lower_accepted)) {
    return fence.generation < generation_ || fence.term.value + 1 < term_.value;
  }
  return std::tie(fence.generation, fence.term) < std::tie(generation_, term_);
}

bool Executor::outdated(const Task& task) const {
  const auto newest = resource_index_.find(task.resource);
  return newest != resource_index_.end() && task.fence.index < newest->second;
}

std::string Executor::stale_text(const Fence& fence) const {
  return "fence " + fence_text(fence.generation, fence.term) + " is older than " +
         fence_text(generation_, term_) + " seen here";
}

std::string Executor::outdated_text(const Task& task) const {
  const auto text = [&](Index index) {
    return fence_text(task.fence.generation, task.fence.term) + "/" + std::to_string(index.value);
  };
  return "fence " + text(task.fence.index) + " is older than " +
         text(resource_index_.at(task.resource)) + " begun on " + task.resource;
}

void Executor::saw(std::uint64_t generation, Term term) {
  if (std::tie(generation, term) <= std::tie(generation_, term_)) return;
  generation_ = generation;
  term_ = term;
  fence_unwritten_ = true;
}

void Executor::begin_next(Time now, const std::string& resource, Effects& out) {
  for (auto queue = queues_.find(resource); queue != queues_.end();
       queue = queues_.find(resource)) {
    Job& job = jobs_.at(queue->second.front());
    if (job.phase != Phase::Queued || begin(now, job, out)) return;
  }
}

/// True if the job is in progress now; else it has left its queue.
bool Executor::begin(Time now, Job& job, Effects& out) {
  const TaskKey key = job.task.key;
  if (job.reborn) {
    job.phase = Phase::Inspecting;
    out.push_back(executor::Inspect{journal_.at(key)});
    return true;
  }
  if (stale(job.task.fence)) {
    drop_stale(key, out);
    return false;
  }
  const bool older = outdated(job.task);
  if (older || job.deadline <= now) {
    leave_queue(key, job.task.resource);
    finish(job, older ? refused(outdated_text(job.task)) : too_late(), out);
    return false;
  }
  journal_begun(job, out);
  return true;
}

void Executor::journal_begun(Job& job, Effects& out) {
  const Task& task = job.task;
  Index& newest = resource_index_[task.resource];
  newest = std::max(newest, task.fence.index);
  job.phase = Phase::JournalingBegun;
  job.reborn = false;
  job.write =
      write(JournalEntry{task.key, task.fence, task.action, task.resource, task.input, {}}, out);
  if (!FETTLE_MUTANT(executor_act_before_begun_durable)) return;
  job.phase = Phase::Acting;
  out.push_back(executor::Act{task});
}

/// Writes the result that closes the key; its answer follows once that is durable.
void Executor::finish(Job& job, TaskResult result, Effects& out) {
  const Task& task = job.task;
  const bool never_begun = job.phase == Phase::Queued;
  FETTLE_ASSERT(!never_begun || !job.reborn);
  bound_text(result.text);
  job.result = std::move(result);
  job.phase = Phase::JournalingDone;
  job.write = write(JournalEntry{task.key,
                                 task.fence,
                                 task.action,
                                 never_begun ? std::string() : task.resource,
                                 {},
                                 job.result},
                    out);
}

/// A newer leader goes on from here: the key stays open, begun in the journal or not at all.
void Executor::drop_stale(const TaskKey& key, Effects& out) {
  const auto job = jobs_.find(key);
  leave_queue(key, job->second.task.resource);
  out.push_back(executor::Answer{key, refused(stale_text(job->second.task.fence)), false});
  jobs_.erase(job);
}

void Executor::leave_queue(const TaskKey& key, const std::string& resource) {
  const auto queue = queues_.find(resource);
  if (queue == queues_.end()) return;
  std::erase(queue->second, key);
  if (queue->second.empty()) queues_.erase(queue);
}

std::uint64_t Executor::write(std::optional<JournalEntry> entry, Effects& out) {
  ++last_write_;
  if (fence_unwritten_) fence_write_ = last_write_;
  fence_unwritten_ = false;
  if (entry && entry->key != prune_key()) journal_.insert_or_assign(entry->key, *entry);
  out.push_back(executor::Journal{last_write_, std::move(entry), generation_, term_});
  return last_write_;
}

}  // namespace fettle::core
