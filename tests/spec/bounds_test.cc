// Bounds: no file, however made, costs more than its share of time and memory, and what is beyond a
// bound is said.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>

#include "tests/spec/spec_files.h"

namespace fettle::spec {
namespace {

std::string times(std::size_t count, const std::function<std::string(std::size_t)>& one) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += one(i);
  return text;
}

/// Far above what it takes (also under a sanitizer), far below what quadratic work would take.
constexpr std::chrono::seconds kSlow(20);

class Bounds : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_LT(std::chrono::steady_clock::now() - began_, kSlow); }

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

std::string nested(std::size_t depth) {
  return "version: 1\nservices: " + std::string(depth - 1, '[') + std::string(depth - 1, ']') +
         "\n";
}

TEST_F(Bounds, AFileOfOneMebibyteIsReadAndALargerOneIsNot) {
  const std::string head = "version: 1\n#";
  const std::string full = head + std::string(kFileBytesMax - head.size(), 'x');
  EXPECT_EQ(told(parse_text(full).diagnostics), "");
  EXPECT_EQ(told(parse_text(full + "x").diagnostics),
            "a.yaml:1:1: the file is larger than 1 MiB\n");
}

TEST_F(Bounds, AFileOfTenMebibytesIsRefusedUnread) {
  const std::string bomb = "a: &a [" + std::string(10 * kFileBytesMax, '*');
  EXPECT_EQ(told(parse_text(bomb).diagnostics),
            "a.yaml:1:1: all files together are larger than 8 MiB\n");
}

TEST_F(Bounds, ATextOfHalfAMebibyteIsCutWhereverItIsTold) {
  const std::string huge(kFileBytesMax / 2, 'x');
  for (const std::string& text :
       {"version: 1\nservices: [{name: " + huge + ", nodes: [{name: a, address: a:1}]}]\n",
        "version: 1\nroute: {receiver: " + huge + "}\n", "version: 1\n? " + huge + "\n: 1\n",
        "version: " + huge + "\n",
        "version: 1\nservices: [{name: c, nodes: [{name: a, address: " + huge + "}]}]\n"}) {
    const std::string all = told(parse_text(text).diagnostics);
    EXPECT_FALSE(all.empty());
    EXPECT_LT(all.size(), 1000U) << all.substr(0, 1000);
  }
}

TEST_F(Bounds, AllFilesTogetherHaveABoundToo) {
  const std::string text = "version: 1\n#" + std::string(kFileBytesMax - 20, 'x');
  std::vector<core::SourceFile> files;
  for (int i = 0; i < 8; ++i) files.push_back({std::to_string(i) + ".yaml", text});
  EXPECT_EQ(told(parse(files, Strictness::Apply).diagnostics), "");
  files.push_back({"8.yaml", text});
  const Parsed parsed = parse(files, Strictness::Apply);
  EXPECT_EQ(told(parsed.diagnostics), "8.yaml:1:1: all files together are larger than 8 MiB\n");
  EXPECT_FALSE(parsed.spec);
}

TEST_F(Bounds, NestingEndsAtThirtyTwoLevels) {
  EXPECT_EQ(told(parse_text(nested(kDepthMax)).diagnostics),
            "a.yaml:2:12: services[0]: a list stands here (expected a map)\n");
  EXPECT_EQ(told(parse_text(nested(kDepthMax + 1)).diagnostics),
            "a.yaml:2:42: nested deeper than 32 levels\n");
}

TEST_F(Bounds, EndlessNestingIsRefusedNotFollowed) {
  for (const std::string& open : {std::string("["), std::string("{a: "), std::string("- "),
                                  std::string("? "), std::string("{"), std::string("[{a: ")}) {
    const std::string text =
        times(kFileBytesMax / open.size() / 2, [&](std::size_t) { return open; });
    const Parsed parsed = parse_text(text);
    EXPECT_FALSE(parsed.spec) << open;
    ASSERT_EQ(parsed.diagnostics.size(), 1U) << open;
  }
}

