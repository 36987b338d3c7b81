#include "core/judge.h"

#include <gtest/gtest.h>

namespace fettle::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

ProbeSpec tcp_probe() {
  ProbeSpec probe;
  probe.name = "port";
  probe.kind = "tcp";
  probe.fault_class = FaultClass::Reachability;
  probe.fall = 2;
  probe.rise = 2;
  return probe;
}

ProbeSpec http_probe() {
  ProbeSpec probe;
  probe.name = "live";
  probe.kind = "http";
  probe.fall = 3;
  probe.rise = 2;
  return probe;
}

Watch watch_of(const std::string& node, std::vector<ProbeSpec> probes, std::uint64_t revision = 1) {
  Watch watch;
  watch.service = "chat";
  watch.node = node;
  watch.address = {"host-of-" + node, 8000};
  watch.revision = revision;
  watch.probes = std::move(probes);
  return watch;
}

/// A judge under virtual time: each look begins 100 ms after the one before and takes 1 ms.
class Observer {
 public:
  explicit Observer(const std::vector<Watch>& watches) { judge_.watch(watches); }
  explicit Observer(std::vector<ProbeSpec> probes)
      : Observer({watch_of("chat-a", std::move(probes))}) {}

  Judgement sees(Outcome outcome, const std::string& probe = "port",
                 const std::string& node = "chat-a", Duration loop_lag = {}) {
    now_ = now_ + milliseconds(100);
    Sample sample;
    sample.node = node;
    sample.probe = probe;
    sample.outcome = outcome;
    sample.at = now_;
    sample.latency = milliseconds(1);
    return judge_.observe(sample, loop_lag);
  }
  /// The opinion that the last of `count` equal looks led to.
  std::optional<Opinion> sees_often(int count, Outcome outcome, const std::string& probe = "port",
                                    const std::string& node = "chat-a") {
    std::optional<Opinion> opinion;
    for (int i = 0; i < count; ++i) opinion = sees(outcome, probe, node).opinion;
    return opinion;
  }
  void wait(Duration length) { now_ = now_ + length; }
  Time now() const { return now_; }
  Judge& judge() { return judge_; }

 private:
  Judge judge_;
  Time now_;
};

Verdict grade_of(const std::optional<Opinion>& opinion, FaultClass fault_class) {
  if (!opinion) return Verdict::Unknown;
  for (const ClassOpinion& c : opinion->classes) {
    if (c.fault_class == fault_class) return c.grade;
  }
  return Verdict::Unknown;
}

TEST(Judge, RiseInARowMakesItHealthyOnce) {
  Observer observer({tcp_probe()});
  EXPECT_FALSE(observer.sees(Outcome::Pass).opinion);
  const auto opinion = observer.sees(Outcome::Pass).opinion;
  EXPECT_EQ(grade_of(opinion, FaultClass::Reachability), Verdict::Healthy);
  EXPECT_FALSE(observer.sees(Outcome::Pass).opinion);
}

TEST(Judge, FallInARowMakesItDownAndTellsWhySince) {
  Observer observer({http_probe()});
  observer.sees_often(2, Outcome::Pass, "live");
  EXPECT_FALSE(observer.sees_often(2, Outcome::BadStatus, "live"));
  const auto opinion = observer.sees(Outcome::Refused, "live").opinion;
  ASSERT_TRUE(opinion);
  ASSERT_EQ(opinion->classes.size(), 1U);
  EXPECT_EQ(opinion->classes[0].grade, Verdict::Down);
  EXPECT_EQ(opinion->classes[0].outcome, Outcome::Refused);
  EXPECT_EQ(opinion->classes[0].age, milliseconds(201));  // since the first failure began
}

TEST(Judge, APassEndsTheStreak) {
  Observer observer({tcp_probe()});
  observer.sees_often(2, Outcome::Pass);
  EXPECT_FALSE(observer.sees(Outcome::Reset).opinion);
  EXPECT_FALSE(observer.sees(Outcome::Pass).opinion);
  EXPECT_FALSE(observer.sees(Outcome::Reset).opinion);
  EXPECT_EQ(grade_of(observer.sees(Outcome::Reset).opinion, FaultClass::Reachability),
            Verdict::Down);
}

