// What an operator orders meanwhile: members come, are removed, are made voters, hand over. And
// what drivers know of a dead leader.
#include <algorithm>

#include "raft/configuration.h"
#include "tests/sim/world.h"

namespace fettle::sim {
namespace {

constexpr std::size_t kJoinMax = 4;
constexpr std::size_t kVotersMin = 3;      // fewer are not removed
constexpr std::size_t kDirectorHosts = 2;  // the first founders

}  // namespace

void World::order_something() {
  if (healed_) return;
  const auto gap = static_cast<std::uint64_t>(profile_.between_orders.count());
  clock_.after(Instant(static_cast<std::int64_t>(rng_.between(gap / 4, gap * 2))),
               [this] { order_something(); });
  for (const auto& member : members_) {
    if (!member->is_leader()) continue;
    if (!rng_.chance(profile_.transfer_percent)) return change_members(*member);
    const bool any = rng_.chance(50);
    return member->order(
        raft::Transfer{0, any ? "" : members_[rng_.between(0, members_.size() - 1)]->name()});
  }
}

void World::change_members(Member& leader) {
  const raft::Configuration& now = leader.raft().configuration();
  for (const raft::Server& server : now.servers) {
    if (server.voter || server.promote || !rng_.chance(50)) continue;
    if (profile_.stay_dead > 0 && rng_.chance(50)) {  // the others alone will know of it
      note(server.id, "hears nothing of " + leader.name());
      cut_.insert({leader.name(), server.id});
      clock_.after(milliseconds(rng_.between(20, 200)), [this, &leader] {
        if (healed_ || !leader.alive() || !may_stay_dead(leader)) return;
        note(leader.name(), "dies for ever");
        dead_.insert(leader.name());
        leader.crash();
        tell_of_death(leader.name());
      });
    }
    return leader.order(raft::PromoteServer{0, server.id});
  }
  if (raft::voters_of(now).size() <= kVotersMin || rng_.chance(50)) return add_someone(leader);
  remove_someone(leader);
}

/// One that came and is no member yet, else a new one.
void World::add_someone(Member& leader) {
  const raft::Configuration& now = leader.raft().configuration();
  Member* one = nullptr;
  for (const auto& member : members_) {
    const std::string& name = member->name();
    const bool founder = std::ranges::find(names_, name) != names_.end();
    if (founder || removed_.contains(name) || raft::find_server(now, name) != nullptr) continue;
    one = member.get();
  }
  if (one == nullptr) {
    if (joined_ == kJoinMax) return;
    one = &add_member("m" + std::to_string(names_.size() + ++joined_), nullptr);
    note(one->name(), "comes");
    one->start();
  }
  leader.order(raft::AddServer{0, {one->name(), false, "", rng_.chance(80)}});
}

/// Hosts of directors stay: nobody else could act there. Most founders stay: they are observers.
void World::remove_someone(Member& leader) {
  std::vector<std::string> may;
  std::size_t founders_gone = 0;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const bool gone = removed_.contains(names_[i]);
    founders_gone += gone ? 1U : 0U;
  }
  for (const raft::Server& server : leader.raft().configuration().servers) {
    const auto founder = std::ranges::find(names_, server.id);
    const bool is_founder = founder != names_.end();
    const auto place = static_cast<std::size_t>(founder - names_.begin());
    if (is_founder && (place < kDirectorHosts || founders_gone > 0)) continue;
    may.push_back(server.id);
  }
  if (may.empty()) return;
  const std::string& one = may[rng_.between(0, may.size() - 1)];
  note(leader.name(), "is told to remove " + one);
  leader.order(raft::RemoveServer{0, one});
}

void World::members_changed() {
  const raft::Configuration& now = raft_checks_.configuration();
  std::vector<std::string> known = names_;
  for (const auto& [index, old] : raft_checks_.configurations()) {
    for (const raft::Server& server : old.servers) known.push_back(server.id);
  }
  for (const std::string& name : known) {
    if (raft::find_server(now, name) != nullptr || !removed_.insert(name).second) continue;
    note(name, "is removed");
    clock_.after(milliseconds(rng_.between(0, 800)), [this, name] {
      dead_.insert(name);
      member_named(name)->crash();
      note(name, "is switched off");
    });
  }
}

/// Each of the others may learn of it by its connection, a little later.
void World::tell_of_death(const std::string& name) {
  for (const auto& member : members_) {
    if (member->name() == name || !rng_.chance(profile_.evidence_percent)) continue;
    if (cut_.contains({member->name(), name}) || cut_.contains({name, member->name()})) continue;
    clock_.after(std::chrono::microseconds(rng_.between(200, 5000)),
                 [&one = *member, name] { one.order(raft::LeaderLost{name}); });
  }
}

}  // namespace fettle::sim
