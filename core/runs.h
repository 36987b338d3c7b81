// Runs: the one transition function of a playbook run, as steps of apply() (DESIGN §8). A run is
// data in the state; nothing waits for it. Before a further attempt, a cancel's end or the next
// step the current attempt is closed: every host answered, or its deadline and a margin have
// passed.
#pragma once

#include <string>

#include "core/applying.h"
#include "core/command.h"

namespace fettle::core {

/// A host that has not answered this long after its deadline is out of reach; it enforces the
/// deadline itself, so by then it does not act any more.
inline constexpr Duration kTaskMargin = std::chrono::seconds(2);

struct RunOrder {
  PlaybookSpec playbook;
  std::string node;
  Mode mode = Mode::Enforce;
  bool by_person = false;
  bool force = false;
  std::string reason;
  std::vector<std::string> hosts{};  // only these director hosts; empty: all of them
  std::uint32_t first_step = 0;      // those before it are skipped: an earlier run did them
};

/// Decides a run and takes it as far as it goes in this entry. Observe mode writes down what would
/// be done and ends.
RunId start_run(Applying& ap, RunOrder order);

/// A host's answer. One to a closed attempt is noted and not applied.
void task_finished(Applying& ap, const command::TaskFinished& event);

/// Stops the run: open tasks are cancelled at their hosts and closed first.
void cancel_run(Applying& ap, RunId id, const std::string& reason);

/// The node's open runs, the oldest first.
std::vector<RunId> open_runs_of(const State& state, const std::string& node);

/// Stops every open run of the node.
void cancel_runs_of(Applying& ap, const std::string& node, const std::string& reason);

/// What time or a changed verdict, limit or freeze lets happen: retries, deadlines, waits.
void continue_run(Applying& ap, RunId id);

/// When the run next needs the clock (kNever: it does not).
Time run_due(const State& state, const Run& run);

/// The director hosts of a service: as the spec says, or every member whose allow-list holds it;
/// none if the service has no traffic.
std::vector<std::string> director_hosts(const State& state, const ServiceSpec& service);

/// The host is one of the service's director hosts.
bool has_director(const State& state, const ServiceSpec& service, const std::string& host);

}  // namespace fettle::core
