#include "core/lease.h"

#include <algorithm>
#include <variant>

#include "base/check.h"
#include "core/kv.h"

namespace fettle::core {
namespace {

ClientAnswer refused(Code code, std::string text) {
  return {.ok = false, .code = code, .text = std::move(text)};
}

/// The lease, if the holder has it under the token.
Lease* held(State& state, const std::string& name, const std::string& holder, std::uint64_t token) {
  const auto found = state.leases.find(name);
  if (found == state.leases.end()) return nullptr;
  Lease& lease = found->second;
  return lease.holder == holder && lease.token == token ? &lease : nullptr;
}

Status check(const command::LeaseGrant& command) {
  FETTLE_CHECK(check_kv_key(command.name));
  if (command.holder.empty() || command.holder.size() > kLeaseHolderBytesMax) {
    return fail(Code::Invalid,
                "a holder is 1 to " + std::to_string(kLeaseHolderBytesMax) + " bytes");
  }
  if (command.duration < kLeaseMin || command.duration > kLeaseMax) {
    return fail(Code::Invalid,
                "a lease lasts " + to_string(kLeaseMin) + " to " + to_string(kLeaseMax));
  }
  return {};
}

void drop_free_ones(State& state) {
  std::erase_if(state.leases,
                [&](const auto& lease) { return lease_free_at(lease.second) <= state.now; });
}

}  // namespace

bool keeps_answer(const Command& command) {
  if (FETTLE_MUTANT(lease_answer_kept)) return true;
  return !std::holds_alternative<command::LeaseGrant>(command) &&
         !std::holds_alternative<command::LeaseRenew>(command);
}

Duration lease_margin(Duration duration) {
  return FETTLE_MUTANT(lease_given_away_early) ? Duration{0} : duration / kLeaseDrift;
}

Time lease_free_at(const Lease& lease) {
  return lease.renewed + lease.duration + lease_margin(lease.duration);
}

ClientAnswer lease_grant(Applying& ap, const command::LeaseGrant& command) {
  if (const Status good = check(command); !good) {
    return refused(good.error().code, good.error().what);
  }
  State& state = ap.state;
  const auto found = state.leases.find(command.name);
  if (found != state.leases.end() && lease_free_at(found->second) > state.now) {
    Lease& lease = found->second;
    if (lease.holder != command.holder) {
      return refused(Code::Conflict, command.name + " is held by " + lease.holder +
                                         " for another " +
                                         to_string(lease_free_at(lease) - state.now));
    }
    // A shorter duration must not end what the holder was promised before.
    const Time promised = lease_free_at(lease);
    lease.duration = command.duration;
    lease.renewed = state.now;
    if (lease_free_at(lease) < promised) {
      lease.renewed = promised - command.duration - lease_margin(command.duration);
    }
    return {.text = "renewed", .number = lease.token};
  }
  if (found == state.leases.end() && state.leases.size() >= kLeasesMax) {
    drop_free_ones(state);
    if (state.leases.size() >= kLeasesMax) {
      return refused(Code::Refused, "there are " + std::to_string(kLeasesMax) + " leases already");
    }
  }
  const bool again = found != state.leases.end() && FETTLE_MUTANT(lease_token_repeats);
  const std::uint64_t token = again ? found->second.token : ap.index.value;
  state.leases.insert_or_assign(command.name,
                                Lease{command.holder, command.duration, state.now, token});
  return {.text = "granted", .number = token};
}

ClientAnswer lease_renew(Applying& ap, const command::LeaseRenew& command) {
  Lease* lease = held(ap.state, command.name, command.holder, command.token);
  if (lease == nullptr) {
    return refused(Code::Conflict, command.name + " is not held by " + command.holder +
                                       " under token " + std::to_string(command.token));
  }
  // Past its time it is still nobody else's: then it goes on.
  if (FETTLE_MUTANT(lease_renewal_forgotten)) return {.text = "renewed", .number = lease->token};
  lease->renewed = std::max(lease->renewed, ap.state.now);
  return {.text = "renewed", .number = lease->token};
}

ClientAnswer lease_release(Applying& ap, const command::LeaseRelease& command) {
  const bool mine = held(ap.state, command.name, command.holder, command.token) != nullptr;
  if (!mine) return {.text = "not held"};
  ap.state.leases.erase(command.name);
  return {.text = "released", .number = command.token};
}

}  // namespace fettle::core
