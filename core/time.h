// Time: a point on a clock that the caller owns. There is no now() here, on purpose.
// Two clocks never mix: Time (monotonic of one host, or the log's engine time) and WallTime
// (people).
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>
#include <string>

namespace fettle::core {

using Duration = std::chrono::nanoseconds;

/// Nanoseconds since a fixed point of the clock it was read from (a host's CLOCK_BOOTTIME, or the
/// engine time that only the log advances).
struct Time {
  std::int64_t ns = 0;

  friend constexpr auto operator<=>(const Time&, const Time&) = default;
  friend constexpr Time operator+(Time t, Duration d) { return Time{t.ns + d.count()}; }
  friend constexpr Time operator-(Time t, Duration d) { return Time{t.ns - d.count()}; }
  friend constexpr Duration operator-(Time a, Time b) { return Duration{a.ns - b.ns}; }
};
inline constexpr Time kNever{std::numeric_limits<std::int64_t>::max()};

template <typename Archive>
void fields(Archive& ar, Time& t) {
  ar(t.ns);
}

/// Milliseconds since the Unix epoch; for people and calendars, never for a decision.
struct WallTime {
  std::int64_t ms = 0;
  friend constexpr auto operator<=>(const WallTime&, const WallTime&) = default;
};

template <typename Archive>
void fields(Archive& ar, WallTime& t) {
  ar(t.ms);
}

/// `250ms`, `2s`, `15m`: the largest unit that loses nothing, as the YAML writes it.
std::string to_string(Duration duration);
/// RFC 3339 in UTC with milliseconds: `2026-01-01T00:00:00.000Z`.
std::string to_string(WallTime time);

}  // namespace fettle::core
