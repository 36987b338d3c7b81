// Recovery: what is left when a majority of the voters is lost for good. It makes this host's copy
// of the group's state, or a saved one, into a group of one under the next generation. A person's
// deliberate act, on a stopped member (docs/group.md); whatever the lost majority had acknowledged
// and this copy does not hold is gone.
#pragma once

#include <string>

#include "base/result.h"
#include "daemon/member.h"

namespace fettle::daemon {

struct RecoveryOrder {
  std::string cluster;        // must be the member file's, so that nobody recovers the wrong one
  std::string snapshot_file;  // take this state instead of the data directory's; empty: do not
};

/// Answers what it did, as sentences. Refused, Invalid or Conflict: nothing changed.
Result<std::string> recover_alone(const MemberFiles& files, const RecoveryOrder& order);

}  // namespace fettle::daemon
