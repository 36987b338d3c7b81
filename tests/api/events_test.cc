// Stories of the event ring: where a stream goes on, and when it must be told of a gap.
#include "api/events.h"

#include <gtest/gtest.h>

#include "tests/api/example_state.h"

namespace fettle::api {
namespace {

constexpr std::size_t kAll = EventRing::kKept;

std::vector<std::string> ids(const EventRing::Batch& batch) {
  std::vector<std::string> list;
  for (const core::Event* event : batch.events) {
    list.push_back(std::to_string(event->index.value) + "." + std::to_string(event->n));
  }
  return list;
}

TEST(Events, AnIdIsIndexDotN) {
  EXPECT_EQ(parse_event_id("17.2"), (EventId{17, 2}));
  EXPECT_GT(*parse_event_id("17"), (EventId{17, 900}));
  EXPECT_LT(*parse_event_id("17"), (EventId{18, 0}));
  for (const char* wrong : {"", "x", "17.", "17.x", "-1", "17.2 ", "99999999999999999999"}) {
    EXPECT_FALSE(parse_event_id(wrong)) << wrong;
  }
}

TEST(Events, GoesOnAfterTheIdThatWasSeen) {
  EventRing ring;
  ring.add(example_event(5, 0));
  ring.add(example_event(5, 1));
  ring.add(example_event(8, 0));
  EXPECT_EQ(ids(ring.after({5, 0}, kAll)), (std::vector<std::string>{"5.1", "8.0"}));
  EXPECT_EQ(ids(ring.after({5, 0}, 1)), (std::vector<std::string>{"5.1"}));
  EXPECT_TRUE(ring.after({8, 0}, kAll).events.empty());
  EXPECT_FALSE(ring.after({5, 0}, kAll).gap);
  EXPECT_EQ(ring.newest(), (EventId{8, 0}));
}

TEST(Events, WhatFellOutIsAGap) {
  EventRing ring;
  for (std::uint64_t i = 1; i <= EventRing::kKept + 2; ++i) ring.add(example_event(i));
  EXPECT_TRUE(ring.after({1, 0}, 1).gap) << "2 is gone";
  EXPECT_FALSE(ring.after({2, 0}, 1).gap) << "2 is gone, but it was seen";
  EXPECT_EQ(ids(ring.after({1, 0}, 1)), (std::vector<std::string>{"3.0"}));
}

TEST(Events, WhatCameBeforeThisProcessIsAGapUnlessEverythingIsAsked) {
  EventRing ring;
  ring.add(example_event(100));
  EXPECT_TRUE(ring.after({40, 0}, kAll).gap);
  EXPECT_FALSE(ring.after(*parse_event_id("0"), kAll).gap);
  EXPECT_FALSE(EventRing().after({40, 0}, kAll).gap) << "nothing is known yet";
}

TEST(Events, OnTheWireEachIsOneServerSentEvent) {
  const std::string text = sse_text(example_event(9, 2, "line\nbreak"));
  EXPECT_TRUE(text.starts_with("id: 9.2\nevent: verdict.changed\ndata: {\"id\":\"9.2\""));
  EXPECT_TRUE(text.ends_with("\"reason\":\"line\\nbreak\"}\n\n"));
}

}  // namespace
}  // namespace fettle::api
