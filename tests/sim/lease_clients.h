// LeaseClients: would-be holders of a few leases, each with a clock that goes wrong within the
// bound that a lease allows for. A holder asks, renews now and then, and at some point releases, or
// just stops renewing; what is not answered it may ask again under the same key, and counts from
// there. Checked whenever one is told that it has a lease: no other believes so.
// Driven by the clockwork.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "core/engine.h"
#include "tests/sim/clockwork.h"

namespace fettle::sim {

class World;

class LeaseClients {
 public:
  LeaseClients(World& world, Rng rng) : world_(world), rng_(rng) {}

  /// `drift_ppm`: how much faster or slower a holder's clock may go.
  void start(std::size_t holders, std::uint64_t drift_ppm);
  std::uint64_t grants() const { return grants_; }

 private:
  struct Request {
    std::string key;
    core::Command command;
    core::Duration duration;
  };
  struct Holder {
    std::string lease;
    std::string name;
    std::uint64_t life = 1;      // after a release it is somebody else
    std::int64_t clock_ppm = 0;  // what its clock gains
    Instant believes_until{0};   // that it has the lease, as world time
    std::uint64_t token = 0;
    std::uint64_t renewals = 0;   // left
    std::uint64_t asked = 0;      // the newest request; answers to older ones are not looked at
    Instant patience{0};          // until then its answer may come
    std::optional<Request> open;  // not answered yet; it may be asked again, under its key
  };

  void beat(std::size_t at);
  void act(std::size_t at);
  void ask(std::size_t at, core::Command command, core::Duration duration);
  void ask(std::size_t at, const Request& request);
  void told(std::size_t at, Instant asked, core::Duration duration,
            const core::ClientAnswer& answer);
  void release(std::size_t at);

  World& world_;
  Rng rng_;
  std::vector<Holder> holders_;
  /// The newest told, and whose it is, by lease.
  std::map<std::string, std::pair<std::uint64_t, std::string>> newest_;
  std::uint64_t grants_ = 0;
  std::uint64_t requests_ = 0;
};

}  // namespace fettle::sim