TEST(Judge, RiseBringsItBack) {
  Observer observer({tcp_probe()});
  observer.sees_often(2, Outcome::Refused);
  EXPECT_FALSE(observer.sees(Outcome::Pass).opinion);
  const auto opinion = observer.sees(Outcome::Pass).opinion;
  EXPECT_EQ(grade_of(opinion, FaultClass::Reachability), Verdict::Healthy);
  EXPECT_EQ(opinion->classes[0].outcome, Outcome::Pass);
}

TEST(Judge, AFailureIsConfirmedUntilFallOrAPass) {
  Observer observer({http_probe()});
  observer.sees_often(2, Outcome::Pass, "live");
  EXPECT_TRUE(observer.sees(Outcome::Reset, "live").confirm);
  EXPECT_TRUE(observer.sees(Outcome::Refused, "live").confirm);
  EXPECT_FALSE(observer.sees(Outcome::Pass, "live").confirm);
  EXPECT_TRUE(observer.sees(Outcome::Refused, "live").confirm);
  EXPECT_TRUE(observer.sees(Outcome::Refused, "live").confirm);
  EXPECT_FALSE(observer.sees(Outcome::Refused, "live").confirm);
  EXPECT_FALSE(observer.sees(Outcome::Refused, "live").confirm);
}

TEST(Judge, NotBeingAbleToLookCountsNeitherWay) {
  Observer observer({tcp_probe()});
  observer.sees_often(2, Outcome::Pass);
  observer.sees_often(10, Outcome::CannotProbe);
  EXPECT_EQ(grade_of(observer.sees(Outcome::Refused).opinion, FaultClass::Reachability),
            Verdict::Healthy)
      << "it can look again, which is told; one failure is no fall";
  EXPECT_FALSE(observer.sees(Outcome::CannotProbe).confirm);
  const auto opinion = observer.sees(Outcome::Refused).opinion;
  EXPECT_EQ(grade_of(opinion, FaultClass::Reachability), Verdict::Down);
}

TEST(Judge, ABlindObserverSaysSoOnce) {
  Observer observer({tcp_probe()});
  EXPECT_FALSE(observer.sees(Outcome::CannotProbe).opinion);
  const auto opinion = observer.sees(Outcome::CannotProbe).opinion;
  ASSERT_TRUE(opinion);
  ASSERT_EQ(opinion->classes.size(), 1U);
  EXPECT_EQ(opinion->classes[0].grade, Verdict::Unknown);
  EXPECT_EQ(opinion->classes[0].outcome, Outcome::CannotProbe);
  EXPECT_FALSE(observer.sees_often(5, Outcome::CannotProbe));
}

TEST(Judge, AClassIsUnknownWhileOneOfItsProbesHasNoGradeYet) {
  ProbeSpec second = http_probe();
  second.name = "ready";
  Observer observer({http_probe(), second});
  EXPECT_FALSE(observer.sees_often(2, Outcome::Pass, "live"));
  EXPECT_FALSE(observer.sees(Outcome::Pass, "ready").opinion);
  const auto opinion = observer.sees(Outcome::Pass, "ready").opinion;
  EXPECT_EQ(grade_of(opinion, FaultClass::Service), Verdict::Healthy);
}

TEST(Judge, AClassIsAsBadAsItsWorstProbe) {
  ProbeSpec second = http_probe();
  second.name = "slowness";
  second.affects = Affects::Degraded;
  Observer observer({http_probe(), second});
  EXPECT_EQ(grade_of(observer.sees_often(3, Outcome::BadBody, "slowness"), FaultClass::Service),
            Verdict::Degraded);
  EXPECT_EQ(grade_of(observer.sees_often(3, Outcome::BadStatus, "live"), FaultClass::Service),
            Verdict::Down);
  EXPECT_EQ(grade_of(observer.sees_often(2, Outcome::Pass, "live"), FaultClass::Service),
            Verdict::Degraded);
}

