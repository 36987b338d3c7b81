// What goes wrong in some profiles alone: disks fill up or are damaged, wall clocks jump, hosts get
// another version, executors are killed at a point of a task.
#include <algorithm>

#include "tests/sim/world.h"

namespace fettle::sim {

/// True: this time it is one of these.
bool World::blow_specially() {
  if (profile_.disk_faults && rng_.chance(15)) {
    rng_.chance(75) ? fill_disk(victim()) : damage_disk(victim());
    return true;
  }
  if (profile_.mixed_levels && rng_.chance(25)) {
    change_version(victim());
    return true;
  }
  if (!profile_.wall_jumps || !rng_.chance(10)) return false;
  jump_wall(victim());
  return true;
}

/// The next write ends the process with an exit code that no service manager restarts: somebody
/// makes room, and starts it.
void World::fill_disk(Member& member) {
  if (member.group_disk().full()) return;
  note(member.name(), "has no room left on its disk");
  ++counts_[Count::FullDisks];
  member.group_disk().set_full(true);
  member.host_disk().set_full(true);
  clock_.after(milliseconds(rng_.between(100, 2000)), [this, &member] {
    member.group_disk().set_full(false);
    member.host_disk().set_full(false);
    start_later(member, milliseconds(1));
  });
}

/// What cannot be read is never made shorter in silence: the member stays out.
void World::damage_disk(Member& member) {
  if (!member.alive() || !may_stay_dead(member)) return;
  note(member.name(), "crashes, and its disk is damaged");
  ++counts_[Count::DamagedDisks];
  member.crash(true);
  if (!member.refuses_to_start()) return start_later(member, milliseconds(rng_.between(5, 400)));
  ++counts_[Count::Refusals];
  note(member.name(), "refuses to start");
  dead_.insert(member.name());
}

void World::jump_wall(Member& member) {
  const auto days = static_cast<std::int64_t>(rng_.between(0, 20)) - 10;
  const auto ms = static_cast<std::int64_t>(rng_.between(0, 5000)) - 2500;
  const Instant by = rng_.chance(50) ? Instant(milliseconds(ms)) : std::chrono::days(days);
  note(member.name(), "has its wall clock set");
  ++counts_[Count::WallJumps];
  member.jump_wall(by);
}

void World::draw_versions() {
  for (const auto& member : members_) member->install(rng_.chance(75) ? 1 : core::kEngineLevel);
  if (!rng_.chance(25)) return;
  Member& one = *members_[rng_.between(0, members_.size() - 1)];
  one.install(1);
  stays_old_ = one.name();
}

/// A newer version, or by mistake an older one.
void World::change_version(Member& member) {
  if (member.name() == stays_old_ || dead_.contains(member.name())) return;
  const bool old = member.supports() < core::kEngineLevel;
  if (!old && !rng_.chance(25)) return;
  note(member.name(), old ? "is upgraded" : "is downgraded");
  ++counts_[old ? Count::Upgrades : Count::Downgrades];
  member.crash();
  member.install(old ? core::kEngineLevel : 1);
  start_later(member, milliseconds(rng_.between(5, 400)));
}

void World::upgrade_all() {
  for (const auto& member : members_) {
    if (member->supports() == core::kEngineLevel || member->name() == stays_old_) continue;
    member->crash();
    member->install(core::kEngineLevel);
  }
}

void World::says_level(const std::string& member, std::uint32_t level) {
  std::uint32_t& highest = said_level_[member];
  highest = std::max(highest, level);
}

/// Only after a downgrade: else the group would have gone where a voter cannot follow.
void World::halts(Member& member, const std::string& why) {
  note(member.name(), "halts: " + why);
  ++counts_[Count::Halts];
  const bool by_level = why.find("engine level") != std::string::npos;
  if (!by_level || said_level_[member.name()] <= member.supports()) {
    checks_.broken(member.name() + " halts: " + why);
  }
  clock_.after(Instant{0}, [this, &member] {
    member.crash();
    if (dead_.contains(member.name())) return;
    ++counts_[Count::Upgrades];
    member.install(core::kEngineLevel);
    start_later(member, milliseconds(rng_.between(100, 2000)));
  });
}

void World::may_kill(Member& member) {
  if (healed_ || !rng_.chance(profile_.kill_percent)) return;
  clock_.after(std::chrono::microseconds(rng_.between(0, 3000)), [this, &member] {
    if (!healed_) crash(member);
  });
}

}  // namespace fettle::sim
