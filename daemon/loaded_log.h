// What a voter's own log says at its start, before anything of it is known to be committed.
#pragma once

#include <map>
#include <string>

#include "store/group_store.h"

namespace fettle::daemon {

/// The index of the log's last entry, or the snapshot's.
Index newest_of(const store::LoadedGroup& loaded);
/// The term of the log's last entry, or the snapshot's.
Term newest_term_of(const store::LoadedGroup& loaded);
/// Name → incarnation, as the entries after the snapshot say; empty of one that they remove.
std::map<std::string, std::string> incarnations_in(const store::LoadedGroup& loaded);

}  // namespace fettle::daemon
