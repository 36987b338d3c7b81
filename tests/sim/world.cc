#include "tests/sim/world.h"

#include <algorithm>
#include <cstdio>

#include "base/bytes.h"
#include "core/limits.h"
#include "core/weigh.h"
#include "tests/support/engine_story.h"

namespace fettle::sim {
namespace {

constexpr Instant kElectionTimeout = milliseconds(300);
constexpr Instant kProgressMax = 20 * kElectionTimeout;
constexpr Instant kConvergeMax = std::chrono::seconds(600);
constexpr std::uint64_t kEventsMax = 2'000'000;  // a quiet seed takes some ten thousand
constexpr auto kLateMax = 1500U;  // ms; less than the engine's margin for a host's own deadline

}  // namespace

World::World(std::uint64_t seed, std::size_t members, bool tracing)
    : rng_(seed * 0x9e3779b97f4a7c15ULL + members),
      tracing_(tracing),
      raft_checks_(members),
      actions_(core::story_actions()) {
  draw_profile(members);
  for (std::size_t i = 1; i <= members; ++i) names_.push_back("m" + std::to_string(i));
  make_spec();
  for (const std::string& name : names_) {
    directors_[name] = std::make_unique<Director>(clock_, rng_.split(), checks_, name);
    members_.push_back(std::make_unique<Member>(*this, name, rng_.next()));
    members_.back()->group_disk().set_latency_max(profile_.disk_latency_max);
    members_.back()->host_disk().set_latency_max(profile_.disk_latency_max);
  }
}

void World::draw_profile(std::size_t members) {
  profile_.members = members;
  profile_.nodes = rng_.between(2, 4);
  profile_.directors = rng_.chance(30) ? 2 : 1;
  profile_.max_isolated = rng_.chance(30) ? 2 : 1;
  profile_.fifo = rng_.chance(50);
  profile_.loss_percent = rng_.chance(30) ? 0 : rng_.between(1, 15);
  profile_.copies_percent = profile_.fifo ? 0 : rng_.between(0, 10);
  profile_.late_percent = profile_.fifo ? 0 : rng_.between(0, 6);
  profile_.disk_latency_max = milliseconds(rng_.chance(30) ? 40 : 5);
  profile_.chaos = milliseconds(rng_.between(4000, 8000));
  profile_.between_blows = milliseconds(rng_.chance(30) ? 80 : 250);
  profile_.between_asks = milliseconds(rng_.chance(50) ? 60 : 600);
  profile_.forces = rng_.chance(25);
  profile_.meddles = rng_.chance(25);
  profile_.programs = rng_.chance(50);
  profile_.stay_dead = rng_.chance(25) ? rng_.between(1, (members - 1) / 2) : 0;
}

namespace {

constexpr const char* kHeal = "heal";

/// The built-in playbook's isolation, then a program at the node's host that may fail.
core::PlaybookSpec heal_playbook() {
  core::PlaybookSpec playbook = core::builtin_playbook(core::Verdict::Down);
  playbook.name = kHeal;
  core::StepSpec step{.id = "heal", .action = "exec.run", .timeout = milliseconds(1500)};
  step.input["command"] = std::vector<std::string>{"/lib/heal", "${node.name}"};
  step.retry = {.count = 2, .delay = milliseconds(100)};
  step.on_failure = core::OnFailure::Continue;
  playbook.steps.push_back(std::move(step));
  return playbook;
}

}  // namespace

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

void World::send(const std::string& from, const std::string& to, Packet packet) {
  if (cut_.contains({from, to})) return;
  if (!healed_ && rng_.chance(profile_.loss_percent)) return;
  Member* target = nullptr;
  for (const auto& member : members_) {
    if (member->name() == to) target = member.get();
  }
  const bool twice = !healed_ && rng_.chance(profile_.copies_percent);
  for (int copy = 0; copy < (twice ? 2 : 1); ++copy) {
    const bool late = !healed_ && rng_.chance(profile_.late_percent);
    Instant arrives = clock_.now() + std::chrono::microseconds(rng_.between(200, 3000));
    if (late) arrives += milliseconds(rng_.between(10, kLateMax));
    if (profile_.fifo) {
      Instant& free = link_free_[{from, to}];
      arrives = free = std::max(arrives, free + Instant{1});
    }
    clock_.at(arrives, [target, packet] { target->deliver(packet); });
  }
}

std::size_t World::count_durable(const raft::Entry& entry) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      members_, [&](const auto& member) { return member->holds_durably(entry); }));
}

