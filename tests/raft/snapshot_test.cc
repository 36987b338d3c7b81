// Snapshots: what compaction keeps, how chunks come over, and what a follower says about a snapshot
// that it does not need.
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "tests/raft/few_servers.h"

namespace fettle::raft {
namespace {

Config small_chunks() {
  Config config;
  config.chunk_bytes_max = 10;
  config.trailing_entries = 0;
  return config;
}

SnapshotChunk chunk_of(const Snapshot& snapshot, std::uint64_t offset, std::size_t bytes) {
  return {snapshot.meta, snapshot.data.size(), stable_hash(snapshot.data), offset,
          snapshot.data.substr(offset, bytes)};
}

/// a and b are far ahead of c, and have compacted what it lacks.
FewServers with_c_behind(const std::string& data) {
  FewServers group({"a", "b", "c"}, small_chunks());
  group.silent = {"c"};
  group.campaigns("a");
  group.proposes("a", 9);
  group.tell("a", Compact{Index{10}, data});
  return group;
}

TEST(Snapshot, CompactionKeepsATailForSlowFollowers) {
  Config config;
  config.trailing_entries = 3;
  OneServer a(Start{{}, snapshot_of(0, 0, voters({"a"})), {}}, config);
  a.time_is_up();
  a.disk_is_done();
  for (int i = 0; i < 9; ++i) a.step(Propose{0, "x"});
  a.disk_is_done();
  const Output out = a.step(Compact{Index{8}, "eight"});
  ASSERT_TRUE(out.persist && out.persist->snapshot);
  EXPECT_EQ(out.persist->snapshot->meta.index, Index{8});
  EXPECT_EQ(out.persist->compact_to, Index{5});
  EXPECT_EQ(a.raft.log().base(), Index{5});
  EXPECT_EQ(a.raft.log().last_index(), Index{10});
}

TEST(Snapshot, TheTailIsBoundedInBytesToo) {
  Config config;
  config.trailing_bytes = 100;
  OneServer a(Start{{}, snapshot_of(0, 0, voters({"a"})), {}}, config);
  a.time_is_up();
  a.disk_is_done();
  for (int i = 0; i < 9; ++i) a.step(Propose{0, std::string(40, 'x')});
  a.disk_is_done();
  const Output out = a.step(Compact{Index{8}, "eight"});
  ASSERT_TRUE(out.persist);
  EXPECT_EQ(out.persist->compact_to, Index{6});
  EXPECT_EQ(a.raft.log().base(), Index{6});
}

TEST(Snapshot, OfAnEntryAboveTheBoundNothingIsKept) {
  Config config;
  config.trailing_bytes = 100;
  OneServer a(Start{{}, snapshot_of(0, 0, voters({"a"})), {}}, config);
  a.time_is_up();
  a.disk_is_done();
  a.step(Propose{0, std::string(400, 'x')});
  a.disk_is_done();
  a.step(Compact{Index{2}, "two"});
  EXPECT_EQ(a.raft.log().base(), Index{2});
}

TEST(Snapshot, WhatIsNotAppliedIsNotCompacted) {
  OneServer a;
  a.leads_surely();
  a.step(Propose{1, "x"});
  EXPECT_FALSE(a.step(Compact{Index{2}, "two"}).persist.has_value());
  EXPECT_EQ(a.raft.snapshot()->meta.index, Index{0});
}

TEST(Snapshot, ItHasTheConfigurationAsOfItsIndexNotTheNewest) {
  OneServer a;
  a.leads_surely();
  a.step(AddServer{1, {.id = "d", .info = ""}});
  ASSERT_EQ(a.raft.configuration().servers.size(), 4U);
  const Output out = a.step(Compact{Index{1}, "one"});
  ASSERT_TRUE(out.persist && out.persist->snapshot);
  EXPECT_EQ(out.persist->snapshot->meta.configuration, voters({"a", "b", "c"}));
  EXPECT_EQ(out.persist->snapshot->meta.configuration_index, Index{0});
}

TEST(Snapshot, AFollowerThatLacksWhatIsCompactedIsSentIt) {
  FewServers group = with_c_behind(std::string(95, 's'));
  group.silent.clear();
  group.passes(milliseconds(400));
  EXPECT_EQ(group.at("c").snapshot()->data, std::string(95, 's'));
  EXPECT_EQ(group.applied("c"), group.at("a").commit_index());
  EXPECT_EQ(group.at("a").progress().at("c").state, ProgressState::Replicate);
}

TEST(Snapshot, ALostChunkIsSentAgainAndOnlyThatFarBack) {
  FewServers group = with_c_behind(std::string(95, 's'));
  group.silent.clear();
  std::map<std::uint64_t, int> sent;
  group.lost = [&sent](const Message& message) {
    const auto* chunk = std::get_if<SnapshotChunk>(&message.body);
    return chunk != nullptr && ++sent[chunk->offset] == 1 && chunk->offset == 50;
  };
  group.passes(milliseconds(800));
  EXPECT_EQ(group.applied("c"), group.at("a").commit_index());
  EXPECT_EQ(sent[40], 1);
  EXPECT_EQ(sent[50], 2);
}

TEST(Snapshot, ANewLeaderGoesOnWhereTheFormerStopped) {
  const auto snapshot = snapshot_of(1, 7, voters({"a", "b", "c"}), std::string(30, 's'));
  OneServer a(Start{});
  a.hears("b", 2, chunk_of(*snapshot, 0, 10));
  a.hears("b", 2, chunk_of(*snapshot, 10, 10));
  const Output out = a.hears("c", 3, chunk_of(*snapshot, 0, 10));
  a.disk_is_done();
  EXPECT_EQ(a.hears("c", 3, chunk_of(*snapshot, 0, 10)).send.size(), 1U);
  const auto replies = bodies<SnapshotReply>(a.hears("c", 3, chunk_of(*snapshot, 10, 10)));
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies.front().held, 20U);
}

TEST(Snapshot, AWholeOneIsToldOnlyOnceItIsDurable) {
  OneServer a(Start{});
  const auto snapshot = snapshot_of(1, 7, voters({"a", "b", "c"}), "state");
  const Output out = a.hears("b", 1, chunk_of(*snapshot, 0, 5));
  ASSERT_NE(out.restore, nullptr);
  EXPECT_EQ(out.restore->data, "state");
  ASSERT_TRUE(out.persist && out.persist->snapshot);
  EXPECT_TRUE(out.send.empty());
  const auto replies = bodies<SnapshotReply>(a.disk_is_done());
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_TRUE(replies.front().done);
  EXPECT_EQ(replies.front().match, Index{7});
  EXPECT_EQ(a.raft.commit_index(), Index{7});
  EXPECT_EQ(a.raft.configuration(), voters({"a", "b", "c"}));
}

TEST(Snapshot, AWrongChecksumIsThrownAway) {
  OneServer a(Start{});
  const auto snapshot = snapshot_of(1, 7, voters({"a", "b"}), "state");
  SnapshotChunk damaged = chunk_of(*snapshot, 0, 5);
  damaged.data = "stale";
  const Output out = a.hears("b", 1, damaged);
  EXPECT_EQ(out.restore, nullptr);
  a.disk_is_done();
  const auto again = a.hears("b", 1, chunk_of(*snapshot, 0, 5));
  EXPECT_NE(again.restore, nullptr);
}

TEST(Snapshot, ANewerOneStartsFromTheBeginning) {
  OneServer a(Start{});
  const auto older = snapshot_of(1, 7, voters({"a", "b"}), std::string(20, 'o'));
  const auto newer = snapshot_of(1, 9, voters({"a", "b"}), std::string(20, 'n'));
  a.hears("b", 1, chunk_of(*older, 0, 10));
  a.disk_is_done();
  EXPECT_EQ(bodies<SnapshotReply>(a.hears("b", 1, chunk_of(*newer, 0, 10))).front().held, 10U);
  EXPECT_EQ(bodies<SnapshotReply>(a.hears("b", 1, chunk_of(*older, 10, 10))).front().held, 0U);
  EXPECT_EQ(a.hears("b", 1, chunk_of(*newer, 10, 10)).restore->meta.index, Index{9});
}

TEST(Snapshot, OneThatIsLargerThanTheBoundIsRefused) {
  OneServer a(Start{});
  const auto snapshot = snapshot_of(1, 7, voters({"a", "b"}), "state");
  SnapshotChunk huge = chunk_of(*snapshot, 0, 5);
  huge.total = kSnapshotBytesMax + 1;
  a.hears("b", 1, huge);
  const auto replies = bodies<SnapshotReply>(a.disk_is_done());
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies.front().held, 0U);
}

