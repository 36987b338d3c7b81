// Leases: who holds what, for how long, and that two never do, whatever clocks and leaders do.
#include "core/lease.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "base/rng.h"
#include "core/engine_clock.h"
#include "tests/support/engine_story.h"

namespace fettle::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

EngineStory lease_story() {
  EngineStory story(story_spec({"a", "b"}));
  story.raise();
  return story;
}

ClientAnswer ask(EngineStory& story, const std::string& holder, Duration duration = seconds(3)) {
  return story.tell(command::LeaseGrant{"vip", holder, duration});
}

TEST(Lease, IsGrantedToOneHolderAndRefusedToTheNext) {
  EngineStory story = lease_story();
  const ClientAnswer granted = ask(story, "m1");
  EXPECT_TRUE(granted.ok);
  const ClientAnswer refused = ask(story, "m2");
  EXPECT_EQ(refused.code, Code::Conflict);
  EXPECT_EQ(refused.text, "vip is held by m1 for another 3300ms");
  EXPECT_EQ(ask(story, "m1").number, granted.number) << "of the holder itself it is a renewal";
}

TEST(Lease, IsGivenAwayOnlyAfterTheWholeDurationAndTheMargin) {
  EngineStory story = lease_story();
  const std::uint64_t first = ask(story, "m1").number;
  story.pass(seconds(3) + lease_margin(seconds(3)) - milliseconds(1));
  EXPECT_FALSE(ask(story, "m2").ok);
  story.pass(milliseconds(1));
  const ClientAnswer second = ask(story, "m2");
  EXPECT_TRUE(second.ok);
  EXPECT_GT(second.number, first) << "the token grows with every grant";
  EXPECT_EQ(story.tell(command::LeaseRenew{"vip", "m1", first}).code, Code::Conflict);
}

TEST(Lease, ARenewalCountsFromItsOwnEntry) {
  EngineStory story = lease_story();
  const std::uint64_t token = ask(story, "m1").number;
  for (int i = 0; i < 10; ++i) {
    story.pass(seconds(2));
    EXPECT_EQ(story.tell(command::LeaseRenew{"vip", "m1", token}).number, token);
  }
  story.pass(seconds(3));
  EXPECT_FALSE(ask(story, "m2").ok);
}

TEST(Lease, PastItsTimeItGoesOnIfNobodyElseTookIt) {
  EngineStory story = lease_story();
  const std::uint64_t token = ask(story, "m1").number;
  story.pass(seconds(60));
  EXPECT_TRUE(story.tell(command::LeaseRenew{"vip", "m1", token}).ok);
  EXPECT_FALSE(ask(story, "m2").ok);
}

TEST(Lease, OnceReleasedItIsFreeAtOnceAndOnlyItsHolderReleasesIt) {
  EngineStory story = lease_story();
  const std::uint64_t token = ask(story, "m1").number;
  story.tell(command::LeaseRelease{"vip", "m2", token});
  story.tell(command::LeaseRelease{"vip", "m1", token + 1});
  EXPECT_FALSE(ask(story, "m2").ok);
  story.tell(command::LeaseRelease{"vip", "m1", token});
  EXPECT_TRUE(ask(story, "m2").ok);
}

TEST(Lease, AskingForLessDoesNotEndWhatWasPromised) {
  EngineStory story = lease_story();
  ask(story, "m1", seconds(60));
  ask(story, "m1", seconds(1));
  story.pass(seconds(65));
  EXPECT_FALSE(ask(story, "m2").ok);
  story.pass(seconds(1));
  EXPECT_TRUE(ask(story, "m2").ok);
}

TEST(Lease, WhatIsNoLeaseIsRefused) {
  EngineStory story = lease_story();
  EXPECT_EQ(story.tell(command::LeaseGrant{"a b", "m1", seconds(3)}).code, Code::Invalid);
  EXPECT_EQ(story.tell(command::LeaseGrant{"vip", "", seconds(3)}).code, Code::Invalid);
  EXPECT_EQ(story.tell(command::LeaseGrant{"vip", "m1", milliseconds(999)}).code, Code::Invalid);
  EXPECT_EQ(story.tell(command::LeaseGrant{"vip", "m1", seconds(3601)}).code, Code::Invalid);
  EXPECT_TRUE(story.engine.state().leases.empty());
}