std::string World::violation() const {
  return raft_checks_.violation().empty() ? checks_.violation() : raft_checks_.violation();
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
  if (wind(profile_.chaos)) {
    heal();
    await_convergence();
  }
  Outcome outcome{violation(), clock_.events(), hash_, raft_checks_.record().size(),
                  checks_.acts_count()};
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
  std::set<std::string> stay;
  for (std::size_t i = members_.size(); stay.size() < profile_.stay_dead && i > 2; --i) {
    stay.insert(names_[i - 1]);
  }
  for (const auto& member : members_) {
    member->pause_until(Instant{0});
    member->group_disk().set_latency_max(milliseconds(5));
    member->host_disk().set_latency_max(milliseconds(5));
    if (stay.contains(member->name())) {
      dead_.insert(member->name());
      member->crash();
      note(member->name(), "stays dead");
    } else if (!member->alive()) {
      member->start();
    }
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

/// The last run on the node failed: what its directors hold is for a person to settle.
bool left_to_a_person(const core::State& state, const std::string& node) {
  for (auto run = state.runs.rbegin(); run != state.runs.rend(); ++run) {
    if (run->second.node != node) continue;
    return run->second.state == core::RunState::Failed || run->second.cancelled_by_person;
  }
  return false;
}

}  // namespace

/// The first thing that is not as it must be in the end; empty: all is well.
std::string World::not_converged() const {
  const Member* leader = only_leader();
  if (leader == nullptr) return "there is no leader";
  const core::State& state = leader->engine().state();
  for (const auto& member : members_) {
    if (!member->alive()) continue;
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
  if (state.revision == 0) return "there is no spec";
  if (!state.outbox.empty() || !checks_.all_alerts_received()) return "an alert is not delivered";
  for (const auto& [name, node] : state.nodes) {
    const bool up = health_.at(name) == Health::Up;
    const auto gone = std::ranges::count_if(
        node.observers, [this](const std::string& observer) { return dead_.contains(observer); });
    const auto observers = static_cast<std::ptrdiff_t>(node.observers.size());
    if ((observers - gone) * 2 <= observers) continue;  // absence changes no verdict
    if (node.verdict != (up ? core::Verdict::Healthy : core::Verdict::Down)) {
      return name + " is called " + std::string(to_string(node.verdict));
    }
    for (const auto& [id, run] : state.runs) {
      if (run.node == name && !core::is_over(run.state)) return "a run on " + name + " is open";
    }
    const bool held = core::failure_hold(state, "builtin-isolate", name).has_value() ||
                      core::failure_hold(state, kHeal, name).has_value() ||
                      core::failure_hold(state, "builtin-restore", name).has_value();
    if (held || node.isolation_in_doubt || left_to_a_person(state, name)) continue;
    const bool apart = profile_.meddles && profile_.directors > 1;  // adopted at one of them
    for (std::size_t i = 0; i < profile_.directors && !apart; ++i) {
      const bool out = directors_.at(names_[i])->is_out(name);
      if (out != (node.admin != core::Admin::InService)) {
        return name + " is " + std::string(to_string(node.admin)) + ", but the director of " +
               names_[i] + " has it " + (out ? "out" : "in");
      }
    }
    if (up && node.admin == core::Admin::Isolated && node.owner == core::Owner::Fettle) {
      return name + " is healthy and still out";
    }
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
      return checks_.violation().empty();
    }
  }
  checks_.broken("it does not converge after all healed: " + missing);
  return false;
}

}  // namespace fettle::sim
