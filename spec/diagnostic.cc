#include "spec/diagnostic.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

namespace fettle::spec {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Slips (insert, delete, replace, swap of neighbours) that turn one word into the other (optimal
/// string alignment, after Damerau 1964); capitals do not count.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before, above, row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(above, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0U : 1U)});
      const bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                           lower(a[i - 2]) == lower(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
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

void sort_by_place(const std::vector<std::string>& files, std::vector<Diagnostic>& diagnostics) {
  std::map<std::string_view, std::size_t> position;
  for (const std::string& file : files) position.emplace(file, position.size());
  std::ranges::stable_sort(diagnostics, {}, [&](const Diagnostic& one) {
    return std::tuple(position[one.file], one.line, one.column);
  });
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
