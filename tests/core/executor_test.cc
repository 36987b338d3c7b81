#include "core/executor.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace fettle::core {
namespace {

using std::chrono::seconds;
namespace ex = executor;

TaskKey key_of(std::uint64_t run, std::uint32_t attempt = 1) {
  return {.generation = 1, .run = RunId{run}, .step = 0, .attempt = attempt, .host = "gpu1"};
}

Fence fence_of(std::uint64_t index, std::uint64_t term = 5) {
  return {.generation = 1, .term = Term{term}, .index = Index{index}};
}

Task task_of(std::uint64_t run, const Fence& fence) {
  Task task;
  task.key = key_of(run);
  task.fence = fence;
  task.action = "traffic.isolate";
  task.resource = "be_chat/vllm1";
  task.remaining = seconds(5);
  return task;
}

/// One host under virtual time: a durable journal, an executor that can crash, and what it did.
class Host {
 public:
  Host() { restart(); }

  void says(const ex::Event& event) {
    for (const ex::Effect& effect : executor_->step(now_, event)) take(effect);
  }
  void performs(std::uint64_t run, const Fence& fence) { says(ex::Perform{task_of(run, fence)}); }
  void acted(std::uint64_t run, TaskState state = TaskState::Done, const std::string& text = "") {
    says(ex::Acted{key_of(run), {state, text, {}}});
  }
  void inspected(std::uint64_t run, Finding finding) {
    says(ex::Inspected{key_of(run), finding, {}});
  }
  /// The disk catches up: every write becomes durable and is said to be.
  void syncs() {
    while (!unsynced_.empty()) sync_one(true);
  }
  /// The oldest write becomes durable; whether the executor hears of it before a crash is `said`.
  void sync_one(bool said) {
    const ex::Journal write = unsynced_.front();
    unsynced_.erase(unsynced_.begin());
    generation_ = write.generation;
    term_ = write.term;
    if (write.entry) durable_.insert_or_assign(write.entry->key, *write.entry);
    if (said) says(ex::Journaled{write.write});
  }
  /// kill -9: whatever is not durable is gone, and so is any act.
  void restart() {
    std::vector<JournalEntry> journal;
    for (const auto& [key, entry] : durable_) journal.push_back(entry);
    unsynced_.clear();
    executor_.emplace(journal, generation_, term_);
  }
  void wait(Duration length) {
    now_ = now_ + length;
    if (executor_->deadline() <= now_) says(ex::Tick{});
  }
  /// `act 17`, `inspect 17`, `kill 17`, `answer 17 done: text` since it was last asked.
  std::vector<std::string> did() { return std::exchange(did_, {}); }
  Term persisted_term() const { return term_; }
  Time deadline() const { return executor_->deadline(); }
  std::size_t journal_size() const { return durable_.size(); }

 private:
  void take(const ex::Effect& effect) {
    const auto run = [](const TaskKey& key) { return std::to_string(key.run.value); };
    if (const auto* e = std::get_if<ex::Journal>(&effect)) unsynced_.push_back(*e);
    if (const auto* e = std::get_if<ex::Act>(&effect)) did_.push_back("act " + run(e->task.key));
    if (const auto* e = std::get_if<ex::Inspect>(&effect)) {
      did_.push_back("inspect " + run(e->entry.key));
    }
    if (const auto* e = std::get_if<ex::Kill>(&effect)) did_.push_back("kill " + run(e->key));
    if (const auto* e = std::get_if<ex::Answer>(&effect)) {
      did_.push_back(std::string(e->closes ? "answer " : "tell ") + run(e->key) + " " +
                     std::string(to_string(e->result.state)) +
                     (e->result.text.empty() ? "" : ": ") + e->result.text);
    }
    if (const auto* e = std::get_if<ex::Forget>(&effect)) {
      std::erase_if(durable_, [&](const auto& d) { return d.second.fence.index < e->below; });
    }
  }

