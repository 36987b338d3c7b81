// KvClients: what clients do with the key-value store, and what they were told, as one history a
// key. A client reads (through ReadIndex), writes, swaps and deletes under a few keys; half of its
// changes are asked again under their idempotency key until there is an answer, and some once more
// long after it; of the others the outcome may stay unknown, and the client retires. Driven by the
// clockwork.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "core/engine.h"
#include "tests/sim/member.h"
#include "tests/support/linearizability.h"

namespace fettle::sim {

class World;

class KvClients {
 public:
  KvClients(World& world, Rng rng) : world_(world), rng_(rng) {}

  void start(std::size_t clients);
  /// The last look at every key: `kv` as all hold it in the end. Then the first key whose history
  /// has no order, or for which none was found in time; empty: every history is linearizable.
  std::string at_end(const core::KvStore& kv);
  /// A change that is to be asked again until it is answered, and is not yet.
  bool waits() const { return waiting_ > 0; }
  std::uint64_t operations() const { return operations_; }

 private:
  using Operation = linearizability::Operation;
  /// One operation on its way.
  struct Asked {
    std::size_t client = 0;
    std::string key;  // of the store
    std::size_t place = 0;
    core::Command command;
    std::string idempotency_key;  // empty: asked once
    bool over = false;            // answered, or given up
    std::uint64_t tries = 0;
  };
  using AskedPtr = std::shared_ptr<Asked>;

  void next(std::size_t client);
  void after_a_while(std::size_t client);
  std::string some_key();
  AskedPtr begin(std::size_t client, Operation operation);
  void read(std::size_t client);
  void change(std::size_t client);
  void ask(const AskedPtr& asked);
  void told(const AskedPtr& asked, const core::ClientAnswer& answer);
  void ask_once_more(const AskedPtr& asked);
  void finish(const AskedPtr& asked);
  void give_up(const AskedPtr& asked);
  Operation& operation(const Asked& asked) { return histories_[asked.key][asked.place]; }

  World& world_;
  Rng rng_;
  std::map<std::string, std::vector<Operation>> histories_;  // by key of the store
  std::vector<std::uint64_t> lives_;                         // of each client
  std::map<std::string, std::uint64_t> seen_;                // the newest revision told, by key
  std::uint64_t operations_ = 0;
  std::uint64_t waiting_ = 0;
};

}  // namespace fettle::sim
