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
#include "tests/sim/kv_clients.h"
#include "tests/sim/lease_clients.h"
#include "tests/sim/member.h"
#include "tests/sim/profile.h"
#include "tests/sim/spec_changes.h"
#include "tests/sim/surroundings.h"
#include "tests/support/raft_invariants.h"

namespace fettle::sim {

struct Outcome {
  std::string violation;  // empty: all held
  std::uint64_t trace_hash = 0;
  Counts counts;
};

class World {
 public:
  /// `profile`: one of profile_names().
  World(std::uint64_t seed, std::size_t members, const std::string& profile, bool tracing);

  Outcome run();

  // For members.
  Clockwork& clock() { return clock_; }
  Checks& checks() { return checks_; }
  Counts& counts() { return counts_; }
  raft::RaftInvariants& raft_checks() { return raft_checks_; }
  Director& director(const std::string& host) { return *directors_.at(host); }
  /// Who founds the group.
  const std::vector<std::string>& names() const { return names_; }
  const raft::Config& raft_config() const { return raft_config_; }
  const std::vector<core::KindSpec>& actions() const { return actions_; }
  const core::Spec& spec() const { return spec_; }
  bool tracing() const { return tracing_; }
  const Profile& profile() const { return profile_; }
  bool healed() const { return healed_; }
  /// The member that a client asks: mostly one that leads.
  Member& door(Rng& rng);
  /// As bytes.
  void send(const std::string& from, const std::string& to, const Packet& packet);
  bool compacts_now() { return rng_.chance(profile_.compact_percent); }
  /// A change of the members was committed; whoever was removed is switched off before long.
  void members_changed();
  Health health_of(const std::string& node) const { return health_.at(node); }
  bool cannot_reach(const std::string& member, const std::string& node) const {
    return unreachable_.contains({member, node});
  }
  /// One that the operator just named.
  void begin_node(const std::string& node) { health_.try_emplace(node, Health::Up); }
  const std::string& some_founder(Rng& rng) const {
    return names_[rng.between(0, names_.size() - 1)];
  }
  /// A person's command, asked under a key of its own until somebody answers.
  void ask_for(core::Command command);
  /// The member met what its version does not know, and ends.
  void halts(Member& member, const std::string& why);
  /// The member tells the leader what its version supports.
  void says_level(const std::string& member, std::uint32_t level);
  /// An executor has come to the next point of a task.
  void may_kill(Member& member);
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
  Member& add_member(const std::string& name, std::shared_ptr<const raft::Snapshot> first);
  void make_spec();
  bool wind(Instant until);
  void count_members();
  void heal();
  void let_stay_dead();
  bool may_stay_dead(const Member& member);
  std::string not_converged(const core::State& state, const std::string& node) const;
  Member* member_named(const std::string& name) const;
  bool await_convergence();
  std::string not_converged() const;
  /// So many of its observers are dead for ever that no quorum of them can speak: absence changes
  /// no verdict, and below level 2 nobody takes their place.
  bool lost_its_observers(const core::State& state, const core::NodeState& node) const;
  /// More than half of the nodes are down for good: a panic rightly goes on holding every act.
  bool panic_stays(const core::State& state) const;
  const Member* only_leader() const;
  std::string violation() const;

  // membership.cc
  void order_something();
  void change_members(Member& leader);
  void add_someone(Member& leader);
  void remove_someone(Member& leader);
  void tell_of_death(const std::string& name);

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
  void start_later(Member& member, Instant delay);

  // faults.cc
  bool blow_specially();
  void fill_disk(Member& member);
  void damage_disk(Member& member);
  void jump_wall(Member& member);
  void draw_versions();
  void change_version(Member& member);
  void upgrade_all();
  void ask_something();
  core::Command some_command();
  const core::Spec& newest_spec() const;
  void ask(const std::shared_ptr<Request>& request);

  Rng rng_;
  bool tracing_;
  Profile profile_;
  raft::Config raft_config_;
  Counts counts_;
  Clockwork clock_;
  Checks checks_;
  raft::RaftInvariants raft_checks_;
  std::vector<core::KindSpec> actions_;
  core::Spec spec_;
  std::vector<std::string> names_;
  std::size_t joined_ = 0;         // how many came later
  std::set<std::string> removed_;  // will be switched off, or are
  std::map<std::string, std::unique_ptr<Director>> directors_;
  std::vector<std::unique_ptr<Member>> members_;
  std::map<std::string, Health> health_;
  std::set<std::pair<std::string, std::string>> unreachable_;  // member, node
  std::set<std::pair<std::string, std::string>> cut_;          // from, to
  std::map<std::pair<std::string, std::string>, Instant> link_free_;
  std::set<std::string> dead_;
  std::vector<std::shared_ptr<Request>> requests_;
  KvClients kv_clients_;
  LeaseClients lease_clients_;
  SpecChanges spec_changes_;
  std::map<std::string, std::uint32_t> said_level_;  // the highest ever, by member
  std::string stays_old_;                            // a member that nobody upgrades
  bool healed_ = false;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
};

}  // namespace fettle::sim
