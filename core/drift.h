// Drift: what directors hold, beside what the log wants of them (CONTRACT "HAProxy", "Several
// directors"). The same process with another state: a person did it, and it is adopted, never
// overwritten. A new process, or one that was out of reach: it is brought to the wanted state, by a
// run of the leader. Only a look that began after the node's last traffic act was closed counts.
#pragma once

#include <string>
#include <vector>

#include "core/applying.h"
#include "core/command.h"

namespace fettle::core {

/// Takes what a host saw at its directors.
void take_directors(Applying& ap, const command::ReportDirectors& report);

/// Compares the node's directors with what the log wants: adopts what a person did, marks hosts
/// that must be brought to the wanted state.
void reconcile(Applying& ap, const std::string& node);

/// The pending hosts of the node whose director can be reached now.
std::vector<std::string> returned_hosts(const State& state, const std::string& node);

/// The views of the report that the log does not hold yet, or holds from before the last act: what
/// a leader proposes.
command::ReportDirectors news_of(const State& state, const command::ReportDirectors& report);

/// The directors that `member` owns, with the servers to look at there.
std::vector<DirectorWatch> director_watches(const State& state, const std::string& member);

}  // namespace fettle::core
