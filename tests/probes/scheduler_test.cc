// Who looks when: on slots of 10 ms, one look of a probe at a time, and ahead of the slot where a
// failure is to be confirmed or a kept connection closed.
#include "probes/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/probes/bad_server.h"

namespace fettle::probes {
namespace {

using core::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kNotInThisTest(100);

class Schedule : public ::testing::Test {
 protected:
  static core::ProbeSpec probe(const std::string& kind, core::Duration interval) {
    core::ProbeSpec spec;
    spec.name = kind;
    spec.kind = kind;
    spec.interval = interval;
    spec.timeout = milliseconds(250);
    return spec;
  }
  /// Runs until `enough` takes what was seen so far, each sample after `confirm` had its say.
  void run(std::uint16_t port, std::vector<core::ProbeSpec> probes,
           const std::function<bool()>& enough, bool confirm = false) {
    Scheduler scheduler({loop_, resolver_}, [&](const core::Sample& sample) {
      seen_[sample.probe].push_back(sample);
      if (enough()) loop_.stop();
      return confirm;
    });
    core::Watch watch{.node = "a", .address = {"127.0.0.1", port}, .revision = 1};
    watch.confirm_gap = kGap;
    watch.probes = std::move(probes);
    EXPECT_TRUE(scheduler.watch({watch}).empty());
    loop_.run();
    missed_ = scheduler.counts().missed;
  }

  static constexpr milliseconds kGap{30};
  io::Loop loop_;
  io::Resolver resolver_{loop_};
  std::map<std::string, std::vector<core::Sample>> seen_;  // by probe
  std::uint64_t missed_ = 0;
};

TEST_F(Schedule, LooksComeOnTheSlotsOfOnePhaseAndLatenessDoesNotAddUp) {
  constexpr milliseconds kInterval(50);
  BadServer server([](BadServer::Peer& peer, int) { peer.hold(); });
  run(server.port(), {probe("tcp", kInterval)}, [this] { return seen_["tcp"].size() > 20; });
  // A busy machine makes looks late, never early; one that is in time shows the phase.
  std::map<std::int64_t, int> phases;
  for (const core::Sample& sample : seen_["tcp"]) {
    ++phases[(sample.at.ns + 1'000'000) % core::Duration(kInterval).count() / 5'000'000];
  }
  const auto most =
      std::ranges::max_element(phases, {}, [](const auto& one) { return one.second; });
  EXPECT_EQ(most->first % 2, 0) << "the first half of a slot";
  EXPECT_GE(most->second, 8) << "the same slot of the interval";
}

TEST_F(Schedule, AProbeHasOneLookInFlightAndLetsItsSlotsPass) {
  BadServer server([](BadServer::Peer& peer, int) {
    if (peer.hear()) peer.hold();
  });
  run(server.port(), {probe("http", milliseconds(20))},
      [this] { return seen_["http"].size() == 2; });
  const auto& seen = seen_["http"];
  EXPECT_EQ(seen[0].outcome, Outcome::Timeout);
  EXPECT_GE(seen[1].at, seen[0].at + seen[0].latency);
  EXPECT_GT(missed_, 0U);
}

TEST_F(Schedule, AFailureIsConfirmedAfterTheGapAheadOfItsSlot) {
  std::uint16_t nobody = 0;
  {
    const BadServer server([](BadServer::Peer&, int) {});
    nobody = server.port();
  }
  run(nobody, {probe("tcp", kNotInThisTest)}, [this] { return seen_["tcp"].size() == 3; }, true);
  const auto& seen = seen_["tcp"];
  EXPECT_EQ(seen[0].outcome, Outcome::Refused);
  for (std::size_t i = 1; i < seen.size(); ++i) EXPECT_GE(seen[i].at, seen[i - 1].at + kGap);
}

TEST_F(Schedule, AKeptConnectionThatClosesMakesEveryProbeOfTheNodeLook) {
  BadServer server([](BadServer::Peer& peer, int) {
    if (peer.hear()) peer.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  run(server.port(), {probe("http", kNotInThisTest), probe("tcp", kNotInThisTest)},
      [this] { return seen_["http"].size() > 1 && seen_["tcp"].size() > 1; });
  EXPECT_EQ(seen_["http"][0].outcome, Outcome::Pass);
}

}  // namespace
}  // namespace fettle::probes
