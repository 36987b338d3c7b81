// Flow control: what may be under way to one follower, by count and by bytes.
#include <gtest/gtest.h>

#include "tests/raft/few_servers.h"

namespace fettle::raft {
namespace {

OneServer leader(std::size_t inflight_max, std::size_t bytes_max) {
  Config config;
  config.inflight_max = inflight_max;
  config.inflight_bytes_max = bytes_max;
  OneServer a(first({"a", "b", "c"}), config);
  a.leads_surely();
  return a;
}

std::size_t sent_to_b(OneServer& a, int proposals, const std::string& data) {
  std::size_t sent = 0;
  for (int i = 0; i < proposals; ++i) {
    for (const Append& append : bodies_to<Append>("b", a.step(Propose{0, data}))) {
      if (!append.entries.empty()) ++sent;
    }
  }
  return sent;
}

TEST(Flow, TheWindowIsBoundedByCount) {
  OneServer a = leader(4, 1000);
  EXPECT_EQ(sent_to_b(a, 10, "x"), 4U);
}

TEST(Flow, TheWindowIsBoundedByBytes) {
  OneServer a = leader(64, 100);
  EXPECT_EQ(sent_to_b(a, 10, std::string(40, 'x')), 3U);
}

TEST(Flow, AnAnswerMovesTheWindow) {
  OneServer a = leader(4, 1000);
  sent_to_b(a, 10, "x");
  const Index third{4};
  const auto more = bodies_to<Append>("b", a.acks("b", third.value));
  ASSERT_FALSE(more.empty());
  EXPECT_EQ(more.front().entries.front().index, Index{6});
}

TEST(Flow, AProbingFollowerGetsOneAtATime) {
  OneServer a = leader(4, 1000);
  EXPECT_EQ(a.raft.progress().at("c").state, ProgressState::Probe);
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(bodies_to<Append>("c", a.step(Propose{0, "x"})).empty());
  }
}

TEST(Flow, ALostWindowIsFoundOutByTheNextHeartbeat) {
  FewServers group;
  group.campaigns("a");
  group.lost = [](const Message& message) {
    const auto* append = std::get_if<Append>(&message.body);
    return append != nullptr && message.to == "b" && !append->entries.empty();
  };
  group.proposes("a", 200);
  group.lost = nullptr;
  group.passes(milliseconds(200));
  EXPECT_EQ(group.applied("b"), group.at("a").commit_index());
}

}  // namespace
}  // namespace fettle::raft