TEST(Lease, ThereIsABoundAndFreeOnesMakeRoom) {
  EngineStory story = lease_story();
  for (std::size_t i = 0; i < kLeasesMax; ++i) {
    ASSERT_TRUE(story.tell(command::LeaseGrant{std::to_string(i), "m1", seconds(3)}).ok);
  }
  EXPECT_EQ(ask(story, "m1").code, Code::Refused);
  story.pass(seconds(4));
  EXPECT_TRUE(ask(story, "m1").ok);
  EXPECT_EQ(story.engine.state().leases.size(), 1U);
}

/// Clocks that run at different rates, leaders that change and stand still, holders whose requests
/// and answers take their time. Real time is what nobody of them sees.
class DriftStory {
 public:
  /// `early`: holders count from the answer instead of from before they asked, which is wrong.
  DriftStory(std::uint64_t seed, bool early) : rng_(seed), early_(early) {
    for (int i = 0; i < 3; ++i) members_.emplace_back(rate(), Time{});
    for (int i = 0; i < 3; ++i) holders_.push_back({"h" + std::to_string(i), rate()});
    EngineStory founded(story_spec({"a", "b"}));
    founded.raise();
    for (auto& [index, entry] : founded.entries) log_.push_back(std::move(entry));
    led_from_ = log_.size();
    catch_up(members_[leader_]);
  }

  /// The most holders that ever believed to hold the lease at once; and how often it was granted.
  std::size_t run(Duration length) {
    std::size_t most = 0;
    for (; real_ < length; real_ += kStep) {
      if (rng_.chance(1) && rng_.chance(20)) change_leader();
      for (Holder& holder : holders_) maybe_ask(holder);
      receive();
      if (rng_.chance(50)) commit();
      for (Member& member : members_) {
        if (rng_.chance(30)) catch_up(member);
      }
      answer();
      most = std::max(most, static_cast<std::size_t>(std::ranges::count_if(
                                holders_, [&](const Holder& h) { return believes(h); })));
    }
    return most;
  }
  std::size_t grants() const { return grants_; }

 private:
  static constexpr Duration kStep = milliseconds(10);
  static constexpr Duration kLength = seconds(3);

  struct Member {
    Member(double r, Time local) : engine(story_actions()), rate(r), time(local) {}
    Engine engine;
    double rate;
    EngineClock time;
    std::size_t applied = 0;
  };
  struct Holder {
    std::string name;
    double rate;
    Time until{0};  // by its own clock
    std::uint64_t token = 0;
    bool waits = false;
    bool tired = false;  // asks no more until its time is over
  };
  struct Request {
    std::size_t holder;
    Time sent;  // by the holder's clock
    Duration arrives;
    Command command;
  };
  struct Proposal {
    Request request;
    LogEntry entry;
  };
  struct Answer {
    std::size_t holder;
    Time sent;
    Duration comes;
    ClientAnswer said;
  };

  /// Any two rates differ by at most one in kLeaseDrift.
  double rate() { return 1.0 + static_cast<double>(rng_.between(0, 99)) / 1000.0; }
  Time clock(double rate) const {
    return Time{static_cast<std::int64_t>(static_cast<double>(real_.count()) * rate)};
  }
  Duration some_time(std::uint64_t most_ms) { return milliseconds(rng_.between(1, most_ms)); }
  bool believes(const Holder& holder) const { return clock(holder.rate) < holder.until; }

  void maybe_ask(Holder& holder) {
    if (holder.tired && !believes(holder)) holder.tired = rng_.chance(95);
    if (holder.waits || holder.tired || !rng_.chance(5)) return;
    if (rng_.chance(10)) {
      holder.tired = true;
      return;
    }
    Command command = command::LeaseGrant{"vip", holder.name, kLength};
    if (believes(holder)) command = command::LeaseRenew{"vip", holder.name, holder.token};
    const auto index = static_cast<std::size_t>(&holder - holders_.data());
    requests_.push_back(
        {index, clock(holder.rate), real_ + some_time(rng_.chance(10) ? 4000 : 100), command});
    holder.waits = true;
  }

