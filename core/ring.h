// Ring: which members watch which node. A consistent-hash ring (Karger et al. 1997) with virtual
// points, so that a member joining or leaving moves only its share. Pure; equal on every voter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fettle::core {

struct RingMember {
  std::string name;
  std::string zone;
  friend bool operator==(const RingMember&, const RingMember&) = default;
};

class Ring {
 public:
  /// Virtual points a member: enough for shares within about two points of even.
  static constexpr std::uint32_t kPointsPerMember = 256;

  /// The order of `members` does not matter; names are unique. Costs a sort; build it once for many
  /// keys.
  explicit Ring(std::vector<RingMember> members);
  /// The same ring, made from an old one: costs a walk, and a sort of who is new. Of thousands of
  /// members, of which few change at a time, that is a tenth of it.
  Ring(const Ring& old, std::vector<RingMember> members);

  /// By name.
  const std::vector<RingMember>& members() const { return members_; }

  /// The `count` observers of `key` (a node's name), all members if there are fewer, spread over
  /// zones first, in ring order: no zone gives a second observer while another zone has one left to
  /// give. If `must_include` is not empty and is a member, it is the first of them (the service's
  /// director host), and counts for its zone. Deterministic.
  std::vector<std::string> observers(const std::string& key, std::size_t count,
                                     const std::string& must_include) const;

 private:
  struct Point {
    std::uint64_t hash = 0;
    std::size_t member = 0;
  };
  static bool before(const Point& a, const Point& b);
  void number_zones();
  void add_points(std::size_t member);
  std::vector<std::size_t> spread(const std::string& key, std::size_t count,
                                  std::vector<std::size_t> chosen) const;

  std::vector<RingMember> members_;      // by name
  std::vector<Point> points_;            // by hash
  std::vector<std::size_t> zone_of_;     // by member: its zone's number
  std::vector<std::size_t> zone_sizes_;  // by zone: its members
};

/// Keeps the ring of the members asked for last, to make the next one from.
class RingCache {
 public:
  const Ring& of(std::vector<RingMember> members);

 private:
  Ring ring_{std::vector<RingMember>{}};
};

}  // namespace fettle::core
