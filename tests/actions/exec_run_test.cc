// Stories of exec.run as a host does it: what its allow-list lets it do, what a program is told,
// and how its end reads in the answer.
#include <gtest/gtest.h>

#include "actions/action.h"
#include "tests/actions/programs.h"

namespace fettle::actions {
namespace {

using core::TaskState;
using std::chrono::milliseconds;
using std::chrono::seconds;

class ExecRun : public testing::Test {
 protected:
  ExecRun() { allow["exec"] = {programs.folder() + "/*"}; }

  core::Task task(std::vector<std::string> command, core::Duration remaining = seconds(30)) const {
    core::Task one;
    one.key = {.run = RunId{17}, .step = 2, .attempt = 3, .host = "gpu1"};
    one.action = "exec.run";
    one.input = {{"command", std::move(command)},
                 {"node", std::string("chat-a")},
                 {"service", std::string("chat")},
                 {"step", std::string("heal")}};
    one.remaining = remaining;
    one.reason = "chat-a is down: 2 of 3 observers: refused";
    return one;
  }
  core::TaskResult run(const core::Task& one) {
    std::optional<core::TaskResult> result;
    action = *make("exec.run", context);
    action->start(one, [&](core::TaskResult answer) {
      EXPECT_FALSE(result.has_value()) << "answered twice";
      result = std::move(answer);
    });
    EXPECT_FALSE(result.has_value()) << "answered from within";
    EXPECT_TRUE(turn_until(loop, [&] { return result.has_value(); }));
    return result.value_or(core::TaskResult{});
  }

  Programs programs;
  io::Loop loop;
  io::Processes processes{loop};
  io::Resolver resolver{loop};
  core::AllowList allow;
  ActionContext context{loop, allow, processes, resolver};
  std::unique_ptr<Action> action;
};

TEST_F(ExecRun, ExitCodeZeroIsDone) {
  const auto done = run(task({programs.script("heal", "echo healed $1"), "chat-a"}));
  EXPECT_EQ(done.state, TaskState::Done);
  EXPECT_EQ(done.text, "exit code 0: healed chat-a");
}

TEST_F(ExecRun, AnotherExitCodeIsAKnownFailureWithTheProgramsWords) {
  const auto failed = run(
      task({programs.script("heal", "echo trying; printf 'no \\033gpu \\377\\n' >&2; exit 4")}));
  EXPECT_EQ(failed.state, TaskState::Failed);
  EXPECT_EQ(failed.text, "exit code 4: trying no gpu ?");
}

TEST_F(ExecRun, ASignalIsAKnownFailure) {
  const auto killed = run(task({programs.script("heal", "kill -ABRT $$")}));
  EXPECT_EQ(killed.state, TaskState::Failed);
  EXPECT_EQ(killed.text, "killed by signal 6");
}

TEST_F(ExecRun, WhatIsNotThereOrNoProgramFails) {
  EXPECT_EQ(run(task({programs.path("nothing")})).text, "not started: No such file or directory");
  const auto plain = run(task({programs.script("plain", "true", 0644)}));
  EXPECT_EQ(plain.state, TaskState::Failed);
  EXPECT_EQ(plain.text, "not started: Permission denied");
}

TEST_F(ExecRun, TheHostsOwnAllowListHasTheLastWord) {
  const auto foreign = run(task({"/bin/true"}));
  EXPECT_EQ(foreign.state, TaskState::Refused);
  EXPECT_EQ(foreign.text, "this host's allow-list (allow.exec) does not hold /bin/true");
  allow["exec"] = {"/*/*", "/*/*/*", "/*/*/*/*"};
  for (const char* odd : {"bin/true", "/bin/../bin/true", "/bin/./true", "/bin//true", "/bin/"}) {
    const auto refused = run(task({odd}));
    EXPECT_EQ(refused.state, TaskState::Refused) << odd;
    EXPECT_EQ(refused.text, std::string(odd) + " is no plain absolute path");
  }
  EXPECT_EQ(run(task({"/bin/true"})).state, TaskState::Done);
  allow.clear();
  EXPECT_EQ(run(task({"/bin/true"})).state, TaskState::Refused) << "the default is nothing";
}

TEST_F(ExecRun, AProgramIsToldWhatItIsForAndInheritsNothing) {
  const auto done =
      run(task({programs.script("told", "env | grep -v '^PWD=' | sort | tr '\\n' '&'")}));
  EXPECT_EQ(done.text,
            "exit code 0: FETTLE_ATTEMPT=3&FETTLE_KEY=1/17/2/3@gpu1&FETTLE_NODE=chat-a&"
            "FETTLE_REASON=chat-a is down: 2 of 3 observers: refused&FETTLE_RUN=17&"
            "FETTLE_SERVICE=chat&FETTLE_STEP=heal&LANG=C&"
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin&");
}

TEST_F(ExecRun, AtItsDeadlineTheGroupIsKilledAndWhatItDidIsInDoubt) {
  const std::string child = programs.path("child");
  const auto stuck = run(task(
      {programs.script("stuck", "echo half of it; sleep 1000 &\necho $! >" + child + "; wait")},
      seconds(2)));
  EXPECT_EQ(stuck.state, TaskState::InDoubt);
  EXPECT_EQ(stuck.text, "killed at its deadline: half of it");
  EXPECT_TRUE(turn_until(loop, [this] { return is_gone(*programs.pid_in("child")); }));
}

TEST_F(ExecRun, DestroyingTheActionIsTheKillAndNobodyIsTold) {
  const std::string self = programs.path("self");
  bool answered = false;
  action = *make("exec.run", context);
  action->start(task({programs.script("stays", "echo $$ >" + self + "; exec sleep 1000")}),
                [&](const core::TaskResult&) { answered = true; });
  ASSERT_TRUE(turn_until(loop, [this] { return programs.pid_in("self").has_value(); }));
  action.reset();
  EXPECT_TRUE(turn_until(loop, [this] { return processes.count() == 0; }));
  EXPECT_TRUE(is_gone(*programs.pid_in("self")));
  EXPECT_FALSE(answered);
}

TEST_F(ExecRun, InspectionCannotTellAndRunsNothing) {
  core::JournalEntry begun;
  begun.input = task({programs.script("heal", "touch " + programs.path("ran"))}).input;
  std::optional<core::Finding> finding;
  action = *make("exec.run", context);
  action->inspect(begun, [&](core::Finding found, const core::TaskResult& result) {
    finding = found;
    EXPECT_EQ(result.state, TaskState::InDoubt);
  });
  EXPECT_TRUE(turn_until(loop, [&] { return finding.has_value(); }));
  EXPECT_EQ(*finding, core::Finding::CannotTell);
  EXPECT_FALSE(std::filesystem::exists(programs.path("ran")));
}

TEST_F(ExecRun, TheAnswerIsBoundedWhateverTheProgramSays) {
  const auto flood = run(task({programs.script("flood", "yes | head -c 1000000; exit 1")}));
  EXPECT_EQ(flood.state, TaskState::Failed);
  EXPECT_LE(flood.text.size(), core::kTaskTextBytesMax);
}

}  // namespace
}  // namespace fettle::actions
