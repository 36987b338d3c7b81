// What went wrong elsewhere, told again: each of these left a group stuck or torn in another
// implementation, or in the first edition of the thesis.
#include <gtest/gtest.h>

#include "tests/raft/few_servers.h"

namespace fettle::raft {
namespace {

const std::vector<ServerId> kThree{"a", "b", "c"};

Start begins(std::uint64_t term, std::vector<Entry> log) {
  return {{Term{term}, ""}, first(kThree).snapshot, std::move(log)};
}

/// One has the newest log, the other the higher term, and the third is dead for ever.
TEST(Stories, TheNewestLogLearnsTheHigherTermFromTheRefusal) {
  FewServers group(kThree);
  group.dies("c");
  group.start("a", begins(5, {entry(5, 1), entry(5, 2)}));
  group.start("b", begins(9, {entry(5, 1)}));
  group.passes(milliseconds(3000));
  EXPECT_EQ(group.leader(), "a");
  EXPECT_GT(group.at("a").term(), Term{9});
}

/// The follower has compacted what its new leader would begin with.
TEST(Stories, AFollowerThatCompactedFurtherIsSentNoOlderSnapshot) {
  FewServers group(kThree);
  group.start("a", {{Term{1}, ""},
                    snapshot_of(1, 5, voters(kThree), "five"),
                    {entry(1, 6), entry(1, 7), entry(1, 8), entry(1, 9)}});
  group.start("b", {{Term{1}, ""}, snapshot_of(1, 8, voters(kThree), "eight"), {}});
  group.dies("c");
  bool chunks = false;
  group.lost = [&chunks](const Message& message) {
    chunks = chunks || std::holds_alternative<SnapshotChunk>(message.body);
    return false;
  };
  group.passes(milliseconds(3000));
  EXPECT_EQ(group.leader(), "a");
  EXPECT_EQ(group.applied("b"), group.at("a").commit_index());
  EXPECT_FALSE(chunks);
}

/// Ongaro's correction of July 2015: a leader that has committed nothing yet in its term may not
/// know of a change that is under way, and another on top of it would make two majorities.
TEST(Stories, TwoLeadersChangeTheMembersOnlyOneAfterTheOther) {
  FewServers group({"a", "b", "c", "d"});
  group.campaigns("a");
  group.comes("e");
  group.tell("a", AddServer{1, {.id = "e", .info = ""}});
  group.settle();
  group.passes(milliseconds(200));
  const auto apart = [](const Message& message) {
    const auto with_a = [](const ServerId& id) { return id == "a" || id == "e"; };
    return with_a(message.from) != with_a(message.to);
  };
  group.lost = apart;
  group.tell("a", PromoteServer{2, "e"});
  group.settle();
  ASSERT_TRUE(group.at("e").is_self_voter());

  while (group.at("b").role() != Role::Leader) {
    group.passes(milliseconds(400));
    group.lost = [&](const Message& message) {
      const bool ack = std::holds_alternative<AppendReply>(message.body);
      return apart(message) || ack;  // its no-op is not committed
    };
    group.campaigns("b");
  }
  const Output early = group.tell("b", RemoveServer{3, "a"});
  ASSERT_EQ(early.rejected.size(), 1U);
  EXPECT_EQ(early.rejected.front().code, Code::Busy);

  group.lost = nullptr;
  group.passes(milliseconds(3000));
  for (const char* id : {"a", "b", "c", "d", "e"}) {
    EXPECT_EQ(group.at(id).configuration(), group.at(group.leader()).configuration()) << id;
  }
}

/// A candidate whose clock is always first asks in vain while the others hear their leader.
TEST(Stories, ADisruptiveServerDisruptsNobody) {
  FewServers group(kThree);
  group.campaigns("a");
  group.proposes("a", 3);
  const Term term = group.at("a").term();
  group.lost = [](const Message& message) { return message.to == "c"; };
  group.passes(milliseconds(4000));
  EXPECT_EQ(group.leader(), "a");
  EXPECT_EQ(group.at("a").term(), term);
  group.lost = nullptr;
  group.passes(milliseconds(500));
  EXPECT_EQ(group.applied("c"), group.at("a").commit_index());
  EXPECT_EQ(group.at("a").term(), term);
}

}  // namespace
}  // namespace fettle::raft
