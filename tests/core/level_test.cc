// Engine levels: a newer version keeps to what every voter knows.
#include "core/level.h"

#include <gtest/gtest.h>

#include "core/codec.h"
#include "tests/support/engine_story.h"

namespace fettle::core {
namespace {

MemberFacts facts_of(const EngineStory& story, const std::string& name, std::uint32_t level) {
  MemberFacts facts = story.engine.state().members.at(name);
  facts.level = level;
  return facts;
}

TEST(Level, AboveTheGroupsLevelACommandIsRefusedAndTheVoterNamed) {
  EngineStory story(story_spec({"a", "b"}));
  story.tell(command::SetFacts{facts_of(story, "m3", 1)});
  const ClientAnswer answer = story.tell(command::KvPut{"x", "1", {}});
  EXPECT_EQ(answer.code, Code::Refused);
  EXPECT_EQ(answer.text, "needs engine level 2; m3 supports 1");
  EXPECT_TRUE(story.engine.state().kv.values.empty());
}

TEST(Level, IsRaisedOnlyOnceEveryVoterSupportsIt) {
  EngineStory story(story_spec({"a", "b"}));
  story.tell(command::SetFacts{facts_of(story, "m3", 1)});
  EXPECT_EQ(level_to_raise(story.engine.state(), kEngineLevel), std::nullopt);
  EXPECT_EQ(story.tell(command::RaiseLevel{2}).text, "needs engine level 2; m3 supports 1");
  EXPECT_EQ(story.engine.state().level, 1U);
  story.tell(command::SetFacts{facts_of(story, "m3", 2)});
  EXPECT_EQ(level_to_raise(story.engine.state(), kEngineLevel), 2U);
  EXPECT_TRUE(story.tell(command::RaiseLevel{2}).ok);
  EXPECT_EQ(story.events(), std::vector<std::string>{"level.raised"});
  EXPECT_EQ(level_to_raise(story.engine.state(), kEngineLevel), std::nullopt);
  EXPECT_TRUE(story.tell(command::KvPut{"x", "1", {}}).ok);
}

TEST(Level, IsNotRaisedBeforeAVoterHasSaidWhatItSupports) {
  EngineStory story(Spec{});
  story.engine = Engine(story_actions());
  command::Found found{"test", {}};
  found.voters.resize(1);
  found.voters[0].name = "m1";
  found.voters[0].level = 2;
  story.tell(found);
  EXPECT_EQ(story.tell(command::RaiseLevel{2}).text,
            "needs engine level 2; m1 has not said yet what it supports");
}

TEST(Level, AnEntryBeyondItsVersionStopsAVoterBeforeAnythingIsApplied) {
  Engine old(story_actions(), 1);
  LogEntry entry{.level = 2, .command = command::Wake{}};
  const Applied applied = old.apply(Index{7}, entry);
  EXPECT_EQ(applied.halt, "entry 7: an entry needs engine level 2; this version supports up to 1");
  EXPECT_EQ(old.state().applied, Index{});
}

TEST(Level, TheBytesOfAnEntryOfAHigherLevelNeedNotBeKnown) {
  LogEntry entry{.level = kEngineLevel + 1, .command = command::Wake{}};
  std::string bytes = encode_entry(entry);
  bytes.back() = '\xff';  // a kind of command that this version has never heard of
  const auto read = decode_entry(bytes);
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, Code::Refused);
  EXPECT_EQ(read.error().what, "an entry needs engine level 3; this version supports up to 2");
}

TEST(Level, ASnapshotOfAHigherLevelIsRefused) {
  EngineStory story(story_spec({"a", "b"}));
  Engine old(story_actions(), 1);
  EXPECT_TRUE(old.load(story.engine.save())) << "the group is still at level 1";
  story.raise();
  const Status loaded = old.load(story.engine.save());
  ASSERT_FALSE(loaded.has_value());
  EXPECT_EQ(loaded.error().code, Code::Refused);
}

/// What the old version and the new one do side by side, until the group is raised.
TEST(Level, MixedVersionsHoldEqualStatesUntilTheGroupIsRaised) {
  Engine newer(story_actions());
  Engine older(story_actions(), 1);
  EngineStory story(story_spec({"a", "b"}));
  std::uint64_t index = 0;
  const auto both = [&](Command command) {
    const LogEntry entry{.level = newer.state().level, .command = std::move(command)};
    EXPECT_FALSE(newer.apply(Index{++index}, entry).halt);
    EXPECT_FALSE(older.apply(Index{index}, entry).halt);
    EXPECT_EQ(newer.digest(), older.digest()) << index;
  };
  both(command::Found{"test", {facts_of(story, "m1", 2), facts_of(story, "m2", 1)}});
  both(command::ApplySpec{.spec = story_spec({"a", "b"}), .by = "test"});
  both(command::Freeze{.length = std::chrono::seconds(10), .by = "test"});
  MemberFacts upgraded = facts_of(story, "m2", 2);
  both(command::SetFacts{upgraded});
  const LogEntry raise{.level = 2, .command = command::RaiseLevel{2}};
  EXPECT_FALSE(newer.apply(Index{++index}, raise).halt);
  EXPECT_TRUE(older.apply(Index{index}, raise).halt.has_value());
}

}  // namespace
}  // namespace fettle::core
