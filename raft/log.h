// Log: the entries in memory, contiguous from `first`. Owns nothing on disk. Index 0 stands before
// the first entry and has term 0.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/check.h"
#include "raft/messages.h"

namespace fettle::raft {

class Log {
 public:
  explicit Log(std::vector<Entry> entries) : entries_(std::move(entries)) {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      FETTLE_ASSERT_MSG(entries_[i].index.value == i + 1, "the log has no gaps");
    }
  }

  Index last_index() const { return Index{entries_.size()}; }
  Term last_term() const { return entries_.empty() ? Term{} : entries_.back().term; }
  bool contains(Index index) const { return index.value <= entries_.size(); }
  /// The term of the entry at `index` (0 for index 0). It must be in the log.
  Term term_at(Index index) const {
    if (index.value == 0) return Term{};
    return at(index).term;
  }
  const Entry& at(Index index) const {
    FETTLE_ASSERT(index.value >= 1 && index.value <= entries_.size());
    return entries_[index.value - 1];
  }
  bool matches(Index index, Term term) const { return contains(index) && term_at(index) == term; }
  void append(Entry entry) {
    FETTLE_ASSERT(entry.index.value == entries_.size() + 1);
    entries_.push_back(std::move(entry));
  }
  void truncate_from(Index index) {
    FETTLE_ASSERT(index.value >= 1);
    if (index.value <= entries_.size()) entries_.resize(index.value - 1);
  }
  /// True if a log that ends with (index, term) is at least as up to date as this one (5.4.1).
  bool up_to_date(Index index, Term term) const {
    return term > last_term() || (term == last_term() && index >= last_index());
  }
  /// The largest index ≤ `index` whose term is ≤ `term`: where two logs may agree.
  Index last_not_after(Index index, Term term) const {
    Index found = std::min(index, last_index());
    while (found.value > 0 && term_at(found) > term) --found.value;
    return found;
  }
  /// Entries from `from` on, until `bytes_max` is passed (at least one, if there is one).
  std::vector<Entry> slice(Index from, std::size_t bytes_max) const {
    std::vector<Entry> found;
    std::size_t bytes = 0;
    for (std::uint64_t i = from.value; i <= entries_.size(); ++i) {
      const Entry& entry = entries_[i - 1];
      if (!found.empty() && bytes + entry.data.size() > bytes_max) break;
      bytes += entry.data.size();
      found.push_back(entry);
    }
    return found;
  }

 private:
  std::vector<Entry> entries_;
};

}  // namespace fettle::raft
