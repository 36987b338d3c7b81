#include "tests/sim/world.h"

#include <algorithm>
#include <cstdio>

#include "base/bytes.h"
#include "core/codec.h"
#include "core/level.h"
#include "core/limits.h"
#include "tests/support/engine_story.h"

namespace fettle::sim {
namespace {

constexpr Instant kElectionTimeout = milliseconds(300);
constexpr Instant kProgressMax = 20 * kElectionTimeout;
constexpr Instant kConvergeMax = std::chrono::seconds(600);
constexpr std::uint64_t kEventsMax = 2'000'000;  // a quiet seed takes some ten thousand
constexpr auto kLateMax = 1500U;  // ms; less than the engine's margin for a host's own deadline

}  // namespace

namespace {

raft::Configuration founders(const std::vector<std::string>& names) {
  raft::Configuration all;
  for (const std::string& name : names) all.servers.push_back({.id = name, .info = ""});
  return all;
}

std::vector<std::string> names_of(std::size_t members) {
  std::vector<std::string> names;
  for (std::size_t i = 1; i <= members; ++i) names.push_back("m" + std::to_string(i));
  return names;
}

}  // namespace

World::World(std::uint64_t seed, std::size_t members, const std::string& profile, bool tracing)
    : rng_((seed * 0x9e3779b97f4a7c15ULL + members) ^ stable_hash(profile)),
      tracing_(tracing),
      profile_(draw_profile(profile, members, rng_)),
      checks_(counts_),
      raft_checks_(founders(names_of(members)),
                   [this](const std::string& name, const raft::Entry& entry) {
                     return member_named(name)->holds_durably(entry);
                   }),
      actions_(core::story_actions()),
      names_(names_of(members)),
      kv_clients_(*this, rng_.split()),
      lease_clients_(*this, rng_.split()),
      spec_changes_(*this, rng_.split()) {
  raft_config_.trailing_entries = profile_.trailing_entries;
  raft_config_.chunk_bytes_max = profile_.chunk_bytes_max;
  make_spec();
  auto first = std::make_shared<raft::Snapshot>();
  first->meta.configuration = founders(names_);
  for (const std::string& name : names_) add_member(name, first);
  if (profile_.mixed_levels) draw_versions();
  if (profile_.real_log) members_[rng_.between(0, members_.size() - 1)]->store_for_real();
}

Member& World::add_member(const std::string& name, std::shared_ptr<const raft::Snapshot> first) {
  directors_[name] = std::make_unique<Director>(clock_, rng_.split(), checks_, name);
  members_.push_back(std::make_unique<Member>(*this, name, rng_.next(), std::move(first)));
  members_.back()->group_disk().set_latency_max(profile_.disk_latency_max);
  members_.back()->host_disk().set_latency_max(profile_.disk_latency_max);
  return *members_.back();
}

Member* World::member_named(const std::string& name) const {
  const auto found =
      std::ranges::find_if(members_, [&](const auto& one) { return one->name() == name; });
  return found == members_.end() ? nullptr : found->get();
}

void World::make_spec() {
  std::vector<std::string> nodes;
  for (std::size_t i = 0; i < profile_.nodes; ++i) nodes.push_back("n" + std::to_string(i + 1));
  spec_ = core::story_spec(nodes);
  core::ServiceSpec& service = spec_.services.front();
  service.max_isolated = profile_.max_isolated;
  service.probes.front().timeout = milliseconds(300);
  service.traffic.hosts.clear();
  for (std::size_t i = 0; i < profile_.directors; ++i) {
    service.traffic.hosts.push_back(names_[i]);
  }
  for (const std::string& node : nodes) health_[node] = Health::Up;
  if (!profile_.programs) return;
  for (core::NodeSpec& node : service.nodes) {
    node.host = names_[rng_.between(0, names_.size() - 1)];
  }
  spec_.playbooks.push_back(heal_playbook());
}

void World::note(const std::string& who, const std::string& what) {
  hash_ = (hash_ ^ stable_hash(who + what)) * 0x100000001b3ULL;
  hash_ = (hash_ ^ static_cast<std::uint64_t>(clock_.now().count())) * 0x100000001b3ULL;
  trace(who, what);
}

void World::note(const std::string& who, const char* what, std::uint64_t a, std::uint64_t b) {
  hash_ = (hash_ ^ a ^ (b << 32U) ^ stable_hash(who)) * 0x100000001b3ULL;
  hash_ = (hash_ ^ static_cast<std::uint64_t>(clock_.now().count())) * 0x100000001b3ULL;
  if (tracing_) trace(who, std::string(what) + " " + std::to_string(a) + "^" + std::to_string(b));
}

void World::trace(const std::string& who, const std::string& what) {
  if (!tracing_) return;
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(clock_.now()).count();
  std::fprintf(stderr, "%4lld.%06lld %-6s %s\n", static_cast<long long>(us / 1'000'000),
               static_cast<long long>(us % 1'000'000), who.c_str(), what.c_str());
}

void World::send(const std::string& from, const std::string& to, const Packet& packet) {
  if (cut_.contains({from, to})) return;
  if (!healed_ && rng_.chance(profile_.loss_percent)) {
    ++counts_[Count::MessagesLost];
    return;
  }
  Member* target = member_named(to);
  if (target == nullptr) return;
  const std::string bytes = encode(packet);
  const bool twice = !healed_ && rng_.chance(profile_.copies_percent);
  if (twice) ++counts_[Count::MessagesCopied];
  for (int copy = 0; copy < (twice ? 2 : 1); ++copy) {
    const bool late = !healed_ && rng_.chance(profile_.late_percent);
    if (late) ++counts_[Count::MessagesLate];
    Instant arrives = clock_.now() + std::chrono::microseconds(rng_.between(200, 3000));
    if (late) arrives += milliseconds(rng_.between(10, kLateMax));
    if (profile_.fifo) {
      Instant& free = link_free_[{from, to}];
      arrives = free = std::max(arrives, free + Instant{1});
    }
    clock_.at(arrives, [target, bytes] { target->deliver_bytes(bytes); });
  }
}

std::string World::violation() const {
  return raft_checks_.violation().empty() ? checks_.violation() : raft_checks_.violation();
}

/// What the committed configurations say of who came and went.
void World::count_members() {
  raft::Configuration before = founders(names_);
  for (const auto& [index, now] : raft_checks_.configurations()) {
    const Term term = raft_checks_.record()[index.value - 1].term;
    for (const raft::Server& server : now.servers) {
      const raft::Server* known = raft::find_server(before, server.id);
      if (known == nullptr) ++counts_[Count::MembersAdded];
      if (known != nullptr && server.voter && !known->voter) ++counts_[Count::MembersPromoted];
    }
    for (const raft::Server& server : before.servers) {
      if (raft::find_server(now, server.id) != nullptr) continue;
      ++counts_[Count::MembersRemoved];
      if (raft_checks_.leaders().at(term) == server.id) ++counts_[Count::LeadersRemoved];
    }
    before = now;
  }
}

/// False once a rule is broken.
bool World::wind(Instant until) {
  while (clock_.step(until)) {
    if (clock_.events() > kEventsMax) checks_.broken("it does not come to rest");
    if (!violation().empty()) return false;
  }
  return violation().empty();
}

Outcome World::run() {
  for (const auto& member : members_) member->start();
  clock_.after(milliseconds(rng_.between(300, 1200)), [this] { blow(); });
  clock_.after(milliseconds(rng_.between(500, 1500)), [this] { ask_something(); });
  if (profile_.between_orders > Instant{0}) {
    clock_.after(milliseconds(rng_.between(500, 1500)), [this] { order_something(); });
  }
  kv_clients_.start(profile_.kv_clients);
  lease_clients_.start(profile_.lease_holders, profile_.drift_ppm);
  spec_changes_.start(profile_.between_specs);
  if (wind(profile_.chaos)) {
    heal();
    await_convergence();
  }
  count_members();
  counts_[Count::Events] = clock_.events();
  counts_[Count::Entries] = raft_checks_.record().size();
  counts_[Count::KvOperations] = kv_clients_.operations();
  counts_[Count::Leases] = lease_clients_.grants();
  Outcome outcome{violation(), hash_, counts_};
  if (!outcome.violation.empty()) note("world", outcome.violation);
  return outcome;
}

void World::heal() {
  note("world", "heals");
  healed_ = true;
  cut_.clear();
  unreachable_.clear();
  for (auto& [node, health] : health_) health = Health::Up;
  if (rng_.chance(30)) health_["n1"] = Health::Dead;
  for (auto& [name, director] : directors_) director->set_troubled(false);
  if (profile_.mixed_levels) upgrade_all();
  for (const auto& member : members_) {
    member->pause_until(Instant{0});
    member->group_disk().set_latency_max(milliseconds(5));
    member->host_disk().set_latency_max(milliseconds(5));
    member->group_disk().set_full(false);
    member->host_disk().set_full(false);
    if (!member->alive() && !dead_.contains(member->name())) member->start();
  }
  let_stay_dead();
}

/// In every configuration that is in force somewhere, or will be once its learners are promoted, a
/// majority lives without it, and of the founders, too; and it is host of no director.
bool World::may_stay_dead(const Member& member) {
  const std::string& name = member.name();
  if (removed_.contains(name) || name == names_[0] || name == names_[1]) return false;
  const auto too_many_of = [&](const raft::Configuration& configuration) {
    const auto voters = raft::voters_of(configuration);
    const auto dead = std::ranges::count_if(voters, [&](const std::string& voter) {
      return voter == name || dead_.contains(voter) || removed_.contains(voter);
    });
    return static_cast<std::size_t>(dead) > (voters.size() - 1) / 2;
  };
  const auto too_many = [&](const raft::Configuration& configuration) {
    raft::Configuration promoted = configuration;
    for (raft::Server& server : promoted.servers) server.voter = server.voter || server.promote;
    return too_many_of(configuration) || too_many_of(promoted);
  };
  if (too_many(founders(names_))) return false;
  return std::ranges::none_of(members_, [&](const auto& one) {
    return one->alive() && !one->raft().configuration().servers.empty() &&
           too_many(one->raft().configuration());
  });
}

/// The last ones that may.
void World::let_stay_dead() {
  for (std::size_t i = members_.size(), left = profile_.stay_dead; i > 0 && left > 0; --i) {
    Member& member = *members_[i - 1];
    if (!member.alive() || !may_stay_dead(member)) continue;
    dead_.insert(member.name());
    ++counts_[Count::DeadForEver];
    --left;
    member.crash();
    note(member.name(), "stays dead");
  }
}

const Member* World::only_leader() const {
  const Member* leader = nullptr;
  for (const auto& member : members_) {
    if (!member->leads()) continue;
    if (leader != nullptr) return nullptr;
    leader = member.get();
  }
  return leader;
}

namespace {

/// The last run on the node failed: what its directors hold is for a person to settle. What differs
/// at a director because a person cancelled its re-assertion is no new decision.
bool left_to_a_person(const core::State& state, const std::string& node) {
  for (auto run = state.runs.rbegin(); run != state.runs.rend(); ++run) {
    const bool reasserts = run->second.playbook.name == "builtin-reassert";
    if (run->second.node != node || (reasserts && !run->second.cancelled_by_person)) continue;
    return run->second.state == core::RunState::Failed || run->second.cancelled_by_person;
  }
  return false;
}

}  // namespace

bool World::lost_its_observers(const core::State& state, const core::NodeState& node) const {
  if (state.level >= core::kLevel2) return false;
  const auto gone = std::ranges::count_if(
      node.observers, [this](const std::string& observer) { return dead_.contains(observer); });
  const auto observers = static_cast<std::ptrdiff_t>(node.observers.size());
  return (observers - gone) * 2 <= observers;
}

bool World::panic_stays(const core::State& state) const {
  const auto down = std::ranges::count_if(state.nodes, [&](const auto& entry) {
    const bool dead = health_.at(entry.first) != Health::Up;
    const bool judged_down = entry.second.verdict == core::Verdict::Down;
    return dead || (judged_down && lost_its_observers(state, entry.second));
  });
  return static_cast<std::size_t>(down) * 2 > state.nodes.size();
}

/// The first thing that is not as it must be in the end; empty: all is well.
std::string World::not_converged() const {
  const Member* leader = only_leader();
  if (leader == nullptr) return "there is no leader";
  const core::State& state = leader->engine().state();
  for (const auto& member : members_) {
    if (!member->alive()) continue;
    if (raft::find_server(leader->raft().configuration(), member->name()) == nullptr) continue;
    if (member->raft().commit_index() != leader->raft().commit_index()) {
      return member->name() + " lags";
    }
    if (member->engine().digest() != leader->engine().digest()) {
      return member->name() + " holds another state";
    }
  }
  for (const auto& request : requests_) {
    if (!request->answered) return "the client's " + request->key + " has no answer";
  }
  if (kv_clients_.waits()) return "a client of the key-value store has no answer";
  if (state.revision == 0) return "there is no spec";
  if (!state.outbox.empty() || !checks_.all_alerts_received()) return "an alert is not delivered";
  if (core::level_to_raise(state, core::kEngineLevel)) return "the level is not raised";
  for (const auto& [name, node] : state.nodes) {
    if (lost_its_observers(state, node)) continue;
    if (std::string missing = not_converged(state, name); !missing.empty()) return missing;
  }
  for (const auto& [id, run] : state.runs) {
    if (!state.nodes.contains(run.node) && !core::is_over(run.state)) {
      return "a run on " + run.node + " is open, which no spec names";
    }
  }
  return "";
}

std::string World::not_converged(const core::State& state, const std::string& name) const {
  const core::NodeState& node = state.nodes.at(name);
  const bool up = health_.at(name) == Health::Up;
  if (node.verdict != (up ? core::Verdict::Healthy : core::Verdict::Down)) {
    return name + " is called " + std::string(to_string(node.verdict));
  }
  for (const auto& [id, run] : state.runs) {
    if (run.node == name && !core::is_over(run.state)) return "a run on " + name + " is open";
  }
  const bool held = core::failure_hold(state, "builtin-isolate", name).has_value() ||
                    core::failure_hold(state, kHeal, name).has_value() ||
                    core::failure_hold(state, "builtin-restore", name).has_value();
  if (held || node.isolation_in_doubt || left_to_a_person(state, name)) return "";
  const auto& hosts = core::find_service(state.spec, node.service)->traffic.hosts;
  // Adopted as a person's at one of them: changed by hand, or still held out there from a time when
  // the spec did not name the node or the director.
  const bool found_out = checks_.decisions().revision() > 1 && node.owner == core::Owner::Person;
  const bool apart = found_out || (hosts.size() > 1 && profile_.meddles);
  for (const std::string& host : hosts) {
    const bool out = directors_.at(host)->is_out(name);
    if (apart || out == (node.admin != core::Admin::InService)) continue;
    // It missed a restore, and what is down is not put back.
    if (!up && out && node.pending_hosts.contains(host)) continue;
    return name + " is " + std::string(to_string(node.admin)) + ", but the director of " + host +
           " has it " + (out ? "out" : "in");
  }
  if (up && node.admin == core::Admin::Isolated && node.owner == core::Owner::Fettle &&
      !(core::panic_hold(state, node.service) && panic_stays(state))) {
    return name + " is healthy and still out";
  }
  return "";
}

bool World::await_convergence() {
  const Instant healed = clock_.now();
  const auto last = std::make_shared<Request>();
  last->key = "last";
  last->command = core::command::Unfreeze{.service = "chat", .by = "sim"};
  requests_.push_back(last);
  ask(last);
  std::string missing = "nothing looked yet";
  while (clock_.now() < healed + kConvergeMax) {
    if (!wind(clock_.now() + milliseconds(500))) return false;
    if (!last->answered && clock_.now() > healed + kProgressMax) {
      checks_.broken("no progress within 20 election timeouts after all healed");
      return false;
    }
    missing = not_converged();
    if (missing.empty()) {
      checks_.at_end(only_leader()->engine());
      std::string wrong = kv_clients_.at_end(only_leader()->engine().state().kv);
      if (!wrong.empty()) checks_.broken(std::move(wrong));
      return checks_.violation().empty();
    }
  }
  checks_.broken("it does not converge after all healed: " + missing);
  return false;
}

}  // namespace fettle::sim