  Time now_;
  std::optional<Executor> executor_;
  std::vector<ex::Journal> unsynced_;
  std::map<TaskKey, JournalEntry> durable_;
  std::uint64_t generation_ = 1;
  Term term_;
  std::vector<std::string> did_;
};

using Trace = std::vector<std::string>;
const std::string kLate = "deadline passed before it began";

TEST(Executor, ATaskIsJournaledActedJournaledAndAnswered) {
  Host host;
  host.performs(17, fence_of(10));
  EXPECT_EQ(host.did(), Trace{});  // nothing before begun is durable
  host.syncs();
  EXPECT_EQ(host.did(), Trace{"act 17"});
  host.acted(17, TaskState::Done, "state maint");
  EXPECT_EQ(host.did(), Trace{});  // no answer before done is durable
  host.syncs();
  EXPECT_EQ(host.did(), Trace{"answer 17 done: state maint"});
}

TEST(Executor, ADoneKeyIsAnsweredFromTheJournal) {
  Host host;
  host.performs(17, fence_of(10));
  host.syncs();
  host.acted(17, TaskState::Failed, "no such server");
  host.syncs();
  host.restart();
  host.did();
  host.performs(17, fence_of(10));
  EXPECT_EQ(host.did(), Trace{"answer 17 failed: no such server"});
}

TEST(Executor, ADuplicateOfAKeyInProgressIsAnsweredOnce) {
  Host host;
  host.performs(17, fence_of(10));
  host.performs(17, fence_of(10));
  host.syncs();
  host.performs(17, fence_of(10));
  host.acted(17);
  host.performs(17, fence_of(10));
  host.syncs();
  EXPECT_EQ(host.did(), (Trace{"act 17", "answer 17 done"}));
}

TEST(Executor, KilledBeforeBegunWasDurableItNeverHappened) {
  Host host;
  host.performs(17, fence_of(10));
  host.restart();
  host.performs(17, fence_of(10));
  host.syncs();
  EXPECT_EQ(host.did(), Trace{"act 17"});
}

TEST(Executor, KilledBetweenBegunAndActItLooksAndThenActs) {
  Host host;
  host.performs(17, fence_of(10));
  host.sync_one(false);
  host.restart();
  host.performs(17, fence_of(10));
  EXPECT_EQ(host.did(), Trace{"inspect 17"});
  host.inspected(17, Finding::NotDone);
  EXPECT_EQ(host.did(), Trace{});  // begun once more, under the fence of now
  host.syncs();
  EXPECT_EQ(host.did(), Trace{"act 17"});
}

TEST(Executor, KilledBetweenActAndDoneItLooksAndAnswersDone) {
  Host host;
  host.performs(17, fence_of(10));
  host.syncs();
  host.restart();
  host.performs(17, fence_of(10));
  host.inspected(17, Finding::WasDone);
  host.syncs();
  EXPECT_EQ(host.did(), (Trace{"act 17", "inspect 17", "answer 17 done"}));
}

TEST(Executor, KilledBetweenDoneAndAnswerItAnswersFromTheJournal) {
  Host host;
  host.performs(17, fence_of(10));
  host.syncs();
  host.acted(17);
  host.sync_one(false);
  host.restart();
  host.performs(17, fence_of(10));
  EXPECT_EQ(host.did(), (Trace{"act 17", "answer 17 done"}));
}

TEST(Executor, WhatItCannotTellIsInDoubtForEver) {
  Host host;
  host.performs(17, fence_of(10));
  host.syncs();
  host.restart();
  host.performs(17, fence_of(10));
  host.inspected(17, Finding::CannotTell);
  host.syncs();
  host.restart();
  host.performs(17, fence_of(10));
  const std::string doubt = "answer 17 in_doubt: begun before a restart; its state does not tell";
  EXPECT_EQ(host.did(), (Trace{"act 17", "inspect 17", doubt, doubt}));
}

TEST(Executor, WhatWasNotDoneBeforeItsDeadlineIsRefused) {
  Host host;
  host.performs(17, fence_of(10));
  host.sync_one(false);
  host.restart();
  host.performs(17, fence_of(10));
  host.wait(seconds(5));
  host.inspected(17, Finding::NotDone);
  host.syncs();
  EXPECT_EQ(host.did(), (Trace{"inspect 17", "answer 17 refused: " + kLate}));
}

TEST(Executor, AStaleLeaderIsToldAndChangesNothing) {
  Host host;
  host.says(ex::SawFence{1, Term{6}});
  host.syncs();
  EXPECT_EQ(host.persisted_term(), Term{6});
  host.performs(17, fence_of(10, 5));
  EXPECT_EQ(host.did(), Trace{"tell 17 refused: fence 1/5 is older than 1/6 seen here"});
  host.performs(17, fence_of(10, 6));  // the key is still open to the newer leader
  host.syncs();
  EXPECT_EQ(host.did(), Trace{"act 17"});
}

TEST(Executor, AnOlderGenerationIsStaleWhateverItsTerm) {
  Host host;
  host.says(ex::SawFence{2, Term{1}});
  host.performs(17, fence_of(10, 99));
  EXPECT_EQ(host.did(), Trace{"tell 17 refused: fence 1/99 is older than 2/1 seen here"});
}

TEST(Executor, TheFenceSurvivesARestart) {
  Host host;
  host.performs(17, fence_of(10, 6));
  host.syncs();
  host.restart();
  host.did();
  host.performs(18, fence_of(11, 5));
  EXPECT_EQ(host.did(), Trace{"tell 18 refused: fence 1/5 is older than 1/6 seen here"});
}

TEST(Executor, ANewerFenceBeforeTheActStopsItAndTheNextLeaderGoesOn) {
  Host host;
  host.performs(17, fence_of(10, 5));
  host.says(ex::SawFence{1, Term{6}});
  host.syncs();
  EXPECT_EQ(host.did(), Trace{"tell 17 refused: fence 1/5 is older than 1/6 seen here"});
  host.performs(17, fence_of(10, 6));
  host.inspected(17, Finding::NotDone);
  host.syncs();
  EXPECT_EQ(host.did(), (Trace{"inspect 17", "act 17"}));
}

TEST(Executor, TheNewerFenceOfADuplicateIsPersistedBeforeTheAct) {
  Host host;
  host.performs(17, fence_of(10, 5));
  host.performs(17, fence_of(10, 6));
  host.sync_one(true);
  EXPECT_EQ(host.did(), Trace{});
  host.sync_one(true);
  EXPECT_EQ(host.persisted_term(), Term{6});
  EXPECT_EQ(host.did(), Trace{"act 17"});
}

TEST(Executor, AnOlderIndexOnAResourceIsRefusedAnEqualOneIsNot) {
  Host host;
  host.performs(17, fence_of(10));
  host.syncs();
  host.acted(17);
  host.syncs();
  host.restart();
  host.did();
  host.performs(16, fence_of(9));
  host.performs(18, fence_of(10));
  host.syncs();
  EXPECT_EQ(host.did(),
            (Trace{"answer 16 refused: fence 1/5/9 is older than 1/5/10 begun on be_chat/vllm1",
                   "act 18"}));
}

TEST(Executor, OneAtATimeOnAResourceInTheOrderOfArrival) {
  Host host;
  for (const std::uint64_t run : {17U, 18U, 19U}) host.performs(run, fence_of(run));
  host.syncs();
  EXPECT_EQ(host.did(), Trace{"act 17"});
  host.acted(17);
  host.syncs();
  EXPECT_EQ(host.did(), (Trace{"answer 17 done", "act 18"}));
  host.acted(18);
  host.syncs();
  EXPECT_EQ(host.did(), (Trace{"answer 18 done", "act 19"}));
}

TEST(Executor, OtherResourcesDoNotWait) {
  Host host;
  Task other = task_of(18, fence_of(11));
  other.resource = "be_chat/vllm2";
  host.performs(17, fence_of(10));
  host.says(ex::Perform{other});
  host.syncs();
  EXPECT_EQ(host.did(), (Trace{"act 17", "act 18"}));
}

TEST(Executor, AFullQueueRefuses) {
  Host host;
  const std::uint64_t last = 1 + Executor::kQueuedPerResourceMax;
  for (std::uint64_t run = 1; run <= last; ++run) host.performs(run, fence_of(10));
  host.syncs();
  EXPECT_EQ(host.did(), Trace{"act 1"});
  host.performs(99, fence_of(10));
  host.syncs();
  EXPECT_EQ(host.did(), Trace{"answer 99 refused: queue full"});
}

TEST(Executor, AFullJournalRefusesUntilItIsPruned) {
  std::vector<JournalEntry> journal(Executor::kJournalMax);
  for (std::size_t i = 0; i < journal.size(); ++i) {
    journal[i].key = key_of(i + 1);
    journal[i].fence = fence_of(i + 1);
    journal[i].result = TaskResult{TaskState::Done, "", {}};
  }
  Executor executor(journal, 1, Term{5});
  const Task task = task_of(20000, fence_of(20000));
  const auto refused = executor.step(Time{}, ex::Perform{task});
  EXPECT_EQ(std::get<ex::Answer>(refused.at(0)).result.text, "journal full");
  EXPECT_FALSE(std::get<ex::Answer>(refused.at(0)).closes);
  executor.step(Time{}, ex::Prune{Index{5000}});
  const auto begun = executor.step(Time{}, ex::Perform{task});
  EXPECT_EQ(std::get<ex::Journal>(begun.at(0)).entry->key, task.key);
}

TEST(Executor, WhatDoesNotBeginInTimeIsRefused) {
  Host host;
  host.performs(17, fence_of(10));
  host.syncs();
  host.wait(seconds(1));
  host.performs(18, fence_of(11));
  host.did();
  host.acted(17, TaskState::Done);  // its done entry takes the disk six seconds
  host.wait(seconds(6));
  host.syncs();
  EXPECT_EQ(host.did(), (Trace{"answer 17 done", "answer 18 refused: " + kLate}));
}

TEST(Executor, ATaskWithoutTimeLeftIsRefused) {
  Host host;
  Task task = task_of(17, fence_of(10));
  task.remaining = seconds(0);
  host.says(ex::Perform{task});
  host.syncs();
  EXPECT_EQ(host.did(), Trace{"answer 17 refused: " + kLate});
  EXPECT_EQ(host.deadline(), kNever);
}

TEST(Executor, BegunTooLateIsRefusedWithoutAnAct) {
  Host host;
  host.performs(17, fence_of(10));
  host.wait(seconds(5));
  host.syncs();
  EXPECT_EQ(host.did(), Trace{"answer 17 refused: " + kLate});
}

TEST(Executor, ADeadlineWhileActingKillsAndAnswersHowItEnded) {
  Host host;
  host.performs(17, fence_of(10));
  host.syncs();
  host.wait(seconds(5));
  host.wait(seconds(1));
  EXPECT_EQ(host.did(), (Trace{"act 17", "kill 17"}));
  host.acted(17, TaskState::Cancelled);
  host.syncs();
  EXPECT_EQ(host.did(), Trace{"answer 17 cancelled: deadline passed while acting"});
}

TEST(Executor, TheActIsToldHowMuchTimeIsLeftWithRoomForItsOwnAnswer) {
  Executor executor({}, 1, Term{5});
  executor.step(Time{}, ex::Perform{task_of(17, fence_of(10))});
  const auto effects = executor.step(Time{} + seconds(2), ex::Journaled{1});
  EXPECT_EQ(std::get<ex::Act>(effects.at(0)).task.remaining, seconds(3) - ex::kOwnEndMax);
}

TEST(Executor, ACancelOfAQueuedTaskKeepsItFromEverActing) {
  Host host;
  host.performs(17, fence_of(10));
  host.performs(18, fence_of(11));
  host.says(ex::Cancel{key_of(18), fence_of(11), "a person"});
  host.syncs();
  host.acted(17);
  host.syncs();
  host.performs(18, fence_of(11));
  EXPECT_EQ(host.did(), (Trace{"act 17", "answer 18 cancelled: a person", "answer 17 done",
                               "answer 18 cancelled: a person"}));
}

TEST(Executor, ACancelBeforeTheActMeansNoAct) {
  Host host;
  host.performs(17, fence_of(10));
  host.says(ex::Cancel{key_of(17), fence_of(10), "a person"});
  host.syncs();
  EXPECT_EQ(host.did(), Trace{"answer 17 cancelled: a person"});
}

TEST(Executor, ACancelOfAnActKillsAndAcknowledgesItsEnd) {
  Host host;
  host.performs(17, fence_of(10));
  host.syncs();
  host.says(ex::Cancel{key_of(17), fence_of(10), "a person"});
  host.says(ex::Cancel{key_of(17), fence_of(10), "a person"});
  EXPECT_EQ(host.did(), (Trace{"act 17", "kill 17"}));
  host.acted(17, TaskState::Done, "too late to stop");
  host.syncs();
  EXPECT_EQ(host.did(), Trace{"answer 17 done: too late to stop"});
}

TEST(Executor, ACancelOfAnUnknownKeyIsRememberedOverARestart) {
  Host host;
  host.says(ex::Cancel{key_of(17), fence_of(10), "overtaken"});
  host.syncs();
  host.restart();
  host.performs(17, fence_of(10));
  host.syncs();
  EXPECT_EQ(host.did(),
            (Trace{"answer 17 cancelled: overtaken", "answer 17 cancelled: overtaken"}));
}

TEST(Executor, ACancelOfADoneKeyAnswersItsResult) {
  Host host;
  host.performs(17, fence_of(10));
  host.syncs();
  host.acted(17);
  host.syncs();
  host.did();
  host.says(ex::Cancel{key_of(17), fence_of(10), "a person"});
  EXPECT_EQ(host.did(), Trace{"answer 17 done"});
}

TEST(Executor, ACancelOfAKeyBegunBeforeARestartLooksFirst) {
  Host host;
  host.performs(17, fence_of(10));
  host.syncs();
  host.restart();
  host.says(ex::Cancel{key_of(17), fence_of(10), "a person"});
  host.performs(17, fence_of(10));
  host.inspected(17, Finding::NotDone);
  host.syncs();
  EXPECT_EQ(host.did(), (Trace{"act 17", "inspect 17", "answer 17 cancelled: a person"}));
}

TEST(Executor, AStaleCancelStopsNothing) {
  Host host;
  host.performs(17, fence_of(10, 6));
  host.syncs();
  host.says(ex::Cancel{key_of(17), fence_of(10, 5), "a person"});
  EXPECT_EQ(host.did(),
            (Trace{"act 17", "tell 17 refused: fence 1/5 is older than 1/6 seen here"}));
}

TEST(Executor, APrunedKeyNeverActsAgainNotEvenAfterARestart) {
  Host host;
  host.performs(17, fence_of(10));
  host.syncs();
  host.acted(17);
  host.syncs();
  host.says(ex::Prune{Index{11}});
  host.syncs();
  EXPECT_EQ(host.journal_size(), 1U);  // the executor's own entry
  host.restart();
  host.did();
  host.performs(17, fence_of(10));
  EXPECT_EQ(host.did(), Trace{"tell 17 refused: the leader finished everything before index 11"});
}

TEST(Executor, ALongTextIsCutAtABoundaryOfItsLetters) {
  Host host;
  host.performs(17, fence_of(10));
  host.syncs();
  std::string text = "x";
  while (text.size() <= kTaskTextBytesMax) text += "\u00e4";
  host.acted(17, TaskState::Failed, text);
  host.syncs();
  const std::string answer = host.did().back();
  EXPECT_EQ(answer.size(), std::string("answer 17 failed: ").size() + kTaskTextBytesMax - 1);
}

}  // namespace
}  // namespace fettle::core