TEST(Judge, ClassesAreGradedOnTheirOwn) {
  Observer observer({http_probe(), tcp_probe()});
  observer.sees_often(2, Outcome::Pass, "port");
  const auto opinion = observer.sees_often(3, Outcome::BadStatus, "live");
  EXPECT_EQ(grade_of(opinion, FaultClass::Reachability), Verdict::Healthy);
  EXPECT_EQ(grade_of(opinion, FaultClass::Service), Verdict::Down);
}

TEST(Judge, AProbeThatAffectsNothingHasNoPart) {
  ProbeSpec idle = tcp_probe();
  idle.affects = Affects::None;
  Observer observer({idle, http_probe()});
  EXPECT_FALSE(observer.sees_often(5, Outcome::Refused));
  EXPECT_FALSE(observer.sees(Outcome::Refused).confirm);
  EXPECT_EQ(observer.sees_often(2, Outcome::Pass, "live")->classes.size(), 1U);
}

TEST(Judge, SlowIsNeverDown) {
  Observer observer({tcp_probe()});
  EXPECT_EQ(grade_of(observer.sees_often(2, Outcome::Slow), FaultClass::Reachability),
            Verdict::Degraded);
  EXPECT_FALSE(observer.sees(Outcome::Refused).opinion);
  EXPECT_EQ(grade_of(observer.sees(Outcome::Refused).opinion, FaultClass::Reachability),
            Verdict::Down);
  EXPECT_EQ(grade_of(observer.sees_often(2, Outcome::Slow), FaultClass::Reachability),
            Verdict::Down);
}

TEST(Judge, AnotherCauseIsToldOnceItLasts) {
  Observer observer({tcp_probe()});
  observer.sees_often(2, Outcome::Reset);
  EXPECT_FALSE(observer.sees(Outcome::Refused).opinion);
  EXPECT_FALSE(observer.sees(Outcome::Reset).opinion);
  EXPECT_FALSE(observer.sees(Outcome::Refused).opinion);
  const auto opinion = observer.sees(Outcome::Refused).opinion;
  ASSERT_TRUE(opinion);
  EXPECT_EQ(opinion->classes[0].outcome, Outcome::Refused);
  EXPECT_EQ(opinion->classes[0].age, milliseconds(501));  // still since the first failure
}

TEST(Judge, TheFirstPassEndsTheStartPeriodAndHidesNoFailure) {
  ProbeSpec probe = http_probe();
  probe.start_period = seconds(30);
  Observer observer({probe});
  const auto down = observer.sees_often(3, Outcome::Refused, "live");
  EXPECT_EQ(grade_of(down, FaultClass::Service), Verdict::Down);
  EXPECT_FALSE(down->classes[0].ends_start);
  const auto first_pass = observer.sees(Outcome::Pass, "live").opinion;
  ASSERT_TRUE(first_pass);
  EXPECT_TRUE(first_pass->classes[0].ends_start);
}

TEST(Judge, WithoutAStartPeriodNothingEndsIt) {
  Observer observer({http_probe()});
  EXPECT_FALSE(observer.sees_often(2, Outcome::Pass, "live")->classes[0].ends_start);
}

TEST(Judge, ALaggingObserverDoesNotTrustItsFailures) {
  Observer observer({tcp_probe()});
  observer.sees_often(2, Outcome::Pass);
  for (int i = 0; i < 5; ++i) {
    const auto judged = observer.sees(Outcome::Timeout, "port", "chat-a", milliseconds(251));
    EXPECT_FALSE(judged.opinion);
    EXPECT_FALSE(judged.confirm);
  }
  observer.sees(Outcome::Timeout, "port", "chat-a", milliseconds(250));
  EXPECT_TRUE(observer.sees(Outcome::Timeout, "port", "chat-a", milliseconds(250)).opinion);
}

/// Four healthy nodes, each on a host of its own.
Observer four_healthy(const std::vector<std::string>& hosts) {
  std::vector<Watch> watches;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    watches.push_back(watch_of("n" + std::to_string(i), {tcp_probe()}));
    watches.back().address.host = hosts[i];
  }
  Observer observer(watches);
  for (const Watch& watch : watches) observer.sees_often(2, Outcome::Pass, "port", watch.node);
  return observer;
}

