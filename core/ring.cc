#include "core/ring.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/bytes.h"
#include "base/rng.h"

namespace fettle::core {
namespace {

/// FNV-1a alone clusters texts that differ only at their end; the generator's finalizer spreads
/// them.
std::uint64_t place(const std::string& text) { return Rng{stable_hash(text)}.next(); }

}  // namespace

bool Ring::before(const Point& a, const Point& b) {
  return std::tie(a.hash, a.member) < std::tie(b.hash, b.member);
}

Ring::Ring(std::vector<RingMember> members) : members_(std::move(members)) {
  std::ranges::sort(members_, {}, &RingMember::name);
  points_.reserve(members_.size() * kPointsPerMember);
  for (std::size_t m = 0; m < members_.size(); ++m) add_points(m);
  std::ranges::sort(points_, before);
  number_zones();
}

/// Both lists are by name, so who stays keeps its order among those who stay.
Ring::Ring(const Ring& old, std::vector<RingMember> members) : members_(std::move(members)) {
  std::ranges::sort(members_, {}, &RingMember::name);
  constexpr std::size_t kGone = static_cast<std::size_t>(-1);
  std::vector<std::size_t> now(old.members_.size(), kGone);  // by the old number
  std::size_t o = 0;
  for (std::size_t m = 0; m < members_.size(); ++m) {
    while (o < now.size() && old.members_[o].name < members_[m].name) ++o;
    if (o < now.size() && old.members_[o].name == members_[m].name) {
      now[o] = m;
    } else {
      add_points(m);
    }
  }
  std::vector<Point> fresh = std::exchange(points_, {});
  std::ranges::sort(fresh, before);
  std::vector<Point> kept;
  kept.reserve(old.points_.size());
  for (const Point& point : old.points_) {
    if (now[point.member] != kGone) kept.push_back({point.hash, now[point.member]});
  }
  points_.resize(kept.size() + fresh.size());
  std::ranges::merge(kept, fresh, points_.begin(), before);
  number_zones();
}

void Ring::add_points(std::size_t member) {
  for (std::uint32_t i = 0; i < kPointsPerMember; ++i) {
    points_.push_back({place(members_[member].name + "#" + std::to_string(i)), member});
  }
}

void Ring::number_zones() {
  std::map<std::string, std::size_t> zones;
  for (const RingMember& member : members_) {
    const std::size_t zone = zones.emplace(member.zone, zones.size()).first->second;
    zone_of_.push_back(zone);
    zone_sizes_.resize(zones.size());
    ++zone_sizes_[zone];
  }
}

const Ring& RingCache::of(std::vector<RingMember> members) {
  std::ranges::sort(members, {}, &RingMember::name);
  if (members != ring_.members()) ring_ = Ring(ring_, std::move(members));
  return ring_;
}

/// Goes round the ring once for every observer that a zone gives: in round r each zone with more
/// than r members gives its next one, in ring order. `chosen` holds those who are chosen already.
std::vector<std::size_t> Ring::spread(const std::string& key, std::size_t count,
                                      std::vector<std::size_t> chosen) const {
  const std::size_t wanted = std::min(count, members_.size());
  const auto start = static_cast<std::size_t>(
      std::ranges::lower_bound(points_, place(key), {}, &Point::hash) - points_.begin());
  std::vector<std::size_t> given(zone_sizes_.size());
  for (const std::size_t member : chosen) ++given[zone_of_[member]];
  for (std::size_t round = 0; chosen.size() < wanted; ++round) {
    std::size_t zones_left = 0;
    for (std::size_t zone = 0; zone < zone_sizes_.size(); ++zone) {
      if (zone_sizes_[zone] > round && given[zone] <= round) ++zones_left;
    }
    for (std::size_t i = 0; i < points_.size() && zones_left > 0 && chosen.size() < wanted; ++i) {
      const std::size_t member = points_[(start + i) % points_.size()].member;
      std::size_t& of_zone = given[zone_of_[member]];
      if (of_zone > round || std::ranges::find(chosen, member) != chosen.end()) continue;
      ++of_zone;
      --zones_left;
      chosen.push_back(member);
    }
  }
  return chosen;
}

std::vector<std::string> Ring::observers(const std::string& key, std::size_t count,
                                         const std::string& must_include) const {
  std::vector<std::size_t> first;
  const auto found = std::ranges::lower_bound(members_, must_include, {}, &RingMember::name);
  if (count > 0 && found != members_.end() && found->name == must_include) {
    first.push_back(static_cast<std::size_t>(found - members_.begin()));
  }
  std::vector<std::string> names;
  for (const std::size_t member : spread(key, count, std::move(first))) {
    names.push_back(members_[member].name);
  }
  return names;
}

}  // namespace fettle::core
