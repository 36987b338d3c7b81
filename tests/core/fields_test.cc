#include "core/fields.h"

#include <gtest/gtest.h>

namespace fettle::core {
namespace {

TEST(Fields, AReferenceIsReplacedByItsValue) {
  const auto text = substitute("${node.name} is down: ${incident.reason}",
                               {{"node.name", "chat-a"}, {"incident.reason", "refused"}});
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, "chat-a is down: refused");
}

TEST(Fields, AValueIsNeverLookedIntoAgain) {
  const auto text = substitute("${a}", {{"a", "${b} $$"}, {"b", "no"}});
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, "${b} $$");
}

TEST(Fields, TwoDollarsAreOneAndALoneOneStandsForItself) {
  const auto text = substitute("$${a} costs 5$ or $x, $$$", {});
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, "${a} costs 5$ or $x, $$");
}

TEST(Fields, AnUnknownFieldIsNamed) {
  const auto text = substitute("${node.name} ${node.nmae}", {{"node.name", "chat-a"}});
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Code::NotFound);
  EXPECT_EQ(text.error().what, "there is no field `node.nmae`");
}

TEST(Fields, AReferenceThatIsNotClosedIsRefused) {
  const auto text = substitute("on ${node.name", {{"node.name", "chat-a"}});
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Code::Invalid);
  EXPECT_NE(text.error().what.find("not closed"), std::string::npos);
}

TEST(Fields, UsesTellsWhereEachReferenceStands) {
  const auto found = uses("at ${node.name}, $${no}, ${x");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].name, "node.name");
  EXPECT_EQ(found[0].offset, 3U);
  EXPECT_EQ(found[0].size, 12U);
  EXPECT_EQ(found[0].problem, "");
  EXPECT_EQ(found[1].offset, 25U);
  EXPECT_NE(found[1].problem, "");
}

class MalformedReference : public testing::TestWithParam<const char*> {};

TEST_P(MalformedReference, IsShownAndRefused) {
  const auto found = uses(GetParam());
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NE(found[0].problem, "");
  EXPECT_FALSE(substitute(GetParam(), {{"a", "1"}, {"", "2"}}));
}

INSTANTIATE_TEST_SUITE_P(Fields, MalformedReference,
                         testing::Values("${}", "${ a }", "${a.}", "${.a}", "${a..b}", "${1a}",
                                         "${a+b}", "${a", "${"));

}  // namespace
}  // namespace fettle::core