TEST(Snapshot, OneThatKnowsALaterConfigurationIsMalformedAndNotTaken) {
  OneServer a;
  Snapshot snapshot = *snapshot_of(1, 5, voters({"a", "b"}), "data");
  snapshot.meta.configuration_index = Index{6};
  a.hears("b", 1, chunk_of(snapshot, 0, 4));
  EXPECT_EQ(a.raft.snapshot()->meta.index, Index{0});
}

TEST(Snapshot, OneOfAnOlderTermIsRefusedWithItsReason) {
  Config config;
  config.trace = true;
  OneServer a(Start{{Term{3}, ""}, snapshot_of(0, 0, voters({"a", "b"})), {}}, config);
  const Output out =
      a.hears("b", 2, chunk_of(*snapshot_of(1, 5, voters({"a", "b"}), "data"), 0, 4));
  EXPECT_EQ(out.trace, std::vector<std::string>{"refuses a snapshot of b: term 2 is over"});
  ASSERT_EQ(out.send.size(), 1U);
  EXPECT_EQ(out.send.front().term, Term{3});
}

TEST(Snapshot, AtOrBelowTheCommitIndexItIsAnsweredWithTheCommitIndex) {
  OneServer a({"a", "b", "c"}, {Term{1}, ""}, {entry(1, 1), entry(1, 2), entry(1, 3)});
  a.hears("b", 1, Append{.prev_index = Index{3}, .prev_term = Term{1}, .commit = Index{3}});
  const auto old = snapshot_of(1, 2, voters({"a", "b", "c"}), "two");
  const Output out = a.hears("b", 1, chunk_of(*old, 0, 3));
  EXPECT_FALSE(out.persist.has_value());
  const auto replies = bodies<SnapshotReply>(out);
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_TRUE(replies.front().done);
  EXPECT_EQ(replies.front().match, Index{3});
}

