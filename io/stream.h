// Stream: one TCP or unix-socket connection, plain or TLS 1.3. Owns its handle, its TLS state and
// what waits to be written; knows nothing of what the bytes mean. Callbacks come on the loop's
// thread, never from inside the call that started them; after on_end nothing more comes. It may be
// destroyed inside any of its callbacks; destroying it cancels and is silent.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "core/time.h"
#include "io/address.h"
#include "io/handle.h"
#include "io/loop.h"
#include "io/timer.h"
#include "io/tls.h"

namespace fettle::io {

/// How a connection ended, or why there was none; a probe tells these apart.
enum class End : std::uint8_t {
  Eof,          // the peer closed in an orderly way
  Refused,      // nobody listens (or no such unix socket)
  Reset,        // RST, broken pipe, or TLS cut without a close
  Timeout,      // no connection or handshake in time
  Unreachable,  // the network says the host cannot be reached
  Local,        // our own trouble: descriptors, ports, routes, permission
  Tls,          // the handshake or a record was refused
  Overflow,     // the peer did not read: the bound on unwritten bytes was passed
};
std::string_view to_string(End end);

struct StreamEvents {
  std::function<void()> on_open;  // connected, and the handshake is done
  std::function<void(std::string_view)> on_data;
  std::function<void(End, const std::string&)> on_end;  // with the system's text
  /// Of a server with TLS: a client's first message is here (ClientHelloSeen), asked once. False:
  /// the handshake waits, and nothing is read, until go_on(). Must not destroy the stream.
  ClientHelloSeen on_client_hello;
};

class Stream {
 public:
  /// Bytes that may wait for a slow reader before the stream is given up.
  static constexpr std::size_t kBacklogBytesMax = 64U * 1024 * 1024;
  static constexpr core::Duration kOpenTimeout = std::chrono::seconds(5);
  /// A handshake that is made to wait ends after this.
  static constexpr core::Duration kHeldMax = std::chrono::seconds(15);

  explicit Stream(Loop& loop);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Sets the bound on unwritten bytes (default kBacklogBytesMax).
  void set_backlog_max(std::size_t bytes) { backlog_bytes_max_ = bytes; }

  /// Connects; with `tls` as a client that accepts only a server named `server_name`, and names
  /// `protocol` to it unless that is empty.
  void connect_tcp(const SockAddress& to, StreamEvents events,
                   core::Duration timeout = kOpenTimeout, std::shared_ptr<TlsContext> tls = nullptr,
                   const std::string& server_name = "", const std::string& protocol = "");
  void connect_unix(const std::string& path, StreamEvents events,
                    core::Duration timeout = kOpenTimeout);
  /// Takes over an accepted connection; with `tls` as the server of a mutual handshake.
  void accept(uv_stream_t* listener, bool unix_socket, StreamEvents events,
              std::shared_ptr<TlsContext> tls = nullptr);

  /// Goes on with a handshake that on_client_hello held.
  void go_on();

  /// Queues bytes; they leave as soon as the socket takes them, with TLS at the end of the loop's
  /// turn: what is written in one turn goes in as few records as it fits. Nothing after on_end.
  void write(std::string_view bytes);
  /// Closes once everything written has left (or at once if the peer does not read).
  void finish();
  /// Drops the connection with RST: leaves no TIME_WAIT behind. Silent.
  void reset();

  bool open() const { return open_; }
  std::size_t backlog() const { return backlog_bytes_ + plain_.size(); }
  /// The first DNS name in the verified peer certificate; empty without TLS.
  const std::string& peer_name() const { return peer_name_; }

 private:
  struct Write;

  uv_stream_t* raw() const;
  void make_handle(bool unix_socket);
  void limit_opening(core::Duration timeout);
  void connected(int status) noexcept;
  void begin_reading();
  void read();
  bool take_client_hello(std::string_view protocol);
  void received(ssize_t count, std::string_view bytes) noexcept;
  void pump();
  bool handshake();
  void read_plain();
  void flush_plain();
  void flush_tls();
  void write_raw(std::string_view bytes);
  void written(std::size_t bytes, int status) noexcept;
  void opened();
  void end(End end, std::string text);
  void end_later(End end, std::string text);

  Loop& loop_;
  Handle<uv_tcp_t> tcp_;
  Handle<uv_pipe_t> pipe_;
  std::optional<Timer> timer_;
  StreamEvents events_;
  std::shared_ptr<TlsContext> tls_;
  SslPtr ssl_;
  BIO* ssl_in_ = nullptr;   // owned by ssl_
  BIO* ssl_out_ = nullptr;  // owned by ssl_
  ClientHelloSeen client_hello_;
  bool asked_ = false;  // on_client_hello, once
  bool held_ = false;   // by its answer
  std::string expected_peer_;
  std::string protocol_;
  std::string peer_name_;
  std::string early_;  // written before the handshake was done
  std::string plain_;  // written in this turn, not yet encrypted
  std::size_t backlog_bytes_ = 0;
  std::size_t backlog_bytes_max_ = kBacklogBytesMax;
  bool open_ = false;
  bool ended_ = false;
  bool finishing_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fettle::io
