// Log: the entries in memory, contiguous after `base`, which compaction moves up. Owns nothing on
// disk. Index 0 stands before the first entry and has term 0.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "raft/messages.h"

namespace fettle::raft {

class Log {
 public:
  /// What a store holds: a snapshot up to `index`^`term`, and entries that begin at most one after
  /// it. If they begin earlier, they are what compaction left for slow followers.
  Log(Index index, Term term, std::vector<Entry> entries)
      : base_(index),
        base_term_(term),
        entries_(std::make_move_iterator(entries.begin()), std::make_move_iterator(entries.end())) {
    if (entries_.empty()) return;
    const Index first = entries_.front().index;
    FETTLE_ASSERT_MSG(first.value > 0 && first <= next(index), "the log follows its snapshot");
    FETTLE_ASSERT_MSG(entries_.back().index >= index, "the log reaches its snapshot");
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      FETTLE_ASSERT_MSG(entries_[i].index.value == first.value + i, "the log has no gaps");
    }
    if (first > index) return;
    base_ = Index{first.value - 1};
    base_term_.reset();
    if (base_.value == 0) base_term_ = Term{};
    FETTLE_ASSERT_MSG(matches(index, term), "the log agrees with its snapshot");
  }

  /// The entry before the first; it and everything before are gone.
  Index base() const { return base_; }
  Index last_index() const { return Index{base_.value + entries_.size()}; }
  Term last_term() const { return entries_.empty() ? *base_term_ : entries_.back().term; }
  bool contains(Index index) const { return index > base_ && index <= last_index(); }
  /// The term of the entry at `index`; none: it is compacted, or not there yet.
  std::optional<Term> term_at(Index index) const {
    if (index == base_) return base_term_;
    if (!contains(index)) return std::nullopt;
    return at(index).term;
  }
  const Entry& at(Index index) const {
    FETTLE_ASSERT(contains(index));
    return entries_[index.value - base_.value - 1];
  }
  bool matches(Index index, Term term) const { return term_at(index) == term; }
  void append(Entry entry) {
    FETTLE_ASSERT(entry.index == next(last_index()));
    entries_.push_back(std::move(entry));
  }
  void truncate_from(Index index) {
    FETTLE_ASSERT(index > base_);
    while (last_index() >= index) entries_.pop_back();
  }
  /// Drops everything up to `index`, whose entry must be there.
  void compact_to(Index index) {
    if (index <= base_) return;
    base_term_ = at(index).term;
    const auto gone = static_cast<std::ptrdiff_t>(index.value - base_.value);
    entries_.erase(entries_.begin(), entries_.begin() + gone);
    base_ = index;
  }
  /// Drops all; the next entry follows `index`^`term`.
  void reset(Index index, Term term) {
    entries_.clear();
    base_ = index;
    base_term_ = term;
  }
  /// True if a log that ends with (index, term) is at least as up to date as this one (5.4.1).
  bool up_to_date(Index index, Term term) const {
    return term > last_term() || (term == last_term() && index >= last_index());
  }
  /// The largest index ≤ `index` whose term is ≤ `term`: where two logs may agree. The base if
  /// none is known.
  Index last_not_after(Index index, Term term) const {
    Index found = std::min(index, last_index());
    while (found > base_ && at(found).term > term) --found.value;
    return found;
  }
  /// What may go so that of the entries up to `index` only the newest stay, within both bounds.
  Index tail_begins_after(Index index, std::size_t entries_max, std::size_t bytes_max) const {
    std::size_t entries = 0, bytes = 0;
    for (; index > base_; --index.value) {
      bytes += at(index).data.size();
      if (++entries > entries_max || bytes > bytes_max) break;
    }
    return index;
  }
  /// Entries from `from` on, until `bytes_max` is passed (at least one, if there is one).
  std::vector<Entry> slice(Index from, std::size_t bytes_max) const {
    std::vector<Entry> found;
    std::size_t bytes = 0;
    for (Index i = from; i <= last_index(); i = next(i)) {
      const Entry& entry = at(i);
      if (!found.empty() && bytes + entry.data.size() > bytes_max) break;
      bytes += entry.data.size();
      found.push_back(entry);
    }
    return found;
  }

 private:
  Index base_;
  std::optional<Term> base_term_;  // none: not known after a start
  std::deque<Entry> entries_;
};

}  // namespace fettle::raft
