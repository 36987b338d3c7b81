#include "tests/sim/lease_clients.h"

#include <utility>

#include "core/lease.h"
#include "tests/sim/world.h"

namespace fettle::sim {
namespace {

constexpr std::size_t kHoldersPerLease = 3;
constexpr Instant kPatience = milliseconds(300);

}  // namespace

void LeaseClients::start(std::size_t holders, std::uint64_t drift_ppm) {
  for (std::size_t at = 0; at < holders; ++at) {
    Holder holder;
    holder.lease = "l" + std::to_string(at / kHoldersPerLease + 1);
    holder.name = "h" + std::to_string(at + 1);
    const auto ppm = static_cast<std::int64_t>(rng_.between(0, 2 * drift_ppm));
    holder.clock_ppm = ppm - static_cast<std::int64_t>(drift_ppm);
    holders_.push_back(std::move(holder));
    beat(at);
  }
}

void LeaseClients::beat(std::size_t at) {
  world_.clock().after(milliseconds(rng_.between(15, 60)), [this, at] {
    if (world_.healed()) return;
    act(at);
    beat(at);
  });
}

void LeaseClients::act(std::size_t at) {
  Holder& holder = holders_[at];
  const Instant now = world_.clock().now();
  if (holder.patience > now) return;
  if (holder.open && rng_.chance(60)) return ask(at, Request{*holder.open});
  const std::string name = holder.name + "-" + std::to_string(holder.life);
  if (holder.believes_until <= now) {
    const auto duration = milliseconds(rng_.between(1000, 1600));
    return ask(at, core::command::LeaseGrant{holder.lease, name, duration}, duration);
  }
  if (holder.believes_until - now > milliseconds(700)) return;
  if (holder.renewals > 0) {
    --holder.renewals;
    const core::Duration duration = core::kLeaseMin;  // of the new grant; a renewal keeps the old
    if (rng_.chance(50)) {
      return ask(at, core::command::LeaseGrant{holder.lease, name, duration}, duration);
    }
    return ask(at, core::command::LeaseRenew{holder.lease, name, holder.token}, duration);
  }
  if (rng_.chance(4)) release(at);
}

void LeaseClients::ask(std::size_t at, core::Command command, core::Duration duration) {
  ask(at, Request{"lease-" + std::to_string(++requests_), std::move(command), duration});
}

void LeaseClients::ask(std::size_t at, const Request& request) {
  Holder& holder = holders_[at];
  holder.open = request;
  const Instant now = world_.clock().now();
  holder.patience = now + kPatience;
  const std::uint64_t number = ++holder.asked;
  world_.door(rng_).ask(request.key, request.command,
                        [this, at, number, now, duration = request.duration](
                            const std::optional<core::ClientAnswer>& answer) {
                          if (holders_[at].asked != number || !answer) return;
                          holders_[at].patience = Instant{0};
                          holders_[at].open.reset();
                          if (answer->ok) told(at, now, duration, *answer);
                        });
}

/// It has the lease for the duration by its own clock, from before it asked.
void LeaseClients::told(std::size_t at, Instant asked, core::Duration duration,
                        const core::ClientAnswer& answer) {
  Holder& holder = holders_[at];
  const Instant now = world_.clock().now();
  constexpr std::int64_t kMillion = 1'000'000;
  const Instant until = asked + duration * kMillion / (kMillion + holder.clock_ppm);
  if (until <= now) return;
  for (const Holder& other : holders_) {
    if (&other == &holder || other.lease != holder.lease || other.believes_until <= now) continue;
    world_.checks().broken(holder.lease + " has two holders: " + other.name + " by token " +
                           std::to_string(other.token) + " for another " +
                           core::to_string(other.believes_until - now) + ", and now " +
                           holder.name + " by token " + std::to_string(answer.number));
  }
  auto& [newest, whose] = newest_[holder.lease];
  const std::string name = holder.name + "-" + std::to_string(holder.life);
  if (answer.number < newest || (answer.number == newest && name != whose)) {
    world_.checks().broken(name + " got the token " + std::to_string(answer.number) + " of " +
                           holder.lease + " after " + whose + " had got " + std::to_string(newest));
  }
  newest = answer.number;
  whose = name;
  if (holder.believes_until <= now) {
    ++grants_;
    holder.renewals = rng_.between(0, 3);
  }
  holder.token = answer.number;
  holder.believes_until = std::max(holder.believes_until, until);
  world_.note(holder.name, "has " + holder.lease + " by token " + std::to_string(holder.token));
}

/// It has stopped before it says so; whatever it asked before, nobody waits for.
void LeaseClients::release(std::size_t at) {
  Holder& holder = holders_[at];
  world_.note(holder.name, "releases " + holder.lease);
  const std::string name = holder.name + "-" + std::to_string(holder.life);
  ++holder.life;
  ++holder.asked;
  holder.open.reset();
  holder.believes_until = Instant{0};
  world_.door(rng_).ask("", core::command::LeaseRelease{holder.lease, name, holder.token},
                        [](const std::optional<core::ClientAnswer>&) {});
}

}  // namespace fettle::sim