TEST_F(Bounds, AFileHoldsAtMostTwoHundredThousandValues) {
  const std::string text =
      "version: 1\nservices: [" + times(kValuesMax, [](std::size_t) { return "1,"; }) + "]\n";
  const Parsed parsed = parse_text(text);
  ASSERT_EQ(parsed.diagnostics.size(), 1U);
  EXPECT_EQ(parsed.diagnostics[0].message, "more than 200000 values");
}

TEST_F(Bounds, TheFirstHundredErrorsAreToldAndNoMore) {
  const std::string text =
      times(90'000, [](std::size_t i) { return "k" + std::to_string(i) + ": 1\n"; });
  EXPECT_EQ(parse_text(text).diagnostics.size(), kDiagnosticsMax);
  std::vector<core::SourceFile> files;
  for (int i = 0; i < 1000; ++i) files.push_back({std::to_string(i) + ".yaml", "version: ["});
  EXPECT_EQ(parse(files, Strictness::Apply).diagnostics.size(), kDiagnosticsMax);
}

TEST_F(Bounds, ManyNamesAreComparedQuickly) {
  const std::string head =
      "version: 1\nservices:\n  - name: chat\n    nodes: [{name: a, address: a:1}]\n";
  const std::string probes = times(20'000, [](std::size_t i) {
    return "      - {name: p" + std::to_string(i) + ", kind: tcp}\n";
  });
  EXPECT_EQ(told(parse_text(head + "    probes:\n" + probes).diagnostics), "");
  const std::string steps = times(20'000, [](std::size_t i) {
    return "      - {id: s" + std::to_string(i) + ", action: wait.healthy}\n";
  });
  EXPECT_EQ(
      told(parse_text(head + "playbooks:\n  - name: p\n    trigger: {verdict: down}\n    steps:\n" +
                      steps)
               .diagnostics),
      "a.yaml:6:5: playbooks[0].steps: more than 100 steps\n");
}

TEST_F(Bounds, AServiceHasAtMostAThousandNodes) {
  const auto nodes = [](std::size_t count) {
    return "version: 1\nservices:\n  - name: chat\n    nodes:\n" + times(count, [](std::size_t i) {
             return "      - {name: n" + std::to_string(i) + ", address: n:1}\n";
           });
  };
  EXPECT_EQ(told(parse_text(nodes(1000)).diagnostics), "");
  EXPECT_EQ(told(parse_text(nodes(1001)).diagnostics),
            "a.yaml:3:5: services[0].nodes: more than 1000 nodes\n");
}

TEST_F(Bounds, AnOptionOfAKindKeepsWithinTheKindsOwn) {
  const core::KindSpec kind{
      .name = "kind",
      .options = {{.name = "ports", .type = core::OptionType::Integer, .min = 1, .max = 9},
                  {.name = "pause",
                   .type = core::OptionType::Span,
                   .min = std::chrono::nanoseconds(std::chrono::seconds(1)).count(),
                   .max = std::chrono::nanoseconds(std::chrono::seconds(5)).count()}}};
  const auto read = [&](const std::string& text) {
    std::vector<Diagnostic> diagnostics;
    const Value value = read_document("a.yaml", text, diagnostics);
    Report report{"a.yaml", Strictness::Apply, diagnostics};
    Reader(report, value, "").options(kind);
    return told(diagnostics);
  };
  EXPECT_EQ(read("{ports: 9, pause: 5s}"), "");
  EXPECT_EQ(read("{ports: 10, pause: 6s}"),
            "a.yaml:1:9: ports: '10' does not fit (expected a whole number from 1 to 9)\n"
            "a.yaml:1:20: pause: '6s' does not fit (expected a duration from 1s to 5s)\n");
}

}  // namespace
}  // namespace fettle::spec