TEST(Judge, WhenMostTargetsFailAtOnceItDoubtsItself) {
  Observer observer = four_healthy({"a", "b", "c", "d"});
  EXPECT_TRUE(observer.sees_often(2, Outcome::Timeout, "port", "n0"));
  EXPECT_TRUE(observer.sees(Outcome::Timeout, "port", "n1").confirm);
  EXPECT_FALSE(observer.sees(Outcome::Timeout, "port", "n2").confirm);
  EXPECT_FALSE(observer.sees_often(5, Outcome::Timeout, "port", "n1"));
  EXPECT_FALSE(observer.sees_often(5, Outcome::Timeout, "port", "n2"));
}

TEST(Judge, ATrueMassFailureIsOnlyDelayed) {
  Observer observer = four_healthy({"a", "b", "c", "d"});
  for (const char* node : {"n0", "n1", "n2", "n3"}) observer.sees(Outcome::Refused, "port", node);
  EXPECT_FALSE(observer.sees_often(3, Outcome::Refused, "port", "n3"));
  observer.wait(seconds(2));
  EXPECT_TRUE(observer.sees_often(2, Outcome::Refused, "port", "n3"));
}

TEST(Judge, OneHostThatDiesIsNoReasonForSelfDoubt) {
  Observer observer = four_healthy({"a", "a", "a", "b"});
  EXPECT_TRUE(observer.sees_often(2, Outcome::Refused, "port", "n0"));
  EXPECT_TRUE(observer.sees_often(2, Outcome::Refused, "port", "n1"));
  EXPECT_TRUE(observer.sees_often(2, Outcome::Refused, "port", "n2"));
}

TEST(Judge, ThreeNodesAreTooFewForSelfDoubt) {
  Observer observer = four_healthy({"a", "b", "c"});
  EXPECT_TRUE(observer.sees_often(2, Outcome::Refused, "port", "n0"));
  EXPECT_TRUE(observer.sees_often(2, Outcome::Refused, "port", "n1"));
  EXPECT_TRUE(observer.sees_often(2, Outcome::Refused, "port", "n2"));
}

TEST(Judge, TheTableTellsEverythingWithItsAgeNow) {
  Observer observer({watch_of("chat-a", {tcp_probe()}), watch_of("chat-b", {tcp_probe()})});
  const auto told = observer.sees_often(2, Outcome::Refused);
  observer.wait(seconds(3));
  const auto table = observer.judge().table(observer.now());
  ASSERT_EQ(table.size(), 1U);  // nothing is known about chat-b
  EXPECT_EQ(table[0].node, "chat-a");
  EXPECT_EQ(table[0].sequence, told->sequence);
  EXPECT_EQ(table[0].classes[0].age, seconds(3) + milliseconds(100));
}

TEST(Judge, ANewRevisionStartsAnewWithHigherSequences) {
  Observer observer({watch_of("chat-a", {tcp_probe()}), watch_of("chat-b", {tcp_probe()})});
  const auto first = observer.sees_often(2, Outcome::Refused);
  observer.sees(Outcome::Refused, "port", "chat-b");
  observer.judge().watch({watch_of("chat-a", {tcp_probe()}, 2), watch_of("chat-b", {tcp_probe()})});
  EXPECT_TRUE(observer.judge().table(observer.now()).empty());
  EXPECT_TRUE(observer.sees(Outcome::Refused, "port", "chat-b").opinion);
  EXPECT_FALSE(observer.sees(Outcome::Refused).opinion);
  const auto second = observer.sees(Outcome::Refused).opinion;
  ASSERT_TRUE(second);
  EXPECT_EQ(second->watch_revision, 2U);
  EXPECT_GT(second->sequence, first->sequence);
}

TEST(Judge, WhatIsNotWatchedIsIgnored) {
  Observer observer({tcp_probe()});
  EXPECT_FALSE(observer.sees_often(5, Outcome::Refused, "port", "chat-z"));
  EXPECT_FALSE(observer.sees_often(5, Outcome::Refused, "canary"));
  EXPECT_FALSE(observer.sees(Outcome::Refused, "canary").confirm);
}

}  // namespace
}  // namespace fettle::core
