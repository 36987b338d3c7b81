// The arithmetic of majorities, alone and testable.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

namespace fettle::raft {

constexpr std::size_t majority_of(std::size_t voters) { return voters / 2 + 1; }

/// The largest value that a majority of `values` (one a voter) has reached. Never empty.
template <typename T>
T reached_by_majority(std::vector<T> values) {
  std::ranges::sort(values, std::greater<T>{});
  return values[majority_of(values.size()) - 1];
}

}  // namespace fettle::raft
