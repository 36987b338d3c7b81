// Happy path: Perform → journal → act → journal → answer. Failures: a journal that can't be written
// ends the process; an act that outlives its deadline is destroyed and is in doubt.
#include "daemon/performer.h"

#include <unistd.h>

#include "base/check.h"
#include "daemon/log.h"
#include "daemon/raft_driver.h"

namespace fettle::daemon {

namespace executor = core::executor;

namespace {

void end_if_failed(const Status& saved) {
  if (saved) return;
  log::error("the host's journal cannot be made durable, this member ends: " + saved.error().what);
  _exit(kExitDiskFailed);
}

}  // namespace

Performer::Performer(io::Loop& loop, io::Resolver& resolver, io::Worker& disk,
                     store::HostStore& store, const store::LoadedHost& loaded,
                     const core::AllowList& allow, Answered answered)
    : loop_(loop),
      disk_(disk),
      store_(store),
      processes_(loop),
      context_{loop, allow, processes_, resolver},
      answered_(std::move(answered)),
      timer_(loop),
      executor_(loaded.journal, loaded.generation, loaded.term) {
  arm();
}

Performer::~Performer() { *alive_ = false; }

void Performer::perform(core::Task task, Index finished_below) {
  feed(executor::Perform{std::move(task)});
  if (written_ < kPruneEvery) return;
  written_ = 0;
  feed(executor::Prune{finished_below});
}

void Performer::cancel(core::TaskKey key, core::Fence fence, std::string reason) {
  feed(executor::Cancel{std::move(key), fence, std::move(reason)});
}

void Performer::saw_fence(std::uint64_t generation, Term term) {
  feed(executor::SawFence{generation, term});
}

/// One event after the other: an effect may bring the next one.
void Performer::feed(executor::Event event) {
  waiting_.push_back(std::move(event));
  if (stepping_) return;
  stepping_ = true;
  while (!waiting_.empty()) {
    const executor::Event next = std::move(waiting_.front());
    waiting_.pop_front();
    for (executor::Effect& effect : executor_.step(io::Loop::now(), next)) {
      std::visit([this](auto& one) { carry_out(one); }, effect);
    }
  }
  stepping_ = false;
  arm();
}

void Performer::carry_out(executor::Journal& effect) {
  ++written_;
  unsaved_.push_back(std::move(effect));
  if (!saving_) save();
}

/// What gathered while the disk was busy goes in one transaction.
void Performer::save() {
  saving_ = true;
  auto batch = std::make_shared<std::vector<executor::Journal>>(std::exchange(unsaved_, {}));
  const std::uint64_t last = batch->back().write;
  const bool queued = disk_.submit(
      loop_, [&store = store_, batch] { end_if_failed(store.save(*batch)); },
      [this, last, alive = alive_] {
        if (!*alive) return;
        saving_ = false;
        if (!unsaved_.empty()) save();
        feed(executor::Journaled{last});
      });
  FETTLE_ASSERT_MSG(queued, "the disk worker's queue is full");
}

void Performer::carry_out(executor::Act& effect) {
  const core::TaskKey key = effect.task.key;
  auto made = actions::make(effect.task.action, context_);
  if (!made) {
    return feed(executor::Acted{key, {core::TaskState::Refused, made.error().what, {}}});
  }
  actions::Action& action = *acting_.insert_or_assign(key, std::move(*made)).first->second;
  log::info("task.began key=" + core::to_string(key) + " action=" + effect.task.action + ": " +
            effect.task.reason);
  action.start(effect.task, [this, key](core::TaskResult result) {
    bury(key);
    feed(executor::Acted{key, std::move(result)});
  });
}

void Performer::carry_out(executor::Inspect& effect) {
  const core::TaskKey key = effect.entry.key;
  auto made = actions::make(effect.entry.action, context_);
  if (!made) {
    return feed(executor::Inspected{
        key, core::Finding::CannotTell, {core::TaskState::InDoubt, made.error().what, {}}});
  }
  actions::Action& action = *acting_.insert_or_assign(key, std::move(*made)).first->second;
  log::info("task.inspected key=" + core::to_string(key) + " action=" + effect.entry.action);
  action.inspect(effect.entry, [this, key](core::Finding finding, core::TaskResult result) {
    bury(key);
    feed(executor::Inspected{key, finding, std::move(result)});
  });
}

void Performer::carry_out(executor::Kill& effect) {
  bury(effect.key);
  feed(executor::Acted{effect.key, {core::TaskState::InDoubt, "stopped before it ended", {}}});
}

void Performer::carry_out(executor::Answer& effect) {
  const std::string line = "task.answered key=" + core::to_string(effect.key) +
                           " state=" + std::string(to_string(effect.result.state)) + ": " +
                           effect.result.text;
  if (!effect.closes) return log::warn(line);
  log::info(line);
  answered_(std::move(effect.key), std::move(effect.result));
}

void Performer::carry_out(executor::Forget& effect) {
  const bool queued = disk_.submit(
      loop_, [&store = store_, below = effect.below] { end_if_failed(store.forget_below(below)); },
      [] {});
  FETTLE_ASSERT_MSG(queued, "the disk worker's queue is full");
}

/// The action may be the caller: it goes on the loop's next turn.
void Performer::bury(const core::TaskKey& key) {
  const auto found = acting_.find(key);
  if (found == acting_.end()) return;
  auto old = std::shared_ptr<actions::Action>(std::move(found->second));
  acting_.erase(found);
  loop_.post([old] {});
}

void Performer::arm() {
  const core::Time due = executor_.deadline();
  if (due == core::kNever) return timer_.stop();
  timer_.start(due - io::Loop::now(), [this] { feed(executor::Tick{}); });
}

}  // namespace fettle::daemon