TEST(Snapshot, WhoHasItsLastEntryKeepsItsLog) {
  OneServer a({"a", "b", "c"}, {Term{1}, ""}, {entry(1, 1), entry(1, 2), entry(1, 3)});
  const auto known = snapshot_of(1, 2, voters({"a", "b", "c"}), "two");
  const Output out = a.hears("b", 1, chunk_of(*known, 0, 3));
  EXPECT_EQ(out.restore, nullptr);
  EXPECT_EQ(a.raft.log().last_index(), Index{3});
  EXPECT_EQ(out.committed.size(), 2U);
}

TEST(Snapshot, AfterARestartTheLogGoesOnBehindIt) {
  OneServer a(Start{{Term{3}, "b"},
                    snapshot_of(2, 5, voters({"a", "b", "c"}), "five"),
                    {entry(2, 4), entry(2, 5), entry(3, 6)}});
  EXPECT_EQ(a.raft.commit_index(), Index{5});
  const Output out =
      a.hears("b", 3, Append{.prev_index = Index{6}, .prev_term = Term{3}, .commit = Index{6}});
  ASSERT_EQ(out.committed.size(), 1U);
  EXPECT_EQ(out.committed.front().index, Index{6});
}

TEST(Snapshot, AFollowerInSnapshotStateGetsNoEntriesMeanwhile) {
  FewServers group = with_c_behind(std::string(95, 's'));
  group.silent.clear();
  bool entries = false;
  group.lost = [&entries](const Message& message) {
    const auto* append = std::get_if<Append>(&message.body);
    entries = entries || (append != nullptr && message.to == "c" && !append->entries.empty());
    return std::holds_alternative<SnapshotReply>(message.body);
  };
  group.passes(milliseconds(120));
  group.proposes("a", 5);
  EXPECT_EQ(group.at("a").progress().at("c").state, ProgressState::Snapshot);
  EXPECT_FALSE(entries);
}

}  // namespace
}  // namespace fettle::raft
