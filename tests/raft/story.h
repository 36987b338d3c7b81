// Story: a file of commands with the trace that they must give (tests/raft/stories/*.txt,
// docs/stories.md). A block is commands, a line `----`, and the trace up to an empty line; lines
// that begin with `#` are for the reader.
#pragma once

#include <string>
#include <vector>

namespace fettle::raft::story {

struct Block {
  std::vector<std::string> head;   // comments and commands, as they stand in the file
  std::vector<std::string> trace;  // what stands after `----`
};
struct Story {
  std::vector<std::string> comment;  // the first lines: which rule, its source, what proves it
  std::vector<Block> blocks;
};

Story parse(const std::string& text);
std::string print(const Story& story);

struct Outcome {
  Story story;         // with the trace as it came out now
  std::string broken;  // empty: every line was understood and every invariant held
};
/// Tells the story anew.
Outcome play(const Story& story);

/// The lines that differ, with `-` expected and `+` come out, and where; empty: none.
std::string differences(const Story& expected, const Story& actual);

}  // namespace fettle::raft::story
