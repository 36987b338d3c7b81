// Profile: how rough a world is. A seed draws it once; its name says what it hunts for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/rng.h"
#include "tests/sim/clockwork.h"

namespace fettle::sim {

struct Profile {
  std::size_t members = 3;
  std::size_t nodes = 3;
  std::size_t directors = 1;
  std::uint32_t max_isolated = 1;
  bool fifo = true;  // per link, else messages overtake each other
  std::uint64_t loss_percent = 0;
  std::uint64_t copies_percent = 0;
  std::uint64_t late_percent = 0;  // messages that come up to kLateMax later
  Instant disk_latency_max{0};
  Instant chaos{0};
  Instant between_blows{0};
  Instant between_asks{0};
  std::size_t kv_clients = 0;
  Instant between_kv{0};           // of one of them
  std::size_t lease_holders = 0;   // that would be
  std::uint64_t drift_ppm = 500;   // how wrong the clocks of members and holders go, at most
  bool forces = false;             // persons use --force
  bool meddles = false;            // persons change directors, and directors are restarted
  bool programs = false;           // a playbook runs a program, which no one may repeat blindly
  std::size_t stay_dead = 0;       // voters that do not come back
  Instant between_specs{0};        // that an operator applies; 0: the first one stays
  bool mixed_levels = false;       // versions of two engine levels, upgraded one by one, and back
  std::uint64_t kill_percent = 0;  // of the points an executor passes, killed right after
  bool wall_jumps = false;         // somebody sets hosts' wall clocks
  bool disk_faults = false;        // full disks, damaged ones
  bool real_log = false;           // one member's log lies in the real store's files

  std::uint64_t evidence_percent = 0;  // deaths of a leader that are told to the others
  std::uint64_t compact_percent = 0;   // a member and beat
  std::size_t trailing_entries = 1024;
  std::size_t chunk_bytes_max = std::size_t{64} * 1024;
  Instant between_orders{0};           // of an operator to Raft; 0: none
  std::uint64_t transfer_percent = 0;  // of the orders; the others change the members
};

/// default, fifo, membership, snapshots, transfer, slow_client, dead_for_ever, clients, leases,
/// lost_members, spec_changes, levels, disks, kills.
const std::vector<std::string>& profile_names();
Profile draw_profile(const std::string& name, std::size_t members, Rng& rng);

}  // namespace fettle::sim
