// Lease: what at most one holder has at a time, by name: a lock, a virtual address, an exclusive
// unit (DESIGN §6). Granted, renewed and released by committed entries, and timed by engine time.
//
// Why there are never two holders. The holder counts `duration` by its own clock from before it
// sent the request whose grant or renewal it was told of. The group gives the lease away once
// engine time has moved by duration + margin since the entry that granted or renewed it last.
// - Engine time never runs ahead of real time between two entries: a leader stamps with the newest
//   stamp of another leader that it applied, plus what its own clock moved since it applied that
//   (core/engine_clock.h), and nobody applies an entry before it was stamped. What passed while an
//   entry was on its way to a later leader is left out; a start or a snapshot counts from then.
// - A leader stamps only after it applied every entry of earlier terms, so a new one goes on from
//   the last renewal that can have been committed, and needs no first wait of its own: of the time
//   before it applied that renewal it counts nothing.
// - The renewal was stamped after its holder sent it, so the group's count begins later than the
//   holder's. The margin is for clocks whose rates differ, by up to one in kLeaseDrift.
// - What a request under a repeated Idempotency-Key is answered is never an old answer: the holder
//   may count from before it asked again (keeps_answer()).
// Against more than that (a virtual machine that stood still with its clock, a holder that cannot
// stop in time) there is the token: it grows with every grant, and what is guarded refuses an older
// one.
#pragma once

#include <cstddef>

#include "core/applying.h"
#include "core/command.h"

namespace fettle::core {

inline constexpr Duration kLeaseDefault = std::chrono::seconds(3);
inline constexpr Duration kLeaseMin = std::chrono::seconds(1);
inline constexpr Duration kLeaseMax = std::chrono::hours(1);
inline constexpr std::int64_t kLeaseDrift = 10;
inline constexpr std::size_t kLeasesMax = 4096;
inline constexpr std::size_t kLeaseHolderBytesMax = 256;

/// Whether the answer to `command` is kept under its client's key. Of a grant and a renewal it is
/// not: it would be told again when what it tells of is over. Both may be done again instead.
bool keeps_answer(const Command& command);

/// How much longer than its duration a lease is kept for its holder.
Duration lease_margin(Duration duration);
/// Engine time from which on somebody else may have it.
Time lease_free_at(const Lease& lease);

/// Answers the token; of the holder itself it is a renewal. Conflict: somebody else has it.
/// Invalid: a name (as a key's, core/kv.h), holder or duration that is none. Refused: there are too
/// many.
ClientAnswer lease_grant(Applying& ap, const command::LeaseGrant& command);
/// Answers the token. Conflict: it is not, or no longer, this holder's under this token.
ClientAnswer lease_renew(Applying& ap, const command::LeaseRenew& command);
/// The holder has stopped: somebody else may have it at once. Releasing what one does not hold
/// changes nothing.
ClientAnswer lease_release(Applying& ap, const command::LeaseRelease& command);

}  // namespace fettle::core
