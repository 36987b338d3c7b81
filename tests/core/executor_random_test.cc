// A host with random events, crashes and restarts, from a seed: the executor's promises hold after
// every effect, and planted defects are found.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/check.h"
#include "base/rng.h"
#include "core/executor.h"

namespace fettle::core {
namespace {

using std::chrono::milliseconds;
namespace ex = executor;

constexpr std::uint64_t kSeeds = 3000;
constexpr int kSteps = 150;
constexpr std::uint64_t kResources = 3;

/// What really happened to one key, which no executor knows.
struct Truth {
  Task task;
  bool acted = false;
  bool effective = false;    // the world has changed
  bool seen_undone = false;  // an inspection since the last act said: not done
  std::optional<TaskResult> closed;
};

struct Counts {
  std::uint64_t acts = 0, inspections = 0, kills = 0, closed = 0, crashes = 0;
};

class World {
 public:
  World(std::uint64_t seed, Counts& counts) : rng_(seed), counts_(counts) { restart(); }

  /// The first broken promise as a sentence; empty: none.
  std::string run() {
    for (int i = 0; i < kSteps && violation_.empty(); ++i) step();
    if (violation_.empty()) every_key_gets_its_answer();
    return violation_;
  }

 private:
  void step() {
    now_ = now_ + milliseconds(rng_.between(0, 300));
    if (executor_->deadline() <= now_) say(ex::Tick{});
    const std::uint64_t dice = rng_.between(0, 99);
    if (dice < 30)
      return perform(some_key(), some_fence_term(), milliseconds(rng_.between(0, 4000)));
    if (dice < 60) return sync_one(true);
    if (dice < 75) return end_an_act();
    if (dice < 84) return end_an_inspection();
    if (dice < 89) return cancel(some_key(), some_fence_term());
    if (dice < 92) return see(Term{++term_.value});
    if (dice < 95) return prune();
    crash();
  }

  void say(const ex::Event& event) {
    for (const ex::Effect& effect : executor_->step(now_, event)) {
      std::visit([this](const auto& e) { take(e); }, effect);
    }
  }

  // What the world does to the executor.

  std::uint64_t some_key() {
    if (keys_.empty() || rng_.chance(25)) {
      const std::uint64_t run = keys_.size() + 1;
      Task task;
      task.key = {.generation = 1, .run = RunId{run}, .step = 0, .attempt = 1, .host = "gpu1"};
      task.fence.index = Index{10 + run};
      task.resource = "resource-" + std::to_string(rng_.between(1, kResources));
      keys_[run].task = task;
    }
    const std::uint64_t newest = keys_.size();
    return rng_.chance(80) ? rng_.between(newest > 6 ? newest - 6 : 1, newest)
                           : rng_.between(1, newest);
  }
  Term some_fence_term() { return rng_.chance(80) ? term_ : Term{rng_.between(1, term_.value)}; }
  void perform(std::uint64_t run, Term term, Duration remaining) {
    Task task = keys_.at(run).task;
    task.fence.term = term;
    task.remaining = remaining;
    heard_ = std::max(heard_, term);
    say(ex::Perform{task});
  }
  void cancel(std::uint64_t run, Term term) {
    Fence fence = keys_.at(run).task.fence;
    fence.term = term;
    heard_ = std::max(heard_, term);
    say(ex::Cancel{keys_.at(run).task.key, fence, "cancelled by the world"});
  }
  void see(Term term) {
    heard_ = std::max(heard_, term);
    say(ex::SawFence{1, term});
  }
  /// The leader announces an index only when every older attempt is closed.
  void prune() {
    Index below{10};
    for (const auto& [run, truth] : keys_) {
      if (!truth.closed) break;
      below = truth.task.fence.index;
    }
    pruned_ = std::max(pruned_, below);
    say(ex::Prune{below});
  }
  void sync_one(bool said) {
    if (unsynced_.empty()) return;
    const ex::Journal write = unsynced_.front();
    unsynced_.pop_front();
    durable_term_ = write.term;
    if (write.entry) durable_.insert_or_assign(write.entry->key, *write.entry);
    if (said) say(ex::Journaled{write.write});
  }
  void end_an_act() {
    if (acting_.empty()) return;
    Truth& truth = keys_.at(*acting_.begin());
    acting_.erase(acting_.begin());
    busy_.erase(truth.task.resource);
    truth.effective = truth.effective || rng_.chance(70);
    const bool killed = killed_.erase(truth.task.key.run.value) > 0;
    const TaskState failed = killed ? TaskState::Cancelled : TaskState::Failed;
    say(ex::Acted{truth.task.key, {truth.effective ? TaskState::Done : failed, "acted", {}}});
  }
  void end_an_inspection() {
    if (inspecting_.empty()) return;
    Truth& truth = keys_.at(*inspecting_.begin());
    inspecting_.erase(inspecting_.begin());
    busy_.erase(truth.task.resource);
    Finding finding = truth.effective ? Finding::WasDone : Finding::NotDone;
    if (rng_.chance(20)) finding = Finding::CannotTell;
    truth.seen_undone = finding == Finding::NotDone;
    say(ex::Inspected{truth.task.key, finding, {TaskState::Failed, "inspected", {}}});
  }
  /// kill -9: some of the writes in flight, in order, still reach the disk; acts stop half way.
  void crash() {
    ++counts_.crashes;
    for (std::uint64_t kept = rng_.between(0, unsynced_.size()); kept > 0; --kept) sync_one(false);
    for (const std::uint64_t run : acting_) {
      keys_.at(run).effective = keys_.at(run).effective || rng_.chance(50);
    }
    restart();
  }
  void restart() {
    unsynced_.clear();
    acting_.clear();
    inspecting_.clear();
    killed_.clear();
    busy_.clear();
    heard_ = durable_term_;
    std::vector<JournalEntry> journal;
    for (const auto& [key, entry] : durable_) journal.push_back(entry);
    executor_.emplace(journal, 1, durable_term_);
  }

