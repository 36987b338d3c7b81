#include "tests/raft/story.h"

#include <algorithm>
#include <cstddef>
#include <sstream>

#include "tests/raft/story_group.h"

namespace fettle::raft::story {
namespace {

const std::string kRule = "----";

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool is_comment(const std::string& line) { return line.starts_with("#"); }

/// The longest common subsequence of the two, as lengths of what is left from (i, j) on.
std::vector<std::vector<std::size_t>> common(const std::vector<std::string>& a,
                                             const std::vector<std::string>& b) {
  std::vector lengths(a.size() + 1, std::vector<std::size_t>(b.size() + 1, 0));
  for (std::size_t i = a.size(); i-- > 0;) {
    for (std::size_t j = b.size(); j-- > 0;) {
      lengths[i][j] =
          a[i] == b[j] ? lengths[i + 1][j + 1] + 1 : std::max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  return lengths;
}

std::string diff(const std::vector<std::string>& expected, const std::vector<std::string>& actual) {
  const auto left = common(expected, actual);
  std::string text;
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < expected.size() || j < actual.size()) {
    const bool both = i < expected.size() && j < actual.size();
    if (both && expected[i] == actual[j]) {
      text += "    " + expected[i] + "\n";
      ++i, ++j;
    } else if (j == actual.size() || (both && left[i + 1][j] >= left[i][j + 1])) {
      text += "  - " + expected[i++] + "\n";
    } else {
      text += "  + " + actual[j++] + "\n";
    }
  }
  return text;
}

}  // namespace

Story parse(const std::string& text) {
  Story story;
  Block block;
  bool in_trace = false;
  for (const std::string& line : lines_of(text)) {
    const bool starting = story.blocks.empty() && block.head.empty() && !in_trace;
    if (starting && is_comment(line)) {
      story.comment.push_back(line);
    } else if (line == kRule && !in_trace) {
      in_trace = true;
    } else if (!line.empty()) {
      (in_trace ? block.trace : block.head).push_back(line);
    } else if (in_trace) {
      story.blocks.push_back(std::move(block));
      block = {};
      in_trace = false;
    }
  }
  if (!block.head.empty() || in_trace) story.blocks.push_back(std::move(block));
  return story;
}

std::string print(const Story& story) {
  std::string text;
  for (const std::string& line : story.comment) text += line + "\n";
  for (const Block& block : story.blocks) {
    text += "\n";
    for (const std::string& line : block.head) text += line + "\n";
    text += kRule + "\n";
    for (const std::string& line : block.trace) text += line + "\n";
  }
  return text;
}

Outcome play(const Story& story) {
  Outcome outcome{story, ""};
  Group group;
  for (Block& block : outcome.story.blocks) {
    block.trace.clear();
    for (const std::string& line : block.head) {
      if (is_comment(line) || !outcome.broken.empty()) continue;
      for (std::string& fact : lines_of(group.run(line))) block.trace.push_back(std::move(fact));
      if (!group.broken().empty()) outcome.broken = "at `" + line + "`: " + group.broken();
    }
  }
  return outcome;
}

std::string differences(const Story& expected, const Story& actual) {
  std::string text;
  for (std::size_t i = 0; i < actual.blocks.size(); ++i) {
    const Block& block = actual.blocks[i];
    if (expected.blocks[i].trace == block.trace) continue;
    for (const std::string& line : block.head) text += line + "\n";
    text += diff(expected.blocks[i].trace, block.trace) + "\n";
  }
  return text;
}

}  // namespace fettle::raft::story
