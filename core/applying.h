// Applying: what one apply() of the engine carries from step to step: the state it changes, the
// effects it collects, the entry's index. Internal to the engine's files; nobody keeps one.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/effect.h"
#include "core/kind.h"
#include "core/ring.h"
#include "core/state.h"

namespace fettle::core {

struct Applying {
  State& state;
  const std::map<std::string, KindSpec>& actions;
  Index index;
  std::vector<Effect>& effects;
  RingCache& ring;
  std::uint32_t events = 0;
  std::set<std::string> touched;  // services whose nodes are weighed anew at the end

  /// Appends an event of this entry; `fill` names what it is about.
  void happened(Event event) {
    event.index = index;
    event.n = events++;
    event.at = state.wall;
    effects.emplace_back(effect::Happened{std::move(event)});
  }
  const ServiceSpec* service(const std::string& name) const;
  const NodeSpec* node_spec(const std::string& name) const;
};

/// Adds a line to the incident's timeline, which keeps the newest kTimelineMax.
void note(Applying& ap, IncidentId id, std::string what, std::string reason);

}  // namespace fettle::core