  /// The leader stamps what has come.
  void receive() {
    if (real_ < pause_) return;
    for (auto at = requests_.begin(); at != requests_.end();) {
      if (at->arrives > real_) {
        ++at;
        continue;
      }
      const Member& member = members_[leader_];
      LogEntry entry{.level = kEngineLevel};
      entry.stamp = member.time.read(clock(member.rate));
      entry.command = at->command;
      proposed_.push_back({*at, entry});
      at = requests_.erase(at);
    }
  }
  void commit() {
    if (proposed_.empty() || real_ < pause_) return;
    committed_.emplace(log_.size(), proposed_.front().request);
    log_.push_back(proposed_.front().entry);
    proposed_.pop_front();
  }
  void catch_up(Member& member) {
    for (; member.applied < log_.size(); ++member.applied) {
      const std::size_t at = member.applied;
      const Applied applied = member.engine.apply(Index{at + 1}, log_[at]);
      const bool own = &member == &members_[leader_] && at >= led_from_;
      member.time.applied(member.engine.state().now, clock(member.rate), own);
      const auto asked = committed_.find(at);
      if (asked == committed_.end() || &member != &members_[leader_]) continue;
      const Request& request = asked->second;
      if (applied.answer.text == "granted") ++grants_;
      answers_.push_back({request.holder, request.sent,
                          real_ + some_time(rng_.chance(10) ? 3000 : 50), applied.answer});
      committed_.erase(asked);
    }
  }
  void answer() {
    for (auto at = answers_.begin(); at != answers_.end();) {
      if (at->comes > real_) {
        ++at;
        continue;
      }
      Holder& holder = holders_[at->holder];
      holder.waits = false;
      if (at->said.ok) {
        holder.token = at->said.number;
        const Time from = early_ ? clock(holder.rate) : at->sent;
        holder.until = std::max(holder.until, from + kLength);
      }
      at = answers_.erase(at);
    }
  }
  /// What was proposed and not committed may be lost or not; nobody hears of it either way.
  void change_leader() {
    while (!proposed_.empty() && rng_.chance(50)) {
      log_.push_back(proposed_.front().entry);
      proposed_.pop_front();
    }
    proposed_.clear();
    requests_.clear();
    committed_.clear();
    for (Holder& holder : holders_) holder.waits = false;
    leader_ = rng_.between(0, members_.size() - 1);
    if (rng_.chance(20)) {  // it was started anew
      const double kept = members_[leader_].rate;
      members_[leader_] = Member(kept, clock(kept));
    }
    led_from_ = log_.size();
    catch_up(members_[leader_]);
    pause_ = real_ + some_time(rng_.chance(20) ? 8000 : 300);
  }

  Rng rng_;
  bool early_;
  Duration real_{0};
  Duration pause_{0};
  std::size_t leader_ = 0;
  std::size_t led_from_ = 0;  // the place in the log from which on its own entries stand
  std::vector<Member> members_;
  std::vector<Holder> holders_;
  std::vector<LogEntry> log_;
  std::map<std::size_t, Request> committed_;  // by place in the log, not yet answered
  std::deque<Proposal> proposed_;
  std::vector<Request> requests_;
  std::vector<Answer> answers_;
  std::size_t grants_ = 0;
};

constexpr std::uint64_t kSeeds = 12;
constexpr Duration kStoryLength = seconds(200);

TEST(Lease, NeverHasTwoHoldersWhateverClocksAndLeadersDo) {
  std::size_t grants = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    DriftStory story(seed, false);
    ASSERT_LE(story.run(kStoryLength), 1U) << "seed " << seed;
    grants += story.grants();
  }
  EXPECT_GT(grants, 100U) << "it did change hands";
}

TEST(EngineClock, KeepsUpHoweverMuchIsOnItsWay) {
  EngineClock leader(Time{});
  const auto at = [](std::int64_t ms) { return Time{} + milliseconds(ms); };
  leader.applied(at(0), at(1000), false);
  std::deque<Time> stamped;
  for (std::int64_t ms = 1000; ms <= 6000; ++ms) {
    stamped.push_back(leader.read(at(ms)));
    constexpr std::size_t kOnTheirWay = 50;  // an entry a millisecond, 50 ms until it is applied
    if (stamped.size() <= kOnTheirWay) continue;
    leader.applied(stamped.front(), at(ms), true);
    stamped.pop_front();
  }
  EXPECT_EQ(leader.read(at(6000)), at(5000));
}

TEST(EngineClock, CountsNothingOfTheTimeThatAnothersEntryWasOnItsWay) {
  EngineClock member(Time{});
  const auto at = [](std::int64_t ms) { return Time{} + milliseconds(ms); };
  member.applied(at(100), at(5000), false);
  EXPECT_EQ(member.read(at(5300)), at(400));
  member.applied(at(150), at(5400), false);
  EXPECT_EQ(member.read(at(5400)), at(150)) << "it may only fall behind";
}

TEST(Lease, TheStoryFindsHoldersThatCountFromTheAnswer) {
  std::size_t caught = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    if (DriftStory(seed, true).run(kStoryLength) > 1) ++caught;
  }
  EXPECT_GT(caught, 0U);
}

}  // namespace
}  // namespace fettle::core
