// Members: who holds the group's log, as its configuration says. The agreement's own entries tell
// the engine of a change; observers, hosts and troubles follow. One step of Engine::configure().
#pragma once

#include <string>
#include <vector>

#include "core/applying.h"

namespace fettle::core {

/// The members that hold the log are `servers`, no others. Who is new has no facts yet: its first
/// hello brings them, under whatever incarnation it has.
void configure_members(Applying& ap, const std::vector<std::string>& servers);

/// All others are lost for good: `survivor` is the only member, of the next generation, under which
/// no key repeats and no old member is heard. Its incarnation is forgotten: the next start says it.
void keep_only(Applying& ap, const std::string& survivor);

}  // namespace fettle::core
