// Broken at random: whatever is done to a good file, parsing it never crashes, is repeatable, and
// gives either something usable or what is wrong with it, never both and never neither.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/rng.h"
#include "tests/spec/spec_files.h"

namespace fettle::spec {
namespace {

constexpr std::chrono::milliseconds kFor(1500);
constexpr std::uint64_t kFirstSeed = 1;

std::vector<std::string> good_and_bad_texts() {
  std::vector<std::string> texts;
  for (const char* folder : {"data", "bad"}) {
    for (const auto& entry : std::filesystem::directory_iterator(kTestFolder + folder)) {
      texts.push_back(read_whole(entry.path()));
    }
  }
  std::ranges::sort(texts);
  return texts;
}

std::size_t place_in(Rng& rng, const std::string& text) { return rng.between(0, text.size()); }

void mutate(Rng& rng, std::string& text, const std::vector<std::string>& texts) {
  static const std::vector<std::string> pieces{"[",
                                               "]",
                                               "{",
                                               "}",
                                               ": ",
                                               "- ",
                                               "\n",
                                               "\t",
                                               "  ",
                                               "\"",
                                               "'",
                                               "#",
                                               "&a ",
                                               "*a",
                                               "!x ",
                                               "|\n",
                                               ">\n",
                                               "? ",
                                               "---\n",
                                               "...\n",
                                               "%YAML 1.2\n",
                                               "<<: ",
                                               "~",
                                               "${",
                                               "$$",
                                               ",",
                                               "\\",
                                               std::string(1, '\0'),
                                               "\xff",
                                               "\xef\xbb\xbf",
                                               "99999999999999999999",
                                               "-1",
                                               "1e9",
                                               "name: ",
                                               "kind: ",
                                               "\r\n",
                                               "é",
                                               "\x7f",
                                               "@",
                                               "`"};
  const std::size_t at = place_in(rng, text);
  const std::size_t few = std::min<std::size_t>(rng.between(1, 40), text.size() - at);
  switch (rng.between(0, 6)) {
    case 0:
      text.erase(at, few);
      break;
    case 1:
      text.insert(at, pieces[rng.between(0, pieces.size() - 1)]);
      break;
    case 2:
      text.insert(place_in(rng, text), text.substr(at, few));
      break;
    case 3:
      text.resize(at);
      break;
    case 4:
      if (at < text.size()) text[at] = static_cast<char>(rng.between(0, 255));
      break;
    case 5: {
      const std::string& other = texts[rng.between(0, texts.size() - 1)];
      text.insert(at, other.substr(place_in(rng, other), rng.between(1, 200)));
      break;
    }
    default:
      if (at < text.size()) text.replace(at, few, pieces[rng.between(0, pieces.size() - 1)]);
  }
}

/// Places stand within the file; counts keep their bound.
void expect_sound(const std::vector<Diagnostic>& diagnostics, const std::string& text) {
  const auto lines = std::ranges::count(text, '\n') + std::ranges::count(text, '\r') + 2;
  EXPECT_LE(diagnostics.size(), kDiagnosticsMax);
  for (const Diagnostic& one : diagnostics) {
    EXPECT_GE(one.line, 1) << to_string(one);
    EXPECT_LE(one.line, lines) << to_string(one);
    EXPECT_GE(one.column, 1) << to_string(one);
    EXPECT_FALSE(one.message.empty()) << to_string(one);
  }
}

TEST(Mutations, NeverCrashAndNeverSayBothYesAndNo) {
  const std::vector<std::string> texts = good_and_bad_texts();
  const auto end = std::chrono::steady_clock::now() + kFor;
  std::uint64_t usable = 0, refused = 0;
  for (std::uint64_t seed = kFirstSeed; std::chrono::steady_clock::now() < end && !HasFailure();
       ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    std::string text = texts[rng.between(0, texts.size() - 1)];
    for (std::uint64_t i = rng.between(1, 6); i > 0; --i) mutate(rng, text, texts);
    for (const Strictness strictness : {Strictness::Syntax, Strictness::Apply}) {
      const Parsed parsed = parse_text(text, strictness);
      EXPECT_NE(parsed.spec.has_value(), !parsed.diagnostics.empty()) << text;
      EXPECT_EQ(told(parse_text(text, strictness).diagnostics), told(parsed.diagnostics)) << text;
      expect_sound(parsed.diagnostics, text);
      ++(parsed.spec ? usable : refused);
    }
    const ParsedMember member = parse_member({"fettled.yaml", text}, "gpu1");
    EXPECT_NE(member.member.has_value(), !member.diagnostics.empty()) << text;
    expect_sound(member.diagnostics, text);
  }
  EXPECT_GT(usable, 0U) << "some mutations do no harm";
  EXPECT_GT(refused, 0U) << "some do";
}

}  // namespace
}  // namespace fettle::spec
