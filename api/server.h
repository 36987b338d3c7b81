// Server: the HTTP listeners (libwebsockets on our loop): loopback TCP, which only reads, and the
// unix socket, which may write. Owns connections and event streams; routes.cc says what they mean.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "api/backend.h"
#include "base/result.h"
#include "core/state.h"
#include "io/loop.h"

namespace fettle::api {

struct ServerConfig {
  std::optional<core::Address> tcp;   // loopback; read-only
  std::string socket;                 // path of the unix socket; empty: none
};

class Server {
 public:
  static constexpr std::size_t kBodyBytesMax = 9U * 1024 * 1024;
  static constexpr int kConnectionsMax = 256;
  /// Bytes that may wait for a slow event stream before it is dropped.
  static constexpr std::size_t kStreamBytesMax = 256U * 1024;

  static Result<std::unique_ptr<Server>> start(io::Loop& loop, Backend& backend,
                                               const ServerConfig& config);
  /// Closes everything; turns the loop for it, so call it when the loop does not run any more.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// New events, for the streams and for those that come back.
  void publish(std::span<const core::Event> events);

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fettle::api
