#include "core/ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/rng.h"

namespace fettle::core {
namespace {

constexpr std::size_t kObservations = 10000;

std::vector<RingMember> members(std::size_t count, std::size_t zones) {
  std::vector<RingMember> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back({"gpu" + std::to_string(i), "az" + std::to_string(i % zones)});
  }
  return all;
}

using Observations = std::set<std::pair<std::string, std::string>>;

/// Who watches what, of as many nodes as give kObservations.
Observations observations(const std::vector<RingMember>& among, std::size_t count) {
  const Ring ring(among);
  Observations all;
  for (std::size_t n = 0; n < kObservations / count; ++n) {
    const std::string node = "node-" + std::to_string(n);
    for (const std::string& member : ring.observers(node, count, "")) all.emplace(node, member);
  }
  return all;
}

/// Observations that a member has in `after` and had not in `before`, in per cent of all.
double moved_percent(const Observations& before, const Observations& after) {
  std::size_t moved = 0;
  for (const auto& observation : after) moved += before.contains(observation) ? 0U : 1U;
  return 100.0 * static_cast<double>(moved) / static_cast<double>(before.size());
}

struct Group {
  std::size_t members;
  std::size_t zones;
  std::size_t observers;
};

class LeavingMember : public testing::TestWithParam<Group> {};

TEST_P(LeavingMember, MovesOnlyItsShare) {
  const auto [count, zones, observers] = GetParam();
  const auto all = members(count, zones);
  const Observations before = observations(all, observers);
  for (std::size_t gone = 0; gone < count; ++gone) {
    auto rest = all;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(gone));
    const double moved = moved_percent(before, observations(rest, observers));
    EXPECT_LE(moved, 100.0 / static_cast<double>(count) + 2.0) << "without " << all[gone].name;
    EXPECT_GT(moved, 0.0);
  }
}

INSTANTIATE_TEST_SUITE_P(Ring, LeavingMember,
                         testing::Values(Group{5, 1, 1}, Group{5, 1, 3}, Group{6, 3, 3},
                                         Group{7, 1, 3}, Group{12, 4, 3}, Group{15, 3, 3}));

TEST(Ring, AJoiningMemberTakesOnlyItsShare) {
  const Observations before = observations(members(6, 1), 3);
  const Observations after = observations(members(7, 1), 3);
  EXPECT_LE(moved_percent(before, after), 100.0 / 7 + 2.0);
  for (const auto& observation : after) {
    ASSERT_TRUE(before.contains(observation) || observation.second == "gpu6");
  }
}

TEST(Ring, ObserversAreSpreadOverZones) {
  const Ring ring({{"a1", "a"}, {"a2", "a"}, {"a3", "a"}, {"a4", "a"}, {"b1", "b"}, {"c1", "c"}});
  for (int n = 0; n < 200; ++n) {
    std::set<char> zones;
    for (const std::string& name : ring.observers("node-" + std::to_string(n), 3, "")) {
      zones.insert(name[0]);
    }
    ASSERT_EQ(zones, (std::set<char>{'a', 'b', 'c'})) << n;
  }
}

TEST(Ring, WithFewerZonesThanObserversEachZoneGivesItsShare) {
  const Ring ring({{"a1", "a"}, {"a2", "a"}, {"a3", "a"}, {"b1", "b"}, {"b2", "b"}});
  for (int n = 0; n < 200; ++n) {
    const auto chosen = ring.observers("node-" + std::to_string(n), 4, "");
    EXPECT_EQ(std::ranges::count(chosen, 'b', [](const auto& name) { return name[0]; }), 2) << n;
    ASSERT_EQ((std::set<std::string>(chosen.begin(), chosen.end()).size()), 4U) << n;
  }
}

TEST(Ring, TheOrderOfMembersDoesNotMatter) {
  auto shuffled = members(7, 3);
  const auto first = Ring(shuffled).observers("chat-a", 3, "gpu4");
  for (int turn = 0; turn < 50; ++turn) {
    std::ranges::next_permutation(shuffled, {}, &RingMember::name);
    ASSERT_EQ(Ring(shuffled).observers("chat-a", 3, "gpu4"), first);
  }
}

TEST(Ring, TheDirectorsHostIsAlwaysOneOfThem) {
  const Ring ring(members(9, 3));
  for (int n = 0; n < 200; ++n) {
    const auto chosen = ring.observers("node-" + std::to_string(n), 3, "gpu8");
    EXPECT_EQ(chosen.size(), 3U);
    ASSERT_EQ(std::ranges::count(chosen, "gpu8"), 1) << n;
  }
}

TEST(Ring, TheDirectorsHostKeepsTheSpreadOverZones) {
  const Ring ring({{"a1", "a"}, {"a2", "a"}, {"b1", "b"}, {"c1", "c"}});
  for (int n = 0; n < 50; ++n) {
    auto chosen = ring.observers("node-" + std::to_string(n), 3, "a2");
    std::ranges::sort(chosen);
    ASSERT_EQ(chosen, (std::vector<std::string>{"a2", "b1", "c1"})) << n;
  }
}

TEST(Ring, AForeignDirectorsHostIsLeftOut) {
  const auto chosen = Ring(members(3, 1)).observers("chat-a", 2, "elsewhere");
  EXPECT_EQ(chosen.size(), 2U);
  EXPECT_EQ(std::ranges::count(chosen, "elsewhere"), 0);
}

TEST(Ring, WhereMembersAreFewAllOfThemWatch) {
  EXPECT_EQ(Ring(members(2, 1)).observers("chat-a", 3, "").size(), 2U);
  EXPECT_EQ(Ring(std::vector<RingMember>{{"alone", ""}}).observers("chat-a", 3, ""),
            std::vector<std::string>{"alone"});
  EXPECT_TRUE(Ring(std::vector<RingMember>{}).observers("chat-a", 3, "").empty());
}

TEST(Ring, MadeFromAnOldOneItIsTheSame) {
  RingCache cache;
  Rng rng(7);
  std::vector<RingMember> all = members(40, 3);
  for (int turn = 0; turn < 60; ++turn) {
    std::vector<RingMember> now;
    for (const RingMember& member : all) {
      if (rng.chance(70)) now.push_back(member);
    }
    if (!now.empty() && rng.chance(30)) now.back().zone = "elsewhere";
    const Ring fresh(now);
    const Ring& kept = cache.of(now);
    for (int n = 0; n < 50; ++n) {
      const std::string node = "node-" + std::to_string(n);
      ASSERT_EQ(kept.observers(node, 3, ""), fresh.observers(node, 3, "")) << turn;
    }
  }
}

}  // namespace
}  // namespace fettle::core
