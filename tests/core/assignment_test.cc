// Who watches what when members come and go: only what must move moves.
#include <gtest/gtest.h>

#include <set>

#include "core/ring.h"
#include "tests/support/engine_story.h"

namespace fettle::core {
namespace {

constexpr std::size_t kObservations = 10'000;
constexpr std::size_t kObservers = 3;

struct Group {
  std::size_t members;
  std::size_t zones;
};

std::vector<RingMember> group(Group of) {
  std::vector<RingMember> members;
  for (std::size_t i = 0; i < of.members; ++i) {
    members.push_back({"gpu" + std::to_string(i), "az" + std::to_string(i % of.zones)});
  }
  return members;
}

using Observations = std::set<std::pair<std::size_t, std::string>>;

Observations observations(const std::vector<RingMember>& among) {
  const Ring ring(among);
  Observations all;
  for (std::size_t n = 0; n < kObservations / kObservers; ++n) {
    for (std::string& member : ring.observers("node-" + std::to_string(n), kObservers, "")) {
      all.emplace(n, std::move(member));
    }
  }
  return all;
}

/// Observations of `after` that were not in `before`, as a share of all (of the larger: where there
/// are fewer members than observers a group has fewer observations).
double moved(const Observations& before, const Observations& after) {
  std::size_t count = 0;
  for (const auto& one : after) count += before.contains(one) ? 0U : 1U;
  return static_cast<double>(count) / static_cast<double>(std::max(before.size(), after.size()));
}

/// 3 to 50 members, over as many zones as divide them evenly: a zone that has less members than
/// the others must give as many observers, so that its members' shares are larger than 1/N.
std::vector<Group> groups() {
  std::vector<Group> all;
  for (std::size_t members = 3; members <= 50; ++members) {
    for (const std::size_t zones : {1U, 3U}) {
      if (members % zones == 0) all.push_back({members, zones});
    }
  }
  return all;
}

TEST(Assignment, LosingOrAddingOneOfNMovesAtMostItsShareAndTwoPoints) {
  for (const Group& of : groups()) {
    const auto all = group(of);
    const Observations whole = observations(all);
    for (const std::size_t gone : {of.members / 2, of.members - 1}) {
      auto rest = all;
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(gone));
      const Observations without = observations(rest);
      const double most = 1.0 / static_cast<double>(of.members) + 0.02;
      EXPECT_LE(moved(whole, without), most)
          << of.members << " members, " << of.zones << " zones, without " << all[gone].name;
      EXPECT_LE(moved(without, whole), most)
          << of.members << " members, " << of.zones << " zones, with " << all[gone].name;
    }
  }
}

TEST(Assignment, WhereZonesAreUnevenOnlyTheLostMembersOwnObservationsMove) {
  const std::vector<RingMember> all = {{"a1", "a"}, {"a2", "a"}, {"a3", "a"},
                                       {"a4", "a"}, {"b1", "b"}, {"b2", "b"},
                                       {"b3", "b"}, {"c1", "c"}, {"c2", "c"}};
  const Observations before = observations(all);
  for (std::size_t gone = 0; gone < all.size(); ++gone) {
    auto rest = all;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(gone));
    std::size_t held = 0;
    for (const auto& [node, member] : before) held += member == all[gone].name ? 1U : 0U;
    const double own = static_cast<double>(held) / static_cast<double>(before.size());
    EXPECT_LE(moved(before, observations(rest)), own + 0.02) << all[gone].name;
  }
}

TEST(Assignment, InTheEngineOnlyTheNodesOfALostMemberGetOtherObservers) {
  std::vector<std::string> members;
  for (int i = 0; i < 9; ++i) members.push_back("m" + std::to_string(i));
  std::vector<std::string> nodes;
  for (int i = 0; i < 60; ++i) nodes.push_back("n" + std::to_string(i));
  EngineStory story(story_spec(nodes), members);
  story.raise();
  std::map<std::string, std::vector<std::string>> before;
  for (const std::string& node : nodes) before[node] = story.node(node).observers;
  story.tell(command::MemberLost{"m5", "no link"});
  std::size_t changed = 0;
  for (const std::string& node : nodes) {
    const auto& old = before[node];
    const bool was_its = std::ranges::find(old, "m5") != old.end();
    const auto& now = story.node(node).observers;
    if (!was_its) {
      EXPECT_EQ(now, old) << node;
      continue;
    }
    ++changed;
    for (const std::string& observer : old) {
      if (observer == "m5") continue;
      EXPECT_NE(std::ranges::find(now, observer), now.end()) << node;
    }
  }
  EXPECT_GT(changed, 0U);
  story.tell(command::MemberBack{"m5"});
  for (const std::string& node : nodes) EXPECT_EQ(story.node(node).observers, before[node]);
}

/// Three voters and six agents over three zones, in the engine: what one of them that comes or goes
/// moves, of 10,000 observations.
TEST(Assignment, AnAgentThatJoinsOrIsLostMovesAtMostItsShareAndTwoPoints) {
  std::vector<std::string> nodes;
  for (std::size_t i = 0; i < kObservations / kObservers; ++i) {
    nodes.push_back("n" + std::to_string(i));
  }
  EngineStory story(story_spec(nodes), {"m0", "m1", "m2"});
  story.raise();
  command::UpdateMembers all;
  for (int i = 0; i < 9; ++i) {
    const bool voter = i < 3;
    all.facts.push_back({.name = (voter ? "m" : "edge") + std::to_string(i),
                         .zone = "az" + std::to_string(i % 3),
                         .role = voter ? MemberRole::Voter : MemberRole::Agent});
    all.facts.back().incarnation = "i-" + all.facts.back().name;
  }
  const auto observed = [&] {
    Observations now;
    for (std::size_t n = 0; n < nodes.size(); ++n) {
      for (const std::string& one : story.node(nodes[n]).observers) now.emplace(n, one);
    }
    return now;
  };
  MemberFacts last = all.facts.back();
  all.facts.pop_back();
  for (MemberFacts& facts : all.facts) {
    const auto known = story.engine.state().members.find(facts.name);
    if (known != story.engine.state().members.end()) facts.incarnation = known->second.incarnation;
  }
  story.tell(all);
  const Observations without = observed();
  story.tell(command::SetFacts{last});
  const Observations with = observed();
  constexpr double kMost = 1.0 / 9 + 0.02;
  EXPECT_GT(moved(without, with), 0.0);
  EXPECT_LE(moved(without, with), kMost);
  story.tell(command::MemberLost{last.name, "no link"});
  EXPECT_EQ(observed(), without);
}

}  // namespace
}  // namespace fettle::core
