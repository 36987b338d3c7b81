#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tidy/rules.h"

namespace fettle::tidy {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// The project's own files with one of these endings, outside of what builds and installs make.
std::vector<File> files(const std::vector<std::string>& endings) {
  static const std::array kNotOurs{"build", "node_modules", ".git", ".cache"};
  std::vector<File> all;
  const fs::path root = FETTLE_SOURCE_DIR;
  for (auto at = fs::recursive_directory_iterator(root); at != fs::recursive_directory_iterator();
       ++at) {
    const std::string name = at->path().filename().string();
    if (at->is_directory() && std::ranges::find(kNotOurs, name) != kNotOurs.end()) {
      at.disable_recursion_pending();
    }
    if (!at->is_regular_file()) continue;
    const bool wanted =
        std::ranges::any_of(endings, [&](const std::string& end) { return name.ends_with(end); });
    if (wanted) all.push_back({fs::relative(at->path(), root).string(), read(at->path())});
  }
  return all;
}

std::vector<File> sources() { return files({".h", ".cc", ".inc"}); }

bool is_test(const File& file) { return file.path.starts_with("tests/"); }

Arrows arrows() { return arrows_of(read(fs::path(FETTLE_SOURCE_DIR) / "docs/architecture.md")); }

void expect_none(const Findings& found) {
  for (const std::string& one : found) ADD_FAILURE() << one;
}

TEST(Tidy, EachRuleCanFail) {
  const Arrows table = arrows();
  EXPECT_EQ(check_includes({"core/a.h", "#include \"io/loop.h\"\n"}, table).size(), 1U);
  EXPECT_EQ(check_includes({"probes/a.cc", "#include \"actions/action.h\"\n"}, table).size(), 1U);
  EXPECT_EQ(check_includes({"util/a.cc", ""}, table).size(), 1U);
  EXPECT_EQ(check_foreign_headers({"core/a.h", "#include <uv.h>\n"}).size(), 1U);
  EXPECT_EQ(check_foreign_headers({"api/a.h", "#include <yaml-cpp/yaml.h>\n"}).size(), 1U);
  EXPECT_EQ(check_pure({"raft/a.cc", "#include <thread>\n"}).size(), 1U);
  EXPECT_EQ(check_pure({"core/a.cc", "auto t = std::chrono::steady_clock::now();\n"}).size(), 1U);
  EXPECT_EQ(check_header({"core/a.h", "#include <string>\n"}).size(), 2U);
  EXPECT_EQ(check_size({"core/a.cc", std::string(101, 'x') + "\n"}).size(), 1U);
  std::string long_file;
  for (int i = 0; i < 501; ++i) long_file += '\n';
  EXPECT_EQ(check_size({"core/a.cc", long_file}).size(), 1U);
  EXPECT_EQ(check_words({"docs/a.md", std::string("TO") + "DO: later\n"}).size(), 1U);
}

TEST(Tidy, TheTableOfFoldersIsReadFromTheDocumentation) {
  const Arrows table = arrows();
  EXPECT_EQ(table.at("api"), (std::set<std::string>{"core", "io"}));
  EXPECT_TRUE(table.at("raft").contains("–") && table.at("raft").size() == 1U);
  for (const char* folder : {"base", "core", "raft", "spec", "io", "store", "directors", "probes",
                             "actions", "alerts", "api", "cli", "daemon"}) {
    EXPECT_TRUE(table.contains(folder)) << folder;
  }
}

TEST(Tidy, IncludesPointOneWay) {
  const Arrows table = arrows();
  for (const File& file : sources()) {
    if (!is_test(file)) expect_none(check_includes(file, table));
  }
}

TEST(Tidy, ForeignHeadersStayAtHome) {
  for (const File& file : sources()) {
    if (!is_test(file)) expect_none(check_foreign_headers(file));
  }
}

TEST(Tidy, TheCoreIsPure) {
  for (const File& file : sources()) expect_none(check_pure(file));
}

TEST(Tidy, HeadersSayWhatTheyAre) {
  for (const File& file : sources()) expect_none(check_header(file));
}

TEST(Tidy, FilesAreSmall) {
  for (const File& file : sources()) expect_none(check_size(file));
}

TEST(Tidy, TheProjectSpeaksOfItselfAlone) {
  for (const File& file :
       files({".h", ".cc", ".inc", ".md", ".js", ".sh", ".txt", ".cmake", ".yaml"})) {
    expect_none(check_words(file));
  }
}

TEST(Tidy, TheMapNamesFilesThatExist) {
  const fs::path root = FETTLE_SOURCE_DIR;
  const std::string map = read(root / "docs/architecture.md");
  std::size_t named = 0;
  for (std::size_t open = map.find('`'); open != std::string::npos;) {
    const std::size_t close = map.find('`', open + 1);
    const std::string word = map.substr(open + 1, close - open - 1);
    open = map.find('`', close + 1);
    if (!word.ends_with(".cc") && !word.ends_with(".h")) continue;
    ++named;
    EXPECT_TRUE(fs::exists(root / word)) << word;
  }
  EXPECT_GT(named, 20U);
}

TEST(Tidy, EachKindIsOneFileAndOneEntry) {
  for (const char* folder : {"probes", "directors", "alerts"}) {
    const std::string table = read(fs::path(FETTLE_SOURCE_DIR) / folder / "kinds.inc");
    for (std::size_t at = table.find("FETTLE_KIND("); at != std::string::npos;
         at = table.find("FETTLE_KIND(", at + 1)) {
      const std::size_t from = at + std::string("FETTLE_KIND(").size();
      if (table.substr(from, 10).starts_with("identifier")) continue;
      const std::string kind = table.substr(from, table.find(',', from) - from);
      EXPECT_TRUE(fs::exists(fs::path(FETTLE_SOURCE_DIR) / folder / (kind + ".cc")))
          << folder << " " << kind;
    }
  }
}

}  // namespace
}  // namespace fettle::tidy
