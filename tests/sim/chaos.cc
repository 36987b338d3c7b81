// What goes wrong, and what people ask for meanwhile.
#include <algorithm>

#include "tests/sim/world.h"

namespace fettle::sim {

Member& World::victim() {
  if (rng_.chance(50)) {
    for (const auto& member : members_) {
      if (member->is_leader()) return *member;
    }
  }
  return *members_[rng_.between(0, members_.size() - 1)];
}

void World::blow() {
  if (healed_) return;
  const auto gap = static_cast<std::uint64_t>(profile_.between_blows.count());
  clock_.after(Instant(static_cast<std::int64_t>(rng_.between(gap / 4, gap * 2))),
               [this] { blow(); });
  if (profile_.meddles && rng_.chance(20)) return meddle();
  if (blow_specially()) return;
  const std::uint64_t dice = rng_.between(0, 99);
  if (dice < 18) return crash(victim());
  if (dice < 36) return isolate_one();
  if (dice < 44) return split();
  if (dice < 56) {
    note("world", "the network is whole");
    return cut_.clear();
  }
  if (dice < 66) {
    Member& member = victim();
    note(member.name(), "stands still");
    ++counts_[Count::Pauses];
    return member.pause_until(clock_.now() + milliseconds(rng_.between(50, 1200)));
  }
  if (dice < 74) return slow_disk(victim());
  if (dice < 94) return hurt_node();
  blind_someone();
}

void World::crash(Member& member) {
  if (!member.alive()) return;
  note(member.name(), "crashes");
  member.crash();
  tell_of_death(member.name());
  start_later(member, milliseconds(rng_.between(5, rng_.chance(30) ? 2500 : 400)));
}

void World::start_later(Member& member, Instant delay) {
  clock_.after(delay, [this, &member] {
    if (member.alive() || dead_.contains(member.name())) return;
    note(member.name(), "starts");
    member.start();
  });
}

void World::isolate_one() {
  const std::string& one = victim().name();
  const std::uint64_t way = rng_.between(0, 2);  // both ways, only out, only in
  note(one, "is cut off");
  ++counts_[way == 0 ? Count::Cuts : Count::CutsOneWay];
  for (const auto& member : members_) {
    const std::string& other = member->name();
    if (other == one) continue;
    if (way != 2) cut_.insert({one, other});
    if (way != 1) cut_.insert({other, one});
  }
}

void World::split() {
  note("world", "the network splits");
  ++counts_[Count::Cuts];
  std::set<std::string> side;
  for (const auto& member : members_) {
    if (rng_.chance(50)) side.insert(member->name());
  }
  cut_.clear();
  for (const auto& from : members_) {
    for (const auto& to : members_) {
      const std::string& a = from->name();
      const std::string& b = to->name();
      if (side.contains(a) != side.contains(b)) cut_.insert({a, b});
    }
  }
}

void World::hurt_node() {
  auto node =
      std::next(health_.begin(), static_cast<std::ptrdiff_t>(rng_.between(0, health_.size() - 1)));
  Health& health = node->second;
  health = health != Health::Up ? Health::Up : rng_.chance(80) ? Health::Dead : Health::Hung;
  if (health != Health::Up) ++counts_[Count::NodeFaults];
  note(node->first, health == Health::Up ? "recovers" : health == Health::Dead ? "dies" : "hangs");
}

void World::blind_someone() {
  if (rng_.chance(50)) return unreachable_.clear();
  const std::string& member = names_[rng_.between(0, names_.size() - 1)];
  note(member, "cannot reach some nodes");
  for (const auto& [node, health] : health_) {
    if (rng_.chance(50)) unreachable_.insert({member, node});
  }
}

void World::meddle() {
  const core::ServiceSpec& service = newest_spec().services.front();
  const auto& hosts = service.traffic.hosts;
  Director& director = *directors_.at(hosts[rng_.between(0, hosts.size() - 1)]);
  checks_.meddled();
  if (rng_.chance(40)) {
    note("director", "is restarted");
    return director.restart();
  }
  const std::string node = service.nodes[rng_.between(0, service.nodes.size() - 1)].name;
  const bool out = rng_.chance(50);
  note("person", (out ? "takes out " : "puts in ") + node + " at a director");
  director.person_sets(node, out);
}

void World::slow_disk(Member& member) {
  const auto slow = milliseconds(rng_.between(20, 250));
  note(member.name(), "has slow disks");
  ++counts_[Count::SlowDisks];
  member.group_disk().set_latency_max(slow);
  member.host_disk().set_latency_max(slow);
  clock_.after(milliseconds(rng_.between(200, 1500)), [this, &member] {
    if (healed_) return;
    member.group_disk().set_latency_max(profile_.disk_latency_max);
    member.host_disk().set_latency_max(profile_.disk_latency_max);
  });
}

void World::ask_something() {
  if (healed_) return;
  const auto gap = static_cast<std::uint64_t>(profile_.between_asks.count());
  clock_.after(Instant(static_cast<std::int64_t>(rng_.between(gap / 4, gap * 2))),
               [this] { ask_something(); });
  ask_for(some_command());
}

void World::ask_for(core::Command command) {
  auto request = std::make_shared<Request>();
  request->key = "client-" + std::to_string(requests_.size() + 1);
  request->command = std::move(command);
  requests_.push_back(request);
  ask(request);
}

const core::Spec& World::newest_spec() const {
  const Decisions& known = checks_.decisions();
  return known.revision() > 0 ? known.spec() : spec_;
}

core::Command World::some_command() {
  const auto& nodes = newest_spec().services.front().nodes;
  const std::string node = nodes[rng_.between(0, nodes.size() - 1)].name;
  const std::uint64_t dice = rng_.between(0, 99);
  if (dice < 8) {
    const bool force = profile_.forces && rng_.chance(30);
    return core::command::Isolate{.node = node, .by = "ann", .reason = "work", .force = force};
  }
  if (dice < 24) return core::command::Restore{.node = node, .by = "ann", .reason = "done"};
  if (dice < 30) {
    return core::command::Freeze{.service = "chat",
                                 .length = milliseconds(rng_.between(100, 1500)),
                                 .by = "ann",
                                 .reason = "deploy"};
  }
  if (dice < 34) return core::command::Cancel{RunId{rng_.between(1, 12)}, "ann", "not now"};
  if (dice < 38) return core::command::Retry{RunId{rng_.between(1, 12)}, "ann", "again"};
  return core::command::Unfreeze{.service = "chat", .by = "ann"};
}

Member& World::door(Rng& rng) {
  Member* member = members_[rng.between(0, members_.size() - 1)].get();
  if (rng.chance(70)) {
    for (const auto& one : members_) {
      if (one->is_leader()) member = one.get();
    }
  }
  return *member;
}

/// Asks any member, then another, until there is an answer; always with the same key.
void World::ask(const std::shared_ptr<Request>& request) {
  if (request->answered) return;
  const std::uint64_t number = ++request->tries;
  Member& member = door(rng_);
  const auto again = [this, request, number] {
    if (request->tries == number) ask(request);
  };
  clock_.after(milliseconds(600), again);
  member.ask(request->key, request->command,
             [this, request, again](const std::optional<core::ClientAnswer>& answer) {
               if (!answer) return clock_.after(milliseconds(50), again);
               if (request->answered) return;
               request->answered = true;
               note("client", request->key + ": " + answer->text);
             });
}

}  // namespace fettle::sim
