// Surroundings: what Fettle looks at and acts on, kept outside every member: the nodes, one fake
// HAProxy and program runner a host, and the receiver of alerts. Acts take time and sometimes fail;
// what they changed stays changed whoever crashes. Driven by members and by the world's chaos.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "core/executor.h"
#include "tests/sim/checks.h"
#include "tests/sim/clockwork.h"

namespace fettle::sim {

enum class Health : std::uint8_t { Up, Dead, Hung };

class Director {
 public:
  using Done = std::function<void(core::TaskResult)>;

  Director(Clockwork& clock, Rng rng, Checks& checks, std::string host)
      : clock_(clock), rng_(rng), checks_(checks), host_(std::move(host)) {}

  /// Starts the act of one task; `done` follows exactly once unless the process crashes.
  void act(const core::Task& task, Done done);
  void kill(const core::TaskKey& key);
  core::Finding inspect(const core::JournalEntry& entry);
  /// The member's process ended: each act under way has reached the director, or never will.
  void crash();

  /// The act of this key is under way and has taken effect.
  bool has_begun(const core::TaskKey& key) const {
    const auto found = acts_.find(key);
    return found != acts_.end() && found->second.effective;
  }
  bool is_out(const std::string& server) const { return out_.contains(server); }
  std::string process() const { return std::to_string(process_); }
  /// A new process: nothing that was set is kept.
  void restart();
  /// A person at its socket.
  void person_sets(const std::string& server, bool out);
  void set_troubled(bool troubled) { troubled_ = troubled; }

 private:
  struct Act {
    core::Task task;
    Done done;
    bool effective = false;
    bool was_out = false;  // before it took effect
    std::uint64_t number = 0;
  };
  bool is_foreign(const core::Task& task) const;
  void take_effect(Act& act);
  void end(const core::TaskKey& key, core::TaskResult result);

  Clockwork& clock_;
  Rng rng_;
  Checks& checks_;
  std::string host_;
  bool troubled_ = true;
  std::uint64_t number_ = 0;
  std::uint64_t process_ = 1;
  std::map<std::string, core::TaskKey> out_;  // servers in maint, and whose act it was
  std::map<core::TaskKey, Act> acts_;
};

}  // namespace fettle::sim
