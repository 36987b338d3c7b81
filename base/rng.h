// Rng: a small seeded generator (splitmix64, Steele et al. 2014). Chance is always an argument.
#pragma once

#include <cstdint>

namespace fettle {

class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31U);
  }
  /// A number in [low, high]; both ends included.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return low + next() % (high - low + 1);
  }
  /// True in `percent` of 100 cases.
  bool chance(std::uint64_t percent) { return next() % 100 < percent; }
  /// An independent generator: a child's draws do not shift the parent's.
  Rng split() { return Rng{next()}; }

 private:
  std::uint64_t state_;
};

}  // namespace fettle
