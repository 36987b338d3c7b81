// Every tests/raft/stories/*.txt is a test of its name: its commands give exactly its trace, and
// the invariants hold throughout. `raft_stories_test --rewrite` puts the traces that come out into
// the files; read the change before you keep it (docs/stories.md).
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "tests/raft/story.h"

namespace fettle::raft::story {
namespace {

bool rewriting = false;

std::filesystem::path folder() {
  return std::filesystem::path(FETTLE_SOURCE_DIR) / "tests/raft/stories";
}

std::vector<std::string> names() {
  std::vector<std::string> found;
  for (const auto& file : std::filesystem::directory_iterator(folder())) {
    if (file.path().extension() == ".txt") found.push_back(file.path().stem());
  }
  std::ranges::sort(found);
  return found;
}

std::string read(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class Stories : public testing::TestWithParam<std::string> {};

TEST_P(Stories, GoesAsWritten) {
  const std::filesystem::path path = folder() / (GetParam() + ".txt");
  const std::string text = read(path);
  const Story expected = parse(text);
  EXPECT_GE(expected.comment.size(), 2U) << "a story says first what it shows";
  ASSERT_FALSE(expected.blocks.empty());
  const Outcome outcome = play(expected);
  EXPECT_EQ(outcome.broken, "");
  if (rewriting) {
    std::ofstream(path) << print(outcome.story);
    return;
  }
  EXPECT_EQ(differences(expected, outcome.story), "");
  EXPECT_EQ(print(expected), text) << "the file's form; --rewrite sets it right";
}

INSTANTIATE_TEST_SUITE_P(Raft, Stories, testing::ValuesIn(names()),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace fettle::raft::story

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--rewrite") {
      fettle::raft::story::rewriting = true;
#ifdef FETTLE_MUTANTS
    } else if (word == "--mutant" && i + 1 < argc) {
      fettle::enable_mutant(argv[++i]);
#endif
    } else {
      std::cerr << "unknown argument " << word << "\n";
      return 2;
    }
  }
  return RUN_ALL_TESTS();
}
