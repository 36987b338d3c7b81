// What a leader proposes of the tables that observers tell it: differences only.
#include <gtest/gtest.h>

#include "core/verdicts.h"
#include "tests/support/engine_story.h"

namespace fettle::core {
namespace {

/// The whole table of `observer` as it stands in the log.
command::ReportOpinions table_of(const EngineStory& story, const std::string& observer) {
  command::ReportOpinions table{observer, "i-" + observer, {}};
  for (const auto& [name, node] : story.engine.state().nodes) {
    const auto held = node.opinions.find(observer);
    if (held == node.opinions.end()) continue;
    table.opinions.push_back(
        {.node = name,
         .watch_revision = watch_revision_of(story.engine.state(), name, observer),
         .sequence = held->second.sequence,
         .classes = held->second.classes});
  }
  return table;
}

EngineStory healthy() {
  EngineStory story(story_spec({"a", "b", "c"}));
  story.everything_is_healthy();
  return story;
}

TEST(News, OfATableThatTheLogHasNothingIsProposedAgain) {
  const EngineStory story = healthy();
  const auto table = table_of(story, "m1");
  ASSERT_EQ(table.opinions.size(), 3U);
  EXPECT_TRUE(news_of(story.engine.state(), table).opinions.empty());
}

TEST(News, OfATableOnlyTheDifferenceIsProposed) {
  const EngineStory story = healthy();
  auto table = table_of(story, "m1");
  table.opinions[1].sequence = story.sequence + 1;
  const auto news = news_of(story.engine.state(), table);
  ASSERT_EQ(news.opinions.size(), 1U);
  EXPECT_EQ(news.opinions[0].node, "b");
  EXPECT_EQ(news.observer, "m1");
}

TEST(News, WhatTheEngineWouldNotTakeIsNotProposed) {
  EngineStory story = healthy();
  auto table = table_of(story, "m1");
  for (Opinion& opinion : table.opinions) opinion.sequence = ++story.sequence;
  table.opinions[0].watch_revision += 1;
  table.opinions[1].node = "gone";
  EXPECT_EQ(news_of(story.engine.state(), table).opinions.size(), 1U);
  table.observer = "stranger";
  EXPECT_TRUE(news_of(story.engine.state(), table).opinions.empty());
}

TEST(News, AfterARestartOfTheObserverAllIsNew) {
  const EngineStory story = healthy();
  auto table = table_of(story, "m1");
  table.incarnation = "another";
  EXPECT_EQ(news_of(story.engine.state(), table).opinions.size(), 3U);
}

}  // namespace
}  // namespace fettle::core
