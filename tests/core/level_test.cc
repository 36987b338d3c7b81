// Engine levels: a newer version keeps to what every voter knows; and what it did with a log once,
// it does for ever. `level_test --rewrite` records the log and its hashes anew, for a change that
// is meant (one of a level that nobody has yet).
#include "core/level.h"

#include <gtest/gtest.h>

#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>

#include "core/codec.h"
#include "tests/support/whole_story.h"

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

EngineStory hashed_story() {
  EngineStory story(story_spec({"a", "b"}));
  story.raise();
  story.index = Engine::kHashEvery - 1;
  story.tell(command::KvPut{"x", "1", {}});
  return story;
}

TEST(StateHash, IsDueOnceAtEveryThousandthEntryFromLevelTwoOn) {
  EngineStory story = hashed_story();
  const auto due = story.effects_of<effect::HashDue>();
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].index, Index{Engine::kHashEvery});
  EXPECT_EQ(due[0].hash, story.engine.digest());
  story.tell(command::StateHash{due[0].index, due[0].hash});
  EXPECT_TRUE(story.effects_of<effect::HashDue>().empty());
  EngineStory low(story_spec({"a", "b"}));
  low.index = Engine::kHashEvery - 1;
  low.tell(command::Wake{});
  EXPECT_TRUE(low.effects_of<effect::HashDue>().empty());
}

TEST(StateHash, AVoterWhoseStateDiffersStopsAndSaysAtWhichIndex) {
  EngineStory leader = hashed_story();
  const auto due = leader.effects_of<effect::HashDue>();
  ASSERT_EQ(due.size(), 1U);
  EngineStory other(story_spec({"a", "b"}));
  other.raise();
  other.index = Engine::kHashEvery - 1;
  other.tell(command::KvPut{"x", "2", {}});  // what a bit flip could make of it
  const LogEntry told{.level = 2, .command = command::StateHash{due[0].index, due[0].hash}};
  const std::uint64_t before = other.engine.digest();
  const Applied applied = other.engine.apply(Index{1001}, told);
  ASSERT_TRUE(applied.halt.has_value());
  EXPECT_TRUE(applied.halt->starts_with("this member's state at index 1000 is not the leader's"));
  EXPECT_EQ(other.engine.digest(), before);
  EXPECT_FALSE(leader.engine.apply(Index{1001}, told).halt);
}

TEST(StateHash, AVoterThatTookOverALaterSnapshotHasNothingToCompare) {
  EngineStory leader = hashed_story();
  Engine late(story_actions());
  ASSERT_TRUE(late.load(leader.engine.save()));
  const LogEntry told{.level = 2, .command = command::StateHash{Index{1000}, 1}};
  EXPECT_FALSE(late.apply(Index{1001}, told).halt);
}

constexpr const char* kRecorded = FETTLE_SOURCE_DIR "/tests/core/data/engine.log";

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += {kDigits[byte >> 4U], kDigits[byte & 15U]};
  }
  return text;
}

std::string from_hex(std::string_view text) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
    unsigned value = 0;
    std::from_chars(text.data() + at, text.data() + at + 2, value, 16);
    bytes += static_cast<char>(value);
  }
  return bytes;
}

/// A line an entry: its index, the state's hash after it, its bytes.
void rewrite() {
  std::ofstream file(kRecorded);
  Engine engine(story_actions());
  for (const auto& [index, entry] : whole_story().entries) {
    engine.apply(index, entry);
    file << index.value << ' ' << std::hex << engine.digest() << std::dec << ' '
         << to_hex(encode_entry(entry)) << '\n';
  }
}

TEST(RecordedLog, GivesTheRecordedHashes) {
  std::ifstream file(kRecorded);
  Engine engine(story_actions());
  std::string line;
  std::size_t entries = 0;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::uint64_t index = 0;
    std::uint64_t hash = 0;
    std::string bytes;
    words >> index >> std::hex >> hash >> bytes;
    const auto entry = decode_entry(from_hex(bytes));
    ASSERT_TRUE(entry.has_value()) << "entry " << index << ": " << entry.error().what;
    ASSERT_FALSE(engine.apply(Index{index}, *entry).halt) << "entry " << index;
    ASSERT_EQ(engine.digest(), hash) << "after entry " << index;
    ++entries;
  }
  EXPECT_GT(entries, 50U) << kRecorded;
  EXPECT_EQ(engine.state().level, kEngineLevel) << "it goes through every level";
}

}  // namespace
}  // namespace fettle::core

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc > 1 && std::string_view(argv[1]) == "--rewrite") fettle::core::rewrite();
  return RUN_ALL_TESTS();
}
