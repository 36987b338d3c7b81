// The key-value store: revisions, conditions, bounds, and what watchers are told.
#include "core/kv.h"

#include <gtest/gtest.h>

#include "tests/support/engine_story.h"

namespace fettle::core {
namespace {

EngineStory store_story() {
  EngineStory story(story_spec({"a", "b"}));
  story.raise();
  return story;
}

const std::map<std::string, KvValue>& values(const EngineStory& story) {
  return story.engine.state().kv.values;
}

TEST(Kv, EachChangeTakesTheNextRevisionOfTheWholeStore) {
  EngineStory story = store_story();
  EXPECT_EQ(story.tell(command::KvPut{"x", "1", {}}).number, 1U);
  EXPECT_EQ(story.tell(command::KvPut{"y", "2", {}}).number, 2U);
  EXPECT_EQ(story.tell(command::KvPut{"x", "3", {}}).number, 3U);
  EXPECT_EQ(values(story).at("x"), (KvValue{"3", 3}));
  EXPECT_EQ(values(story).at("y"), (KvValue{"2", 2}));
  EXPECT_EQ(story.tell(command::KvDelete{"y", {}}).number, 4U);
  EXPECT_FALSE(values(story).contains("y"));
  EXPECT_EQ(story.tell(command::KvPut{"y", "5", {}}).number, 5U) << "no revision is used twice";
}

TEST(Kv, AConditionThatDoesNotHoldChangesNothing) {
  EngineStory story = store_story();
  story.tell(command::KvPut{"x", "1", {}});
  const ClientAnswer answer = story.tell(command::KvPut{"x", "2", 7});
  EXPECT_FALSE(answer.ok);
  EXPECT_EQ(answer.code, Code::Conflict);
  EXPECT_EQ(answer.text, "x is at revision 1; revision 7 was expected");
  EXPECT_EQ(story.tell(command::KvDelete{"x", 7}).code, Code::Conflict);
  EXPECT_EQ(values(story).at("x"), (KvValue{"1", 1}));
  EXPECT_EQ(story.engine.state().kv.revision, 1U);
  EXPECT_TRUE(story.tell(command::KvPut{"x", "2", 1}).ok);
  EXPECT_TRUE(story.tell(command::KvDelete{"x", 2}).ok);
}

TEST(Kv, ZeroExpectsThatTheKeyDoesNotExist) {
  EngineStory story = store_story();
  EXPECT_TRUE(story.tell(command::KvPut{"x", "1", 0}).ok);
  EXPECT_EQ(story.tell(command::KvPut{"x", "2", 0}).text,
            "x is at revision 1; it was expected not to exist");
  story.tell(command::KvDelete{"x", {}});
  EXPECT_TRUE(story.tell(command::KvPut{"x", "3", 0}).ok) << "a deleted key does not exist";
  EXPECT_EQ(story.tell(command::KvPut{"z", "1", 4}).text,
            "z does not exist; revision 4 was expected");
}

TEST(Kv, DeletingWhatDoesNotExistIsNotFoundAndNoChange) {
  EngineStory story = store_story();
  EXPECT_EQ(story.tell(command::KvDelete{"x", {}}).code, Code::NotFound);
  EXPECT_EQ(story.tell(command::KvDelete{"x", 0}).code, Code::NotFound);
  EXPECT_EQ(story.engine.state().kv.revision, 0U);
}

TEST(Kv, TheSameClientKeyIsAppliedOnceAndAnsweredAlike) {
  EngineStory story = store_story();
  story.tell(command::KvPut{"x", "1", {}}, "ask-1");
  story.tell(command::KvPut{"x", "2", {}}, "ask-2");
  EXPECT_EQ(story.tell(command::KvPut{"x", "1", {}}, "ask-1").number, 1U);
  EXPECT_TRUE(story.effects_of<effect::KvChanged>().empty());
  EXPECT_EQ(values(story).at("x"), (KvValue{"2", 2}));
}

TEST(Kv, WatchersAreToldOfEachChange) {
  EngineStory story = store_story();
  story.tell(command::KvPut{"x", "1", {}});
  auto told = story.effects_of<effect::KvChanged>();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].key, "x");
  EXPECT_EQ(told[0].revision, 1U);
  EXPECT_EQ(told[0].value, "1");
  story.tell(command::KvDelete{"x", {}});
  told = story.effects_of<effect::KvChanged>();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_FALSE(told[0].value.has_value());
}

TEST(Kv, KeysAreWhatEveryHttpClientLeavesAsItIs) {
  for (const std::string good : {"x", "locks/a", "A-z_0.9~:@/b", "..."}) {
    EXPECT_TRUE(check_kv_key(good)) << good;
  }
  for (const std::string bad :
       {"", "/", "/x", "x/", "a//b", "a/../b", ".", "..", "a b", "a?b", "a%20b", "\xc3\xa4"}) {
    EXPECT_FALSE(check_kv_key(bad)) << bad;
  }
  EXPECT_TRUE(check_kv_key(std::string(kKvKeyBytesMax, 'x')));
  EXPECT_FALSE(check_kv_key(std::string(kKvKeyBytesMax + 1, 'x')));
  EngineStory story = store_story();
  EXPECT_EQ(story.tell(command::KvPut{"a b", "1", {}}).code, Code::Invalid);
  EXPECT_EQ(story.tell(command::KvDelete{"a b", {}}).code, Code::Invalid);
}

TEST(Kv, AFullStoreRefusesAndTakesAgainOnceThereIsRoom) {
  EngineStory story = store_story();
  const std::string large(kKvValueBytesMax, '1');
  EXPECT_EQ(story.tell(command::KvPut{"x", large + "1", {}}).code, Code::Invalid);
  std::size_t keys = 0;
  while (story.tell(command::KvPut{"k" + std::to_string(keys), large, {}}).ok) ++keys;
  EXPECT_EQ(keys, kKvBytesMax / (kKvValueBytesMax + 3));
  const ClientAnswer full = story.tell(command::KvPut{"more", large, {}});
  EXPECT_EQ(full.code, Code::Refused);
  EXPECT_EQ(full.text, "the store is full: keys and values are at most 16777216 bytes");
  EXPECT_TRUE(story.tell(command::KvPut{"k0", "1", {}}).ok) << "a smaller value always fits";
  EXPECT_TRUE(story.tell(command::KvPut{"more", large, {}}).ok);
  std::uint64_t bytes = 0;
  for (const auto& [key, value] : values(story)) bytes += key.size() + value.value.size();
  EXPECT_EQ(story.engine.state().kv.bytes, bytes);
}

TEST(Kv, ASnapshotCarriesTheStore) {
  EngineStory story = store_story();
  story.tell(command::KvPut{"x", "1", {}});
  Engine other(story_actions());
  ASSERT_TRUE(other.load(story.engine.save()));
  EXPECT_EQ(other.state().kv.values, values(story));
  EXPECT_EQ(other.digest(), story.engine.digest());
}

}  // namespace
}  // namespace fettle::core
