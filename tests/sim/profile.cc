#include "tests/sim/profile.h"

namespace fettle::sim {
namespace {

Profile draw_any(std::size_t members, Rng& rng) {
  Profile profile;
  profile.members = members;
  profile.nodes = rng.between(2, 4);
  profile.directors = rng.chance(30) ? 2 : 1;
  profile.max_isolated = rng.chance(30) ? 2 : 1;
  profile.fifo = rng.chance(50);
  profile.loss_percent = rng.chance(30) ? 0 : rng.between(1, 15);
  profile.copies_percent = profile.fifo ? 0 : rng.between(0, 10);
  profile.late_percent = profile.fifo ? 0 : rng.between(0, 6);
  profile.disk_latency_max = milliseconds(rng.chance(30) ? 40 : 5);
  profile.chaos = milliseconds(rng.between(4000, 8000));
  profile.between_blows = milliseconds(rng.chance(30) ? 80 : 250);
  profile.between_asks = milliseconds(rng.chance(50) ? 60 : 600);
  profile.forces = rng.chance(25);
  profile.meddles = rng.chance(25);
  profile.programs = rng.chance(50);
  profile.stay_dead = rng.chance(25) ? rng.between(1, (members - 1) / 2) : 0;
  profile.evidence_percent = rng.chance(50) ? 80 : 0;
  profile.kv_clients = rng.between(1, 3);
  profile.between_kv = milliseconds(rng.chance(50) ? 100 : 400);
  profile.between_specs = milliseconds(rng.chance(20) ? rng.between(400, 2000) : 0);
  profile.kill_percent = rng.chance(30) ? 2 : 0;
  profile.wall_jumps = rng.chance(30);
  return profile;
}

/// Small snapshots in small chunks, and short logs.
void compacts(Profile& profile, Rng& rng) {
  profile.compact_percent = rng.between(2, 30);
  profile.trailing_entries = rng.chance(40) ? 0 : rng.between(1, 40);
  profile.chunk_bytes_max = rng.between(300, 5000);
}

}  // namespace

const std::vector<std::string>& profile_names() {
  static const std::vector<std::string> kNames{
      "default",      "fifo",          "membership", "snapshots", "transfer",
      "slow_client",  "dead_for_ever", "clients",    "leases",    "lost_members",
      "spec_changes", "levels",        "disks",      "kills"};
  return kNames;
}

Profile draw_profile(const std::string& name, std::size_t members, Rng& rng) {
  Profile profile = draw_any(members, rng);
  const auto fast_blows = [&] { profile.between_blows = milliseconds(rng.between(50, 120)); };
  if (name == "fifo") {
    profile.fifo = true;
    profile.loss_percent = profile.copies_percent = profile.late_percent = 0;
    if (rng.chance(50)) compacts(profile, rng);
  } else if (name == "membership") {
    if (rng.chance(60)) compacts(profile, rng);
    if (rng.chance(50)) fast_blows();
    profile.between_orders = milliseconds(rng.between(30, 250));
    profile.transfer_percent = 10;
    profile.stay_dead = rng.chance(50) ? 2 : 0;
  } else if (name == "snapshots") {
    compacts(profile, rng);
  } else if (name == "transfer") {
    if (rng.chance(50)) fast_blows();
    profile.between_orders = milliseconds(rng.between(20, 150));
    profile.transfer_percent = 100;
  } else if (name == "slow_client") {
    profile.between_asks = milliseconds(2000);
    profile.kv_clients = 0;
    fast_blows();
  } else if (name == "dead_for_ever") {
    if (rng.chance(50)) compacts(profile, rng);
    profile.stay_dead = (members - 1) / 2;
  } else if (name == "clients") {
    if (rng.chance(60)) compacts(profile, rng);
    profile.kv_clients = rng.between(3, 5);
    profile.between_kv = milliseconds(rng.between(15, 60));
  } else if (name == "leases") {
    if (rng.chance(50)) compacts(profile, rng);
    profile.late_percent = 0;  // the engine's margin for a host's deadline goes to drift
    profile.lease_holders = rng.chance(50) ? 3 : 6;
    profile.drift_ppm = rng.chance(25) ? 0 : rng.between(10'000, 45'000);
    profile.wall_jumps = true;
  } else if (name == "lost_members") {
    if (rng.chance(30)) compacts(profile, rng);
    profile.directors = rng.chance(60) ? 2 : 1;
    profile.between_blows = milliseconds(rng.between(80, 250));
  } else if (name == "spec_changes") {
    if (rng.chance(30)) compacts(profile, rng);
    profile.between_specs = milliseconds(rng.between(100, 600));
    profile.between_blows = milliseconds(rng.between(80, 250));
  } else if (name == "levels") {
    if (rng.chance(50)) compacts(profile, rng);
    profile.mixed_levels = true;
  } else if (name == "disks") {
    if (rng.chance(60)) compacts(profile, rng);
    profile.disk_faults = profile.real_log = true;
  } else if (name == "kills") {
    if (rng.chance(30)) compacts(profile, rng);
    profile.kill_percent = rng.between(3, 15);
    profile.programs = rng.chance(80);
    profile.directors = rng.chance(50) ? 2 : 1;
  }
  return profile;
}

}  // namespace fettle::sim
