// Stories of writes that are asked again: the kept answer, or a refusal; never a second act.
#include "core/client_table.h"

#include <gtest/gtest.h>

#include "core/level.h"
#include "tests/support/engine_story.h"

namespace fettle::core {
namespace {

using std::chrono::seconds;

/// Writes of a client under `key`; each that is carried out adds one to the store's revision.
class ClientStory : public EngineStory {
 public:
  ClientStory() : EngineStory(story_spec({"a", "b"})) { raise(); }
  ClientAnswer put(const std::string& key) {
    return tell(command::KvPut{.key = "k", .value = "1"}, key);
  }
  std::string made(std::uint64_t number) const {
    return made_client_key(engine.state().now, std::to_string(number));
  }
  void many(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) put(made(++made_));
  }
  std::uint64_t writes() const { return engine.state().kv.revision; }

 private:
  std::uint64_t made_ = 1000;
};

TEST(ClientKeys, AnswersToAChosenKeyOutliveAnyNumberOfWritesWithoutOne) {
  ClientStory story;
  const ClientAnswer first = story.put("mine");
  story.many(3 * kClientsKept);
  const std::uint64_t writes = story.writes();
  EXPECT_EQ(story.put("mine").number, first.number);
  EXPECT_EQ(story.writes(), writes);
}

TEST(ClientKeys, AMadeKeyThatIsAskedAgainIsAnsweredAsBefore) {
  ClientStory story;
  const std::string key = story.made(1);
  const ClientAnswer first = story.put(key);
  EXPECT_EQ(story.put(asked_client_key(key)).number, first.number);
  EXPECT_EQ(story.writes(), 1U);
}

TEST(ClientKeys, AMadeKeyWhoseAnswerMayBeForgottenIsRefused) {
  ClientStory story;
  const std::string key = story.made(1);
  story.put(key);
  story.pass(seconds(1));
  story.many(kClientsKept);
  const std::uint64_t writes = story.writes();
  const ClientAnswer again = story.put(asked_client_key(key));
  EXPECT_FALSE(again.ok);
  EXPECT_EQ(again.code, Code::Conflict);
  EXPECT_EQ(story.writes(), writes);
  EXPECT_TRUE(story.put("a key of its own").ok);
}

TEST(ClientKeys, AMadeKeyWhoseWriteWasLostIsCarriedOutWhenItIsAskedAgain) {
  ClientStory story;
  story.many(2 * kClientsKept);
  story.pass(seconds(1));
  const std::string lost = story.made(1);  // its leader died with it
  story.pass(seconds(1));
  story.many(kClientsKept - 1);
  const std::uint64_t writes = story.writes();
  EXPECT_TRUE(story.put(asked_client_key(lost)).ok);
  EXPECT_EQ(story.writes(), writes + 1);
  EXPECT_TRUE(story.put(asked_client_key(lost)).ok);
  EXPECT_EQ(story.writes(), writes + 1);
}

TEST(ClientKeys, MoreChosenOnesThanCanBeKeptForAMinuteAreBusy) {
  ClientStory story;
  for (std::size_t i = 0; i < kClientsMax; ++i) {
    ASSERT_TRUE(story.put("mine-" + std::to_string(i)).ok);
  }
  const ClientAnswer over = story.put("one more");
  EXPECT_EQ(over.code, Code::Busy);
  EXPECT_EQ(story.writes(), kClientsMax);
  EXPECT_TRUE(story.put("mine-0").ok) << "what is kept is answered";
  EXPECT_TRUE(story.put(story.made(1)).ok) << "who names no key is not concerned";
  story.pass(kAnswerKept);
  EXPECT_TRUE(story.put("one more").ok);
  EXPECT_EQ(story.engine.state().clients.size(), kClientsKept + 1);
}

TEST(ClientKeys, ASnapshotKeepsWhichIsTheOldestOfEitherKind) {
  ClientStory story;
  story.put("mine");
  story.many(kClientsKept);
  Engine copy(story_actions());
  ASSERT_TRUE(copy.load(story.engine.save()));
  const LogEntry entry{.level = copy.state().level,
                       .stamp = story.now,
                       .client = story.made(1),
                       .command = command::KvPut{.key = "k", .value = "2"}};
  const Index next{story.index + 1};
  copy.apply(next, entry);
  story.engine.apply(next, entry);
  EXPECT_EQ(copy.save(), story.engine.save());
  EXPECT_TRUE(copy.state().clients.contains("mine"));
}

TEST(ClientKeys, OnlyWhatAMemberMadeIsTakenForMade) {
  for (const char* chosen : {"mine", "fettle-12-34", "made:soon-1", "made:12", "again:mine"}) {
    EXPECT_EQ(asked_client_key(chosen), chosen);
  }
  EXPECT_EQ(asked_client_key("made:12-ab"), "again:made:12-ab");
  EXPECT_EQ(asked_client_key("again:made:12-ab"), "again:made:12-ab");
  ClientStory story;
  story.put("mine");
  story.put("again:mine");
  EXPECT_EQ(story.writes(), 2U) << "two keys, both chosen";
}

TEST(ClientKeys, TheLowestLevelKnowsTheSameKeysAndForgetsTheOldest) {
  EngineStory story(story_spec({"a", "b"}));
  const auto put = [&](const std::string& key) {
    return story.tell(command::KvPut{.key = "k", .value = "1"}, key).number;
  };
  ASSERT_LT(story.engine.state().level, kLevel2);
  const std::string made = made_client_key(story.now, "1");
  const std::uint64_t first = put(made);
  EXPECT_EQ(put(asked_client_key(made)), first);
  for (std::size_t i = 0; i < 2 * kClientsKept; ++i) {
    put(i % 2 == 0 ? "mine-" + std::to_string(i) : made_client_key(story.now, std::to_string(i)));
  }
  EXPECT_EQ(story.engine.state().clients.size(), kClientsKept);
}

}  // namespace
}  // namespace fettle::core
