// JSON shown as YAML reads back as the same thing, whatever stands in it.
#include "spec/emit.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "spec/document.h"

namespace fettle::spec {
namespace {

using nlohmann::json;

/// What our own reader of YAML sees, as JSON: texts that were quoted or read as nothing else are
/// texts; numbers and flags are what JSON would make of them.
json as_json(const Value& value) {
  switch (value.kind) {
    case Value::Kind::Null:
      return nullptr;
    case Value::Kind::List: {
      json list = json::array();
      for (const Value& item : value.list) list.push_back(as_json(item));
      return list;
    }
    case Value::Kind::Map: {
      json map = json::object();
      for (const Value::Entry& entry : value.map) map[entry.key] = as_json(entry.value);
      return map;
    }
    case Value::Kind::Scalar:
      break;
  }
  if (value.quoted) return value.text;
  const json read = json::parse(value.text, nullptr, false);
  return read.is_number() || read.is_boolean() ? read : json(value.text);
}

void expect_same(const json& document) {
  const std::string yaml = yaml_of_json(document.dump());
  std::vector<Diagnostic> diagnostics;
  const Value back = read_document("out.yaml", yaml, diagnostics);
  ASSERT_TRUE(diagnostics.empty()) << to_string(diagnostics[0]) << "\n" << yaml;
  EXPECT_EQ(as_json(back), document) << yaml;
}

TEST(Emit, IsBlockStyleThatPeopleRead) {
  EXPECT_EQ(yaml_of_json(
                R"({"name":"chat-a","healthy":2,"nodes":[{"name":"a"},{"name":"b"}],"none":null})"),
            "name: chat-a\n"
            "healthy: 2\n"
            "nodes:\n"
            "  - name: a\n"
            "  - name: b\n"
            "none: ~");
}

TEST(Emit, QuotesWhatWouldReadAsSomethingElse) {
  for (const char* text :
       {"1",    "1.5",  "1e3",  "0x10", "true",       "Yes",      "no",   "on",   "OFF",   "null",
        "~",    "",     " ",    "a ",   " a",         "- a",      "a: b", "a #b", "#a",    "&a",
        "*a",   "!a",   "%a",   "@a",   "`a",         "{a}",      "[a]",  "'a'",  "\"a\"", "a\nb",
        "a\tb", "a\\b", ".inf", ".nan", "2026-11-24", "12:30:45", "ä€😀", "=",    "<<",    "---",
        "...",  "?",    "|",    ">",    "\x01",       "\x7f"}) {
    SCOPED_TRACE(text);
    expect_same({{"value", text}, {"list", {text, text}}});
  }
}

TEST(Emit, KeepsEmptyListsAndMapsAndDeepOnes) {
  expect_same({{"list", json::array()},
               {"map", json::object()},
               {"deep", {{{{"a", {{1, 2}, json::array()}}}}}}});
  expect_same(json::array({json::array(), json::object(), json::array({json::array({1})})}));
}

TEST(Emit, KeepsStrangeKeys) {
  expect_same(
      {{"true", 1}, {"1", 2}, {"a: b", 3}, {"#", 4}, {"", 5}, {"a\nb", 6}, {"- x", 7}, {"~", 8}});
}

TEST(Emit, LeavesAsJsonWhatItCannotShow) {
  const std::string text = json({{std::string(2000, 'k'), 1}}).dump();
  EXPECT_EQ(yaml_of_json(text), text);
}

TEST(Emit, KeepsTheOrderOfTheKeys) {
  EXPECT_EQ(yaml_of_json(R"({"z":1,"a":2,"m":3})"), "z: 1\na: 2\nm: 3");
}

TEST(Emit, KeepsRandomDocuments) {
  constexpr int kDocuments = 2000;
  const std::string letters = "ab1-: #'\"\n\\{}[],&*!|>%@`~?.é";
  Rng rng(7);
  const auto text = [&] {
    std::string made;
    for (std::uint64_t i = rng.between(0, 6); i > 0; --i)
      made += letters[rng.between(0, letters.size() - 3)];
    return made;
  };
  for (int i = 0; i < kDocuments && !HasFailure(); ++i) {
    SCOPED_TRACE(i);
    json inner = json::object();
    for (std::uint64_t n = rng.between(0, 4); n > 0; --n) inner[text()] = text();
    expect_same(
        {{"a", inner}, {text() + "x", {text(), inner, rng.between(0, 99), rng.chance(50)}}});
  }
}

}  // namespace
}  // namespace fettle::spec
