// World: one whole cluster from one seed: clockwork, members, network, nodes, directors, clients,
// and the chaos among them. run() is the story: a time of chaos, then everything heals, then it
// must converge. Owns everything; equal seeds give equal traces.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/checks.h"
#include "tests/sim/clockwork.h"
#include "tests/sim/member.h"
#include "tests/sim/surroundings.h"
#include "tests/support/raft_invariants.h"

namespace fettle::sim {

/// What a seed draws once: how rough its world is.
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
  bool forces = false;        // persons use --force
  bool meddles = false;       // persons change directors, and directors are restarted
  bool programs = false;      // a playbook runs a program, which no one may repeat blindly
  std::size_t stay_dead = 0;  // voters that do not come back
};

struct Outcome {
  std::string violation;  // empty: all held
  std::uint64_t events = 0;
  std::uint64_t trace_hash = 0;
  std::uint64_t entries = 0;
  std::uint64_t acts = 0;
};

class World {
 public:
  World(std::uint64_t seed, std::size_t members, bool tracing);

  Outcome run();

  // For members.
  Clockwork& clock() { return clock_; }
  Checks& checks() { return checks_; }
  raft::RaftInvariants& raft_checks() { return raft_checks_; }
  Director& director(const std::string& host) { return *directors_.at(host); }
  const std::vector<std::string>& names() const { return names_; }
  const std::vector<core::KindSpec>& actions() const { return actions_; }
  const core::Spec& spec() const { return spec_; }
  bool tracing() const { return tracing_; }
  void send(const std::string& from, const std::string& to, Packet packet);
  std::size_t count_durable(const raft::Entry& entry) const;
  Health health_of(const std::string& node) const { return health_.at(node); }
  bool cannot_reach(const std::string& member, const std::string& node) const {
    return unreachable_.contains({member, node});
  }
  bool receiver_is_deaf() { return healed_ ? false : rng_.chance(20); }
  /// Part of the trace's hash; shown while tracing.
  void note(const std::string& who, const std::string& what);
  void note(const std::string& who, const char* what, std::uint64_t a, std::uint64_t b);
  /// Only shown.
  void trace(const std::string& who, const std::string& what);

 private:
  struct Request {
    std::string key;
    core::Command command;
    bool answered = false;
    std::uint64_t tries = 0;
  };

  // world.cc
  void draw_profile(std::size_t members);
  void make_spec();
  bool wind(Instant until);
  void heal();
  bool await_convergence();
  std::string not_converged() const;
  const Member* only_leader() const;
  std::string violation() const;

  // chaos.cc
  void blow();
  Member& victim();
  void crash(Member& member);
  void split();
  void isolate_one();
  void hurt_node();
  void blind_someone();
  void meddle();
  void slow_disk(Member& member);
  void ask_something();
  core::Command some_command();
  void ask(const std::shared_ptr<Request>& request);

  Rng rng_;
  bool tracing_;
  Profile profile_;
  Clockwork clock_;
  Checks checks_;
  raft::RaftInvariants raft_checks_;
  std::vector<core::KindSpec> actions_;
  core::Spec spec_;
  std::vector<std::string> names_;
  std::map<std::string, std::unique_ptr<Director>> directors_;
  std::vector<std::unique_ptr<Member>> members_;
  std::map<std::string, Health> health_;
  std::set<std::pair<std::string, std::string>> unreachable_;  // member, node
  std::set<std::pair<std::string, std::string>> cut_;          // from, to
  std::map<std::pair<std::string, std::string>, Instant> link_free_;
  std::set<std::string> dead_;
  std::vector<std::shared_ptr<Request>> requests_;
  bool healed_ = false;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
};

}  // namespace fettle::sim
