// SpecChanges: an operator who applies another spec now and then, whatever is under way: nodes come
// and go, limits, probes and playbooks change, a director moves. What is applied begins from the
// newest spec anybody has, or from one that has moved since. Driven by the clockwork.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/rng.h"
#include "core/engine.h"
#include "tests/sim/clockwork.h"

namespace fettle::sim {

class World;

/// The playbook of the simulated service: the built-in one's isolation, then a program at the
/// node's host that may fail.
core::PlaybookSpec heal_playbook();
inline constexpr const char* kHeal = "heal";

class SpecChanges {
 public:
  SpecChanges(World& world, Rng rng) : world_(world), rng_(rng) {}

  /// `between`: changes, more or less; 0: none.
  void start(Instant between);

 private:
  void change();
  void alter(core::Spec& spec);
  void add_node(core::Spec& spec);
  void remove_node(core::ServiceSpec& service);
  void alter_limits(core::ServiceSpec& service);
  void alter_probe(core::ServiceSpec& service);
  void alter_playbook(core::Spec& spec);
  void move_director(core::ServiceSpec& service);

  World& world_;
  Rng rng_;
  Instant between_{0};
};

}  // namespace fettle::sim
