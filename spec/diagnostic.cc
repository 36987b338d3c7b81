#include "spec/diagnostic.h"

#include <algorithm>
#include <numeric>

namespace fettle::spec {
namespace {

/// Edits (insert, delete, replace) that turn one word into the other (Levenshtein 1966).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string to_string(const Diagnostic& d) {
  std::string text = d.file + ":" + std::to_string(d.line) + ":" + std::to_string(d.column) + ": ";
  if (!d.path.empty()) text += d.path + ": ";
  text += d.message;
  if (d.expected.empty() && d.did_you_mean.empty()) return text;
  text += " (";
  if (!d.expected.empty()) text += "expected " + d.expected;
  if (!d.did_you_mean.empty()) {
    text += (d.expected.empty() ? "" : "; ") + ("did you mean \"" + d.did_you_mean + "\"?");
  }
  return text + ")";
}

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  constexpr std::size_t kWordMax = 64;
  if (word.size() > kWordMax) return "";
  std::string best;
  std::size_t least = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t edits = distance(word, candidate);
    if (edits < least) {
      least = edits;
      best = candidate;
    }
  }
  return best;
}

}  // namespace fettle::spec
