// The snapshot is everything: an engine that loaded one goes on exactly as one that applied the
// whole log, from every index on.
#include <gtest/gtest.h>

#include <set>

#include "core/codec.h"
#include "tests/support/whole_story.h"

namespace fettle::core {
namespace {

/// What an engine can be seen to do with an entry.
std::string told(const Engine& engine, const Applied& applied) {
  std::string text = std::to_string(engine.digest()) + " " + std::to_string(applied.answer.ok) +
                     " " + std::to_string(applied.answer.number) + " " + applied.answer.text +
                     " due " + std::to_string(engine.next_wake().ns) + " open " +
                     std::to_string(engine.outstanding().size());
  for (const Effect& effect : applied.effects) {
    text += " " + std::to_string(effect.index());
    if (const auto* event = std::get_if<effect::Happened>(&effect)) text += encode(event->event);
    if (const auto* task = std::get_if<effect::Perform>(&effect)) text += encode(task->task);
  }
  return text;
}

TEST(Snapshot, TheStoryTellsEveryCommandThereIs) {
  std::set<std::size_t> kinds;
  const EngineStory story = whole_story();
  for (const auto& [index, entry] : story.entries) kinds.insert(entry.command.index());
  for (std::size_t kind = 0; kind < std::variant_size_v<Command>; ++kind) {
    EXPECT_TRUE(kinds.contains(kind)) << "command number " << kind;
  }
  const State& state = story.engine.state();
  EXPECT_FALSE(state.kv.values.empty());
  EXPECT_FALSE(state.leases.empty());
  EXPECT_FALSE(state.joined.empty());
  EXPECT_FALSE(state.clients.empty());
  EXPECT_FALSE(state.failures.empty());
}

TEST(Snapshot, WithTheTailItEqualsTheWholeLogAtEveryIndex) {
  const EngineStory story = whole_story();
  std::vector<std::string> snapshots;
  std::vector<std::string> whole;
  Engine engine(story_actions());
  for (const auto& [index, entry] : story.entries) {
    snapshots.push_back(engine.save());
    const Applied applied = engine.apply(index, entry);
    whole.push_back(told(engine, applied));
  }
  for (std::size_t from = 0; from < story.entries.size(); ++from) {
    Engine resumed(story_actions());
    ASSERT_TRUE(resumed.load(snapshots[from]));
    ASSERT_EQ(resumed.save(), snapshots[from]);
    for (std::size_t at = from; at < story.entries.size(); ++at) {
      const Applied applied = resumed.apply(story.entries[at].first, story.entries[at].second);
      ASSERT_EQ(told(resumed, applied), whole[at])
          << "from the snapshot before entry " << story.entries[from].first.value << ", at entry "
          << story.entries[at].first.value;
    }
  }
}

TEST(Snapshot, EntriesAreTheSameAfterTheirBytes) {
  const EngineStory story = whole_story();
  Engine engine(story_actions());
  for (const auto& [index, entry] : story.entries) {
    const auto read = decode_entry(encode_entry(entry));
    ASSERT_TRUE(read.has_value()) << index.value;
    EXPECT_FALSE(engine.apply(index, *read).halt);
  }
  EXPECT_EQ(engine.digest(), story.engine.digest());
}

TEST(Snapshot, ADamagedOneIsRefusedAndChangesNothing) {
  EngineStory story = whole_story();
  const std::string good = story.engine.save();
  const std::uint64_t before = story.engine.digest();
  EXPECT_FALSE(story.engine.load(good.substr(0, good.size() - 1)));
  EXPECT_FALSE(story.engine.load(good + "x"));
  EXPECT_FALSE(story.engine.load(""));
  EXPECT_EQ(story.engine.digest(), before);
}

}  // namespace
}  // namespace fettle::core
