#include "tests/linearizability/history.h"

#include <gtest/gtest.h>

namespace fettle::linearizability {
namespace {

std::string line(const std::string& op, const std::string& input, const std::string& output,
                 const std::string& end = "20") {
  return R"({"client":"c1","key":"k","op":")" + op + R"(","input":)" + input + R"(,"output":)" +
         output + R"(,"begin_ns":10,"end_ns":)" + end + "}";
}

Operation operation(const std::string& text) {
  const auto parsed = parse_line(text);
  EXPECT_TRUE(parsed) << parsed.error().what;
  EXPECT_EQ(parsed->key, "k");
  return parsed->operation;
}

std::string error(const std::string& text) {
  const auto parsed = parse_line(text);
  EXPECT_FALSE(parsed) << text;
  return parsed ? "" : parsed.error().what;
}

TEST(History, EachOperationOfALine) {
  EXPECT_EQ(to_string(operation(line("read", "null", R"({"value":[1, 2],"revision":7})")), 0),
            "c1 read → [1,2] at revision 7 (0.000 ms to 0.000 ms)");
  EXPECT_EQ(operation(line("read", "null", R"({"absent":true})")).outcome, Outcome::Absent);
  const Operation write = operation(line("write", R"({"value":"x"})", R"({"revision":8})"));
  EXPECT_EQ(write.value, "\"x\"");
  EXPECT_EQ(write.revision, 8U);
  const Operation cas =
      operation(line("cas", R"({"value":1,"revision":8})", R"({"mismatch":true})"));
  EXPECT_EQ(cas.expected, 8U);
  EXPECT_EQ(cas.outcome, Outcome::Mismatch);
  const Operation removed = operation(line("delete", "{}", R"({"deleted":true})"));
  EXPECT_EQ(removed.outcome, Outcome::Done);
  EXPECT_FALSE(removed.expected);
}

TEST(History, NoEndIsAnUnknownOutcome) {
  const Operation lost = operation(line("write", R"({"value":1})", "null", "null"));
  EXPECT_EQ(lost.outcome, Outcome::Unknown);
  EXPECT_EQ(lost.end_ns, kNever);
}

TEST(History, ADefiniteFailureIsMarked) {
  EXPECT_TRUE(parse_line(line("write", R"({"value":1})", R"({"failed":"not_leader"})"))->failed);
}

TEST(History, WhatIsWrongIsSaid) {
  EXPECT_EQ(error("nonsense"), "no JSON");
  EXPECT_EQ(error("[]"), "'client' is missing");
  EXPECT_EQ(error(line("increment", "{}", "{}")), "'op' is read, write, cas or delete");
  EXPECT_EQ(error(line("write", "{}", "{}")), "'input' has no 'value'");
  EXPECT_EQ(error(line("write", "null", "{}")), "'input' is not an object");
  EXPECT_EQ(error(line("cas", R"({"value":1})", "{}")), "'input' of a cas has no 'revision'");
  EXPECT_EQ(error(line("write", R"({"value":1})", "{}")), "'output' has no 'revision'");
  EXPECT_EQ(error(line("read", "null", "null")), "'output' is not an object");
  EXPECT_EQ(error(line("read", "null", R"({"revision":1})")), "'output' has no 'value'");
  EXPECT_EQ(error(line("read", "null", R"({"mismatch":true})")),
            "an 'output' that this 'op' cannot have");
  EXPECT_EQ(error(line("read", "null", R"({"absent":true})", "5")),
            "'end_ns' is before 'begin_ns'");
}

}  // namespace
}  // namespace fettle::linearizability
