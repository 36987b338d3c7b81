// Listener: accepts TCP or unix-socket connections and hands each out as a Stream. Owns the socket
// and, for a unix path, the file. The caller owns the streams.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "io/address.h"
#include "io/stream.h"

namespace fettle::io {

class Listener {
 public:
  static constexpr int kBacklog = 128;
  /// The stream is not open yet: the callee sets its events by calling `accept` in turn.
  using OnAccept = std::function<void(uv_stream_t* listener, bool unix_socket)>;

  explicit Listener(Loop& loop) : loop_(loop) {}
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// Listens on a TCP address (SO_REUSEADDR). `on_accept` must call Stream::accept with its
  /// arguments.
  Status listen_tcp(const SockAddress& at, OnAccept on_accept);
  /// Listens on a unix socket with mode 0660; a stale file is removed.
  Status listen_unix(const std::string& path, OnAccept on_accept);

 private:
  Status listening(int rc, const std::string& where);

  Loop& loop_;
  Handle<uv_tcp_t> tcp_;
  Handle<uv_pipe_t> pipe_;
  OnAccept on_accept_;
};

}  // namespace fettle::io
