// Traffic: what acts on a director mean for a node: what its host is given, what is remembered of
// its answer, the node's admin state once an attempt is closed. Internal to the engine's files.
#pragma once

#include <string>
#include <vector>

#include "core/applying.h"

namespace fettle::core {

bool is_traffic(const std::string& action);

/// The input a director host needs: the director's options, the server, and what was found before.
Options traffic_input(const ServiceSpec& service, const NodeSpec& spec, const NodeState& node,
                      const std::string& host);
/// The director of a service at a host, as one resource a server.
std::string traffic_resource(const ServiceSpec& service, const Options& input);

/// Keeps what a director host found and set.
void remember_director(Applying& ap, const Run& run, const TaskProgress& task,
                       const TaskResult& result);

/// How an attempt ended once every host's part was closed.
struct AttemptEnd {
  bool ok = false;
  bool in_doubt = false;            // some host may have acted
  bool may_repeat = false;          // nothing was done, or doing it again is harmless
  std::vector<std::string> absent;  // director hosts out of reach; the others decide
  std::string reason;
};

/// The node's admin state after a closed traffic attempt.
void settle_traffic(Applying& ap, const Run& run, const AttemptEnd& end);

/// Changes who may give the node traffic, and tells.
void set_admin(Applying& ap, const std::string& node, Admin admin, Owner owner,
               const std::string& reason);

}  // namespace fettle::core