  // What the executor does to the world, and whether it may.

  void take(const ex::Journal& write) { unsynced_.push_back(write); }
  void take(const ex::Act& act) {
    const TaskKey& key = act.task.key;
    Truth& truth = keys_.at(key.run.value);
    const auto entry = durable_.find(key);
    check(!truth.acted || truth.seen_undone, "a key acted twice", key);
    check(!truth.closed, "a closed key acted", key);
    check(entry != durable_.end() && !entry->second.result, "it acted before begun", key);
    check(busy_.insert(act.task.resource).second, "two at a time on a resource", key);
    check(act.task.fence.term >= heard_, "it acted for a stale leader", key);
    check(durable_term_ >= heard_, "it acted before the newest fence was durable", key);
    check(act.task.fence.index >= pruned_, "a pruned key acted", key);
    check(act.task.fence.index >= acted_index_[act.task.resource], "an older index acted", key);
    check(act.task.remaining > Duration{0}, "it acted after its deadline", key);
    acted_index_[act.task.resource] = act.task.fence.index;
    truth.acted = true;
    truth.seen_undone = false;
    acting_.insert(key.run.value);
    ++counts_.acts;
  }
  void take(const ex::Inspect& inspect) {
    const TaskKey& key = inspect.entry.key;
    check(busy_.insert(inspect.entry.resource).second, "two at a time on a resource", key);
    inspecting_.insert(key.run.value);
    ++counts_.inspections;
  }
  void take(const ex::Kill& kill) {
    check(acting_.contains(kill.key.run.value), "it killed what does not act", kill.key);
    check(killed_.insert(kill.key.run.value).second, "it killed twice", kill.key);
    ++counts_.kills;
  }
  void take(const ex::Answer& answer) {
    if (!answer.closes) return;
    Truth& truth = keys_.at(answer.key.run.value);
    const auto entry = durable_.find(answer.key);
    check(entry != durable_.end() && entry->second.result, "an answer was not durable", answer.key);
    check(!truth.closed || (truth.closed->state == answer.result.state &&
                            truth.closed->text == answer.result.text),
          "a key has two answers", answer.key);
    check(answer.result.state != TaskState::Done || truth.effective, "done but not", answer.key);
    if (!truth.closed) ++counts_.closed;
    truth.closed = answer.result;
  }
  void take(const ex::Forget& forget) {
    check(forget.below <= pruned_, "it forgot what is open", {});
    std::erase_if(durable_,
                  [&](const auto& known) { return known.second.fence.index < forget.below; });
  }
  void check(bool holds, const std::string& promise, const TaskKey& key) {
    if (!holds && violation_.empty()) {
      violation_ = promise + ": run " + std::to_string(key.run.value);
    }
  }

  /// Once the world calms down, a leader with the newest term gets an answer for every key.
  void every_key_gets_its_answer() {
    drain();
    for (const auto& [run, truth] : keys_) {
      if (truth.task.fence.index < pruned_) continue;
      perform(run, term_, milliseconds(1000));
      drain();
      check(truth.closed.has_value(), "a key was never answered", truth.task.key);
    }
    check(executor_->deadline() == kNever, "a deadline is left over", {});
  }
  void drain() {
    while (violation_.empty() && (!unsynced_.empty() || !acting_.empty() || !inspecting_.empty())) {
      sync_one(true);
      end_an_act();
      end_an_inspection();
    }
  }

  Rng rng_;
  Counts& counts_;
  Time now_;
  Term term_{1};  // the newest in the group
  Term heard_;    // the newest this executor has heard of
  std::optional<Executor> executor_;
  std::deque<ex::Journal> unsynced_;
  std::map<TaskKey, JournalEntry> durable_;
  Term durable_term_;
  std::map<std::uint64_t, Truth> keys_;  // by run
  std::set<std::uint64_t> acting_, inspecting_, killed_;
  std::set<std::string> busy_;  // resources with one in progress
  std::map<std::string, Index> acted_index_;
  Index pruned_;
  std::string violation_;
};

/// The first broken promise with its seed; empty: none in all of the seeds.
std::string first_violation(std::uint64_t seeds, Counts& counts) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const std::string violation = World(seed, counts).run();
    if (!violation.empty()) return "seed " + std::to_string(seed) + ": " + violation;
  }
  return "";
}

TEST(ExecutorRandom, KeepsItsPromisesOverCrashesAndNewLeaders) {
  enable_mutant("");
  Counts counts;
  EXPECT_EQ(first_violation(kSeeds, counts), "");
  EXPECT_GT(counts.acts, kSeeds);  // the worlds were busy enough to mean something
  EXPECT_GT(counts.inspections, kSeeds / 2);
  EXPECT_GT(counts.kills, kSeeds / 10);
  EXPECT_GT(counts.closed, kSeeds);
  EXPECT_GT(counts.crashes, kSeeds);
}

class PlantedDefect : public testing::TestWithParam<const char*> {};

TEST_P(PlantedDefect, IsFound) {
  enable_mutant(GetParam());
  Counts counts;
  EXPECT_NE(first_violation(kSeeds, counts), "");
  enable_mutant("");
}

INSTANTIATE_TEST_SUITE_P(ExecutorRandom, PlantedDefect,
                         testing::Values("executor_journal_off", "executor_fence_ignored"));

}  // namespace
}  // namespace fettle::core
