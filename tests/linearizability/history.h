// A history as JSON lines, one operation a line; docs/nemesis.md has the format. Pure: text in,
// operations out.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "tests/support/linearizability.h"

namespace fettle::linearizability {

struct Line {
  std::string key;
  Operation operation;
  bool failed = false;  // a definite failure: nothing happened, it is no part of the history
};

/// Values are kept as canonical JSON text. Errors say what is wrong with the line, not where it is.
Result<Line> parse_line(std::string_view text);

}  // namespace fettle::linearizability
