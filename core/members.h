// Members: who the group is. Those who hold its log are named by its configuration, of whose change
// the agreement's own entries tell the engine (Engine::configure); an agent is a member from its
// first facts on, until a person removes it. Observers, hosts and troubles follow.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/applying.h"
#include "core/command.h"

namespace fettle::core {

/// Agents in a group at most (DESIGN §10).
inline constexpr std::size_t kAgentsMax = 10'000;

/// NotFound: no such member, and no agent that joins. Conflict: it is known under another
/// incarnation, or in the other role. Refused: there are kAgentsMax agents already.
ClientAnswer set_facts(Applying& ap, const command::SetFacts& command);
/// NotFound: no such agent. The name is free from here on: an agent that still runs joins anew.
ClientAnswer remove_agent(Applying& ap, const command::RemoveAgent& command);
/// All of the leader's news in one entry, with one new assignment. What does not hold any more is
/// left out.
ClientAnswer update_members(Applying& ap, const command::UpdateMembers& command);

/// The members that hold the log are `servers`, no others. Who is new has no facts yet: its first
/// hello brings them, under whatever incarnation it has.
void configure_members(Applying& ap, const std::vector<std::string>& servers);

/// All others are lost for good: `survivor` is the only member, of the next generation, under which
/// no key repeats and no old member is heard. Its incarnation is forgotten: the next start says it.
/// `generation_seen`: the newest that its host has acted for; the next one is above that too.
void keep_only(Applying& ap, const std::string& survivor, std::uint64_t generation_seen);

}  // namespace fettle::core
