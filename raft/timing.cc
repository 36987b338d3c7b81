#include "raft/timing.h"

#include <algorithm>

#include "raft/quorum.h"

namespace fettle::raft {
namespace {

using std::chrono::milliseconds;

constexpr std::array<Instant, 7> kElectionTimeouts{
    TimingChooser::kElectionMin, milliseconds(500),  milliseconds(800),          milliseconds(1200),
    milliseconds(2000),          milliseconds(3200), TimingChooser::kElectionMax};
constexpr std::array<Instant, 7> kStaggers{
    Timing{}.evidence_stagger, milliseconds(50),  milliseconds(100), milliseconds(200),
    milliseconds(400),         milliseconds(800), milliseconds(1500)};
static_assert(TimingChooser::kElectionMin == Timing{}.heartbeat * 5);

}  // namespace

void RoundTrips::add(Instant took) {
  newest_[count_ % kKept] = took;
  ++count_;
}

std::optional<Instant> RoundTrips::typical() const {
  if (count_ < kLeast) return std::nullopt;
  auto known = newest_;
  const auto size = static_cast<std::ptrdiff_t>(std::min(count_, kKept));
  const auto middle = known.begin() + size / 2;
  std::nth_element(known.begin(), middle, known.begin() + size);
  return *middle;
}

Instant Steps::look(Instant now, Instant wanted) {
  const auto found = std::ranges::find_if(values_, [&](Instant one) { return one >= wanted; });
  const auto fits = std::min(static_cast<std::size_t>(found - values_.begin()), values_.size() - 1);
  if (fits >= at_) {
    at_ = fits;
    enough_since_.reset();
  } else if (!enough_since_) {
    enough_since_ = now;
  } else if (now - *enough_since_ >= TimingChooser::kShrinkAfter) {
    --at_;
    enough_since_ = now;
  }
  return values_[at_];
}

TimingChooser::TimingChooser(std::optional<Timing> set)
    : is_set_(set.has_value()),
      timing_(set.value_or(Timing{})),
      election_(kElectionTimeouts),
      stagger_(kStaggers) {}

Timing TimingChooser::look(Instant now, std::optional<Instant> farthest) {
  if (!farthest) return timing_;
  timing_.evidence_stagger = stagger_.look(now, *farthest * kStaggerRoundTrips);
  if (!is_set_) timing_.election_timeout = election_.look(now, *farthest * kElectionRoundTrips);
  return timing_;
}

std::optional<Instant> quorum_round_trip(bool own_vote,
                                         const std::vector<std::optional<Instant>>& others) {
  std::vector<Instant> known(own_vote ? 1 : 0, Instant{0});
  for (const auto& one : others) {
    if (one) known.push_back(*one);
  }
  const std::size_t needed = majority_of(others.size() + (own_vote ? 1 : 0));
  if (known.size() < needed) return std::nullopt;
  std::ranges::sort(known);
  return known[needed - 1];
}

}  // namespace fettle::raft
