// Server: the HTTP listeners (libwebsockets on our loop): TCP, which only reads, and the unix
// socket, which may write. Owns connections, their bounds and the event streams; routes.cc says
// what requests mean. Lives on the work loop: started, told of events and destroyed on its thread.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "api/backend.h"
#include "base/result.h"
#include "core/effect.h"
#include "core/state.h"
#include "io/loop.h"

namespace fettle::api {

struct ServerConfig {
  std::optional<core::Address> tcp;  // loopback; read-only
  std::string socket;                // path of the unix socket (0660, group `fettle` if it exists)
  /// How long a client may take for its header, and between the parts of its body or of our answer.
  std::chrono::seconds client_timeout{10};
};

class Server {
 public:
  static constexpr std::size_t kBodyBytesMax = 9U * 1024 * 1024;
  static constexpr unsigned short kHeaderBytesMax = 16U * 1024;
  /// Connections at once; the local socket has its own, so that TCP cannot lock an operator out.
  static constexpr int kTcpConnectionsMax = 192;
  static constexpr int kLocalConnectionsMax = 320;
  /// Event streams and watches at once; a watch may begin with all of the store.
  static constexpr int kStreamsMax = 128;
  static constexpr int kWatchesMax = 32;

  static Result<std::unique_ptr<Server>> start(io::Loop& loop, Backend& backend,
                                               const ServerConfig& config);
  /// Closes every connection and turns the loop for it: call it while the loop is not running.
  /// Answers of the backend that come later find nobody.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// New events, in order: for the streams, and kept (EventRing::kKept) for those that come back.
  void publish(std::span<const core::Event> events);
  /// New changes of the key-value store, in order: for those who watch it.
  void publish(std::span<const core::effect::KvChanged> changes);
  /// The store is now as a snapshot has it, at `revision`: a watcher of before begins anew.
  void skip_changes_to(std::uint64_t revision);

 private:
  struct Http;
  explicit Server(std::unique_ptr<Http> http);
  std::unique_ptr<Http> http_;
};

}  // namespace fettle::api
