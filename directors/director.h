// Director: what spreads traffic over nodes, as one member steers it. Asynchronous; every call is
// answered exactly once by its deadline, on the loop, never from within; destroying it is silent.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/kind.h"
#include "core/model.h"
#include "core/time.h"
#include "io/loop.h"
#include "io/resolver.h"

namespace fettle::directors {

using core::ServerAdmin;

/// The real state of one server, over all its backends.
struct ServerState {
  std::string process;  // the director's pid: a new one is a restart
  ServerAdmin admin = ServerAdmin::Mixed;
  bool running = false;  // it takes traffic
};

/// What a director holds, of all its servers.
struct Survey {
  std::string process;
  std::map<std::string, ServerState> servers;  // by server; one that a backend lacks is left out
};

class Director {
 public:
  virtual ~Director() = default;
  /// Unreachable or Timeout: nothing is known of it. NotFound: it has no such server.
  virtual void read(const std::string& server, core::Duration timeout,
                    std::function<void(Result<ServerState>)> done) = 0;
  virtual void survey(core::Duration timeout, std::function<void(Result<Survey>)> done) = 0;
  /// Sets the state and, if asked, ends the sessions that are on the server.
  virtual void set(const std::string& server, ServerAdmin wanted, bool end_sessions,
                   core::Duration timeout, std::function<void(Status)> done) = 0;
};

/// What directors need of the member that steers them; outlives them.
struct DirectorContext {
  io::Loop& loop;
  io::Resolver& resolver;
};

const std::vector<core::KindSpec>& kinds();
/// A director of the kind, with the options of the service's `traffic`.
Result<std::unique_ptr<Director>> make(const std::string& kind, const core::Options& options,
                                       const DirectorContext& context);

}  // namespace fettle::directors
