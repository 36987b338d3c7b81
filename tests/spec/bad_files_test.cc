// Every file in tests/spec/bad is wrong, and says in its own comments what must be told about it:
//   # expect: LINE:COLUMN: path: part of the message ... a further part
// One comment a diagnostic, in the order they come; nothing else may come. Files member_*.yaml are
// member files, the others spec files.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "tests/spec/spec_files.h"

namespace fettle::spec {
namespace {

constexpr std::string_view kMark = "# expect: ";

std::vector<std::string> expectations(const std::string& text) {
  std::vector<std::string> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(kMark)) found.push_back(line.substr(kMark.size()));
  }
  return found;
}

std::vector<std::filesystem::path> bad_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(kTestFolder + "bad")) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

bool is_member_file(const std::filesystem::path& path) {
  return path.filename().string().starts_with("member_");
}

/// Place and path exactly, then every part of the message in order.
bool fits(const Diagnostic& told_one, std::string_view expected) {
  const std::string place = std::to_string(told_one.line) + ":" + std::to_string(told_one.column) +
                            ": " + (told_one.path.empty() ? "" : told_one.path + ": ");
  if (!expected.starts_with(place)) return false;
  expected.remove_prefix(place.size());
  const std::string whole = to_string(told_one);
  std::size_t at = told_one.file.size() + 1 + place.size();
  while (!expected.empty()) {
    const std::size_t dots = expected.find(" ... ");
    const std::string_view part = expected.substr(0, dots);
    const std::size_t found = whole.find(part, at);
    if (part.empty() || found == std::string::npos) return false;
    at = found + part.size();
    expected = dots == std::string_view::npos ? std::string_view() : expected.substr(dots + 5);
  }
  return true;
}

TEST(BadFiles, AreMany) { EXPECT_GE(bad_files().size(), 48U); }

TEST(BadFiles, TellExactlyWhatIsWrongWithThem) {
  for (const auto& path : bad_files()) {
    SCOPED_TRACE(path.filename().string());
    const core::SourceFile file{path.filename().string(), read_whole(path)};
    std::vector<Diagnostic> found;
    bool usable = false;
    if (is_member_file(path)) {
      ParsedMember parsed = parse_member(file, "gpu1");
      usable = parsed.member.has_value();
      found = std::move(parsed.diagnostics);
    } else {
      Parsed parsed = parse({file}, Strictness::Apply);
      usable = parsed.spec.has_value();
      found = std::move(parsed.diagnostics);
    }
    const std::vector<std::string> expected = expectations(file.text);
    EXPECT_FALSE(usable);
    EXPECT_FALSE(expected.empty()) << "the file expects nothing";
    EXPECT_EQ(found.size(), expected.size()) << told(found);
    for (std::size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
      EXPECT_TRUE(fits(found[i], expected[i]))
          << "told:     " << to_string(found[i]) << "\nexpected: " << expected[i];
    }
  }
}

TEST(BadFiles, AreAsWrongForTheLanguageAloneSaveForWhatComesLater) {
  for (const auto& path : bad_files()) {
    if (is_member_file(path)) continue;
    SCOPED_TRACE(path.filename().string());
    const core::SourceFile file{path.filename().string(), read_whole(path)};
    std::vector<Diagnostic> strict = parse({file}, Strictness::Apply).diagnostics;
    std::erase_if(strict, [](const Diagnostic& one) { return one.message == "not supported yet"; });
    EXPECT_EQ(told(parse({file}, Strictness::Syntax).diagnostics), told(strict));
  }
}

}  // namespace
}  // namespace fettle::spec
