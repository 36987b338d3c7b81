// Stories of a program that this host runs, told by real ones: how it ends, what it may say, what
// it gets, and that nothing of it outlives its end, its kill or the process that started it.
#include "io/process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "tests/actions/programs.h"

namespace fettle::io {
namespace {

using How = ProcessEnd::How;

class Run : public testing::Test {
 protected:
  /// Starts it; `end` is filled in when it ends.
  void start(std::vector<std::string> argv, std::vector<std::string> environment = {}) {
    end.reset();
    auto started = processes->start({std::move(argv), std::move(environment)},
                                    [this](ProcessEnd one) { end = std::move(one); });
    ASSERT_TRUE(started.has_value()) << started.error().what;
    ASSERT_FALSE(end.has_value()) << "told from within start()";
    process.emplace(std::move(*started));
  }
  /// Runs it to its end.
  ProcessEnd run(std::vector<std::string> argv, std::vector<std::string> environment = {}) {
    start(std::move(argv), std::move(environment));
    EXPECT_TRUE(turn_until(loop, [this] { return end.has_value(); }));
    return end.value_or(ProcessEnd{});
  }
  bool all_reaped() {
    return turn_until(loop, [this] { return processes->count() == 0; });
  }

  Programs programs;
  Loop loop;
  std::optional<Processes> processes{std::in_place, loop};
  std::optional<ProcessEnd> end;
  std::optional<Process> process;
};

TEST_F(Run, TellsTheExitCodeAndWhatWasSaid) {
  const ProcessEnd good = run({programs.script("good", "echo out; echo err >&2")});
  EXPECT_EQ(good.how, How::Exited);
  EXPECT_EQ(good.value, 0);
  EXPECT_EQ(good.output, "out\nerr\n");
  const ProcessEnd bad = run({programs.script("bad", "exit 7")});
  EXPECT_EQ(bad.how, How::Exited);
  EXPECT_EQ(bad.value, 7);
}

TEST_F(Run, TellsTheSignalThatEndedIt) {
  const ProcessEnd killed = run({programs.script("killed", "kill -SEGV $$")});
  EXPECT_EQ(killed.how, How::Signalled);
  EXPECT_EQ(killed.value, SIGSEGV);
}

TEST_F(Run, TellsWhyThereWasNothingToRun) {
  const ProcessEnd missing = run({programs.path("nothing")});
  EXPECT_EQ(missing.how, How::NotStarted);
  EXPECT_EQ(missing.value, ENOENT);
  const ProcessEnd plain = run({programs.script("plain", "true", 0644)});
  EXPECT_EQ(plain.how, How::NotStarted);
  EXPECT_EQ(plain.value, EACCES);
  EXPECT_TRUE(all_reaped());
}

TEST_F(Run, PassesWordsAsTheyAreAndNothingOfOurEnvironment) {
  ASSERT_EQ(setenv("FETTLE_TEST_SECRET", "s3cret", 1), 0);
  const ProcessEnd echoed = run({"/usr/bin/printf", "%s|", "a b", "$HOME;*", ""});
  EXPECT_EQ(echoed.output, "a b|$HOME;*||");
  const ProcessEnd environment = run({"/usr/bin/env"}, {"ONE=1", "TWO=a b"});
  EXPECT_EQ(environment.output, "ONE=1\nTWO=a b\n");
}

TEST_F(Run, GivesNoDescriptorButTheStandardThree) {
  const int leak = open("/dev/null", O_RDONLY);  // without O_CLOEXEC, on purpose
  ASSERT_GE(leak, 0);
  const int high = fcntl(leak, F_DUPFD, 500);
  const ProcessEnd listed = run({"/bin/ls", "/proc/self/fd"});
  EXPECT_EQ(listed.output, "0\n1\n2\n3\n") << "3 is what ls itself reads the folder by";
  close(leak);
  close(high);
}

TEST_F(Run, GivesEmptyInputTheRootFolderAndASessionApart) {
  const ProcessEnd told = run({programs.script(
      "where", "readlink /proc/self/fd/0; pwd; cut -d' ' -f6 /proc/self/stat; cat; umask")});
  std::istringstream lines(told.output);
  std::string input, folder, session, mask;
  lines >> input >> folder >> session >> mask;
  EXPECT_EQ(input, "/dev/null");
  EXPECT_EQ(folder, "/");
  EXPECT_NE(std::stoi(session), getsid(0));
  EXPECT_EQ(mask, "0022");
}

TEST_F(Run, GivesDefaultSignalsAlsoWhereWeIgnoreThem) {
  std::signal(SIGPIPE, SIG_IGN);
  const ProcessEnd told = run({"/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"});
  EXPECT_EQ(told.output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST_F(Run, AFloodIsReadToItsEndAndKeptAsItsFirstAndLastBytes) {
  const ProcessEnd flood = run({programs.script(
      "flood", "echo first; yes 'a line among many' | head -c 3000000; echo last; exit 3")});
  EXPECT_EQ(flood.value, 3) << "it was never blocked by its own words";
  EXPECT_TRUE(flood.output.starts_with("first\na line"));
  EXPECT_TRUE(flood.output.ends_with("last\n"));
  EXPECT_NE(flood.output.find(" bytes left out "), std::string::npos);
  EXPECT_LT(flood.output.size(), kProcessHeadMax + kProcessTailMax + 64);
}

TEST_F(Run, AProgramThatNeverStopsTalkingHoldsNobodyUp) {
  start({"/usr/bin/yes"});
  EXPECT_TRUE(turn_until(loop, [this] { return process->output().size() > kProcessTailMax; }));
  process.reset();
  EXPECT_TRUE(all_reaped());
  EXPECT_FALSE(end.has_value()) << "a killed one tells nobody";
}

TEST_F(Run, DestroyingItKillsItsWholeGroupAtOnce) {
  const std::string child = programs.path("child"), self = programs.path("self");
  start({programs.script("tree", "sh -c 'trap \"\" TERM HUP; echo $$ >" + child +
                                     "; while :; do sleep 1; done' &\ntrap '' TERM HUP\n"
                                     "echo $$ >" +
                                     self + "\nwait")});
  ASSERT_TRUE(
      turn_until(loop, [this] { return programs.pid_in("child") && programs.pid_in("self"); }));
  process.reset();
  EXPECT_TRUE(turn_until(loop, [this] {
    return is_gone(*programs.pid_in("child")) && is_gone(*programs.pid_in("self"));
  }));
  EXPECT_TRUE(all_reaped());
  EXPECT_FALSE(end.has_value());
}

TEST_F(Run, KilledBeforeItHasEvenBegunItIsGoneToo) {
  for (int i = 0; i < 20; ++i) {
    start({"/bin/sleep", "1000"});
    process.reset();
  }
  EXPECT_TRUE(all_reaped());
}

TEST_F(Run, AGrandchildThatHoldsThePipeHoldsNothingUpAndGoesWithItsGroup) {
  const std::string child = programs.path("child");
  const ProcessEnd told =
      run({programs.script("parent", "sleep 1000 &\necho $! >" + child + "\necho done; exit 0")});
  EXPECT_EQ(told.how, How::Exited);
  EXPECT_EQ(told.output, "done\n");
  EXPECT_TRUE(turn_until(loop, [this] { return is_gone(*programs.pid_in("child")); }));
}

TEST_F(Run, WhatLeftTheGroupOutlivesItAndHoldsNothingUp) {
  const std::string child = programs.path("child");
  const ProcessEnd told =
      run({programs.script("parent", "setsid sh -c 'echo $$ >" + child +
                                         "; exec sleep 1000' &\n"
                                         "while [ ! -s " +
                                         child + " ]; do sleep 0.01; done; echo done")});
  EXPECT_EQ(told.output, "done\n");
  EXPECT_TRUE(all_reaped());
  const pid_t left = programs.pid_in("child").value();
  EXPECT_FALSE(is_gone(left));
  kill(left, SIGKILL);
}

TEST_F(Run, NoZombieStays) {
  for (int i = 0; i < 5; ++i) run({programs.script("quick", "true & true & exit 0")});
  process.reset();
  EXPECT_TRUE(all_reaped());
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(Run, TheEndOfProcessesEndsAndReapsWhatRuns) {
  const std::string self = programs.path("self");
  start({programs.script("stays", "echo $$ >" + self + "; exec sleep 1000")});
  ASSERT_TRUE(turn_until(loop, [this] { return programs.pid_in("self").has_value(); }));
  processes.reset();
  EXPECT_TRUE(is_gone(*programs.pid_in("self")));
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "no child is left";
  EXPECT_FALSE(end.has_value());
}

TEST_F(Run, MoreThanTheBoundIsBusyAndStartsNothing) {
  std::vector<Process> all;
  for (std::size_t i = 0; i < Processes::kRunningMax; ++i) {
    auto one = processes->start({{"/bin/sleep", "1000"}, {}}, [](const ProcessEnd&) {});
    ASSERT_TRUE(one.has_value());
    all.push_back(std::move(*one));
  }
  const auto refused = processes->start({{"/bin/sleep", "1000"}, {}}, [](const ProcessEnd&) {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::Busy);
  all.clear();
  EXPECT_TRUE(all_reaped());
}

TEST_F(Run, AKilledKeeperTakesItsProgramAlongAndTheEndIsInDoubt) {
  const std::string parent = programs.path("parent"), self = programs.path("self");
  start({programs.script("stays",
                         "echo $PPID >" + parent + "; echo $$ >" + self + "; exec sleep 1000")});
  ASSERT_TRUE(turn_until(loop, [this] { return programs.pid_in("self").has_value(); }));
  kill(*programs.pid_in("parent"), SIGKILL);
  EXPECT_TRUE(turn_until(loop, [this] { return end.has_value(); }));
  EXPECT_EQ(end->how, How::Lost);
  EXPECT_TRUE(turn_until(loop, [this] { return is_gone(*programs.pid_in("self")); }));
  EXPECT_TRUE(all_reaped());
}

/// The process that started it is killed, not its thread: nothing of it gets to say goodbye.
TEST_F(Run, KillNineOfTheStarterKillsTheWholeGroup) {
  const std::string child = programs.path("child"), self = programs.path("self");
  const std::string script =
      programs.script("tree", "sleep 1000 &\necho $! >" + child + "\necho $$ >" + self + "\nwait");
  const pid_t starter = fork();
  if (starter == 0) {
    Loop its_loop;
    Processes its_processes(its_loop);
    const auto running = its_processes.start({{script}, {}}, [](const ProcessEnd&) {});
    its_loop.run();
    _exit(running.has_value() ? 0 : 1);
  }
  ASSERT_TRUE(
      turn_until(loop, [this] { return programs.pid_in("child") && programs.pid_in("self"); }));
  kill(starter, SIGKILL);
  ASSERT_EQ(waitpid(starter, nullptr, 0), starter);
  EXPECT_TRUE(turn_until(loop, [this] {
    return is_gone(*programs.pid_in("child")) && is_gone(*programs.pid_in("self"));
  }));
}

}  // namespace
}  // namespace fettle::io
