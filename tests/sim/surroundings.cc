#include "tests/sim/surroundings.h"

#include <utility>

namespace fettle::sim {

namespace {

bool is_program(const core::Task& task) { return task.action == "exec.run"; }

}  // namespace

void Director::act(const core::Task& task, Done done) {
  checks_.acts(host_, task);
  const std::uint64_t number = ++number_;
  acts_.insert_or_assign(task.key, Act{.task = task, .done = std::move(done), .number = number});
  const bool slow = troubled_ && rng_.chance(10);
  const auto first = milliseconds(rng_.between(1, slow ? 2500 : 30));
  const auto second = milliseconds(rng_.between(1, slow ? 800 : 10));
  const bool fails = troubled_ && rng_.chance(6);
  const bool loses_answer = troubled_ && rng_.chance(4);
  const bool says_no = is_program(task) && rng_.chance(30);
  clock_.after(first, [=, this, key = task.key] {
    const auto found = acts_.find(key);
    if (found == acts_.end() || found->second.number != number) return;
    if (fails) return end(key, {core::TaskState::Failed, "the director said no", {}});
    if (is_foreign(found->second.task)) {
      return end(key, {core::TaskState::Failed, "external: a person set it", {}});
    }
    take_effect(found->second);
  });
  clock_.after(first + second, [=, this, key = task.key] {
    const auto found = acts_.find(key);
    if (found == acts_.end() || found->second.number != number) return;
    if (loses_answer) return end(key, {core::TaskState::InDoubt, "the answer was lost", {}});
    if (says_no) {
      checks_.program_said_no(key);
      return end(key, {core::TaskState::Failed, "exit code 1", {}});
    }
    const bool isolates = found->second.task.action == "traffic.isolate";
    core::Options output{{"pid", process()},
                         {"found", std::string(found->second.was_out ? "maint" : "ready")},
                         {"set", std::string(isolates ? "maint" : "ready")}};
    end(key, {core::TaskState::Done, "read back", std::move(output)});
  });
}

/// As the real act: a restore undoes only what Fettle set under this process.
bool Director::is_foreign(const core::Task& task) const {
  const std::string set = core::text_option(task.input, "set");
  return task.action == "traffic.restore" && is_out(core::text_option(task.input, "server")) &&
         core::text_option(task.input, "pid") == process() && !set.empty() && set != "maint";
}

void Director::take_effect(Act& act) {
  act.effective = true;
  if (is_program(act.task)) return checks_.program_ran(act.task.key);
  const std::string server = core::text_option(act.task.input, "server");
  act.was_out = is_out(server);
  if (act.task.action == "traffic.isolate") {
    out_.try_emplace(server, act.task.key);
    checks_.isolates(host_, server, act.task.key);
  } else {
    out_.erase(server);
    checks_.restores(host_, server);
  }
}

void Director::end(const core::TaskKey& key, core::TaskResult result) {
  const auto found = acts_.find(key);
  const Done done = std::move(found->second.done);
  checks_.ended(host_, found->second.task);
  acts_.erase(found);
  done(std::move(result));
}

void Director::kill(const core::TaskKey& key) {
  const auto found = acts_.find(key);
  if (found == acts_.end()) return;
  if (is_program(found->second.task)) {
    return end(key, {core::TaskState::InDoubt, "stopped before it ended", {}});
  }
  if (found->second.effective) {
    return end(key, {core::TaskState::Done, "it was done before it could be stopped", {}});
  }
  end(key, {core::TaskState::Cancelled, "", {}});
}

core::Finding Director::inspect(const core::JournalEntry& entry) {
  if (entry.action == "exec.run") return core::Finding::CannotTell;
  if (troubled_ && rng_.chance(10)) return core::Finding::CannotTell;
  const bool wants_out = entry.action == "traffic.isolate";
  const bool done = is_out(core::text_option(entry.input, "server")) == wants_out;
  if (!done) checks_.seen_undone(entry.key);
  return done ? core::Finding::WasDone : core::Finding::NotDone;
}

void Director::restart() {
  ++process_;
  for (const auto& [server, key] : out_) checks_.restores(host_, server);
  out_.clear();
}

void Director::person_sets(const std::string& server, bool out) {
  if (out) {
    out_.try_emplace(server);
  } else if (out_.erase(server) > 0) {
    checks_.restores(host_, server);
  }
}

void Director::crash() {
  for (auto& [key, act] : acts_) {
    if (!act.effective && rng_.chance(50)) take_effect(act);
    checks_.ended(host_, act.task);
  }
  acts_.clear();
}

}  // namespace fettle::sim
