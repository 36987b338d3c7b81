// Diagnostic: one thing that is wrong in a file, with its place, what was expected and the nearest
// known word. All of a file's are reported in one go.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fettle::spec {

/// More than this many are cut off: the first ones are what a person mends.
inline constexpr std::size_t kDiagnosticsMax = 100;

struct Diagnostic {
  std::string file;
  int line = 0;
  int column = 0;
  std::string path;  // in the document: services[0].nodes[1].address
  std::string message;
  std::string expected;
  std::string did_you_mean;
};

/// `file:line:column: path: message (expected …; did you mean "x"?)`.
std::string to_string(const Diagnostic& diagnostic);

/// In the order of `files`, then from top to bottom.
void sort_by_place(const std::vector<std::string>& files, std::vector<Diagnostic>& diagnostics);

/// The known word nearest to `word`, if it is near enough to be a slip; else empty.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace fettle::spec
