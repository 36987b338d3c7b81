// Rules of the house as functions on a file's text: what is wrong with it, a line each.
// tidy_test.cc shows for each that it can fail, and then holds every file of ours against them.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

namespace fettle::tidy {

struct File {
  std::string path;  // from the project's root
  std::string text;
};

using Findings = std::vector<std::string>;

/// Which folders each folder may include (besides itself and base), as architecture.md's table
/// says.
using Arrows = std::map<std::string, std::set<std::string>>;

/// Reads the table of folders out of docs/architecture.md.
Arrows arrows_of(const std::string& architecture);

Findings check_includes(const File& file, const Arrows& arrows);
/// Foreign headers only where they belong.
Findings check_foreign_headers(const File& file);
/// base, core and raft: no clock, socket, file, thread, logger, randomness or environment.
Findings check_pure(const File& file);
Findings check_header(const File& file);
Findings check_size(const File& file);
/// Words that do not belong in a project that speaks of itself alone.
Findings check_words(const File& file);

}  // namespace fettle::tidy
