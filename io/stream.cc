// Happy path: connect or accept → (handshake) → on_open → on_data … → on_end(Eof).
// Failures: refused, reset, timeout, unreachable, our own trouble, TLS refused, a reader too slow.
// TLS runs over two memory BIOs: what the socket gives goes in, pump() moves the state on, what
// OpenSSL has to say goes out. The error queue is cleared before every SSL call: it is per thread.
#include "io/stream.h"

#include <openssl/err.h>

#include <array>
#include <utility>
#include <vector>

#include "base/check.h"

namespace fettle::io {
namespace {

constexpr std::size_t kReadBytes = 64U * 1024;
constexpr std::size_t kRecordBytes = 16384;  // of a TLS record at most (RFC 8446 §5.1)

End end_of(int status) {
  switch (status) {
    case UV_EOF:
      return End::Eof;
    case UV_ECONNREFUSED:
    case UV_ENOENT:
      return End::Refused;
    case UV_ECONNRESET:
    case UV_EPIPE:
    case UV_ECONNABORTED:
      return End::Reset;
    case UV_ETIMEDOUT:
      return End::Timeout;
    case UV_EHOSTUNREACH:
      return End::Unreachable;
    default:
      return End::Local;
  }
}

}  // namespace

std::string_view to_string(End end) {
  switch (end) {
    case End::Eof:
      return "closed";
    case End::Refused:
      return "refused";
    case End::Reset:
      return "reset";
    case End::Timeout:
      return "timeout";
    case End::Unreachable:
      return "unreachable";
    case End::Local:
      return "local trouble";
    case End::Tls:
      return "tls";
    case End::Overflow:
      return "peer does not read";
  }
  return "unknown";
}

struct Stream::Write {
  uv_write_t request{};
  std::string bytes;
  Stream* owner = nullptr;
  std::weak_ptr<bool> alive;
};

Stream::Stream(Loop& loop) : loop_(loop) {}

Stream::~Stream() { *alive_ = false; }

uv_stream_t* Stream::raw() const { return tcp_ ? as_stream(tcp_.get()) : as_stream(pipe_.get()); }

void Stream::make_handle(bool unix_socket) {
  FETTLE_ASSERT_MSG(!tcp_ && !pipe_, "a stream connects once");
  if (unix_socket) {
    auto pipe = std::make_unique<uv_pipe_t>();
    FETTLE_ASSERT(uv_pipe_init(loop_.raw(), pipe.get(), 0) == 0);
    pipe->data = this;
    pipe_ = Handle<uv_pipe_t>(std::move(pipe));
  } else {
    auto tcp = std::make_unique<uv_tcp_t>();
    FETTLE_ASSERT(uv_tcp_init(loop_.raw(), tcp.get()) == 0);
    tcp->data = this;
    tcp_ = Handle<uv_tcp_t>(std::move(tcp));
  }
  timer_.emplace(loop_);
}

void Stream::connect_tcp(const SockAddress& to, StreamEvents events, core::Duration timeout,
                         std::shared_ptr<TlsContext> tls, const std::string& server_name,
                         const std::string& protocol) {
  events_ = std::move(events);
  tls_ = std::move(tls);
  expected_peer_ = server_name;
  protocol_ = protocol;
  make_handle(false);
  limit_opening(timeout);
  auto request = std::make_unique<uv_connect_t>();
  request->data = nullptr;
  const int rc =
      uv_tcp_connect(request.get(), tcp_.get(), to.raw(), [](uv_connect_t* r, int status) {
        const std::unique_ptr<uv_connect_t> owned(r);
        if (r->handle->data != nullptr) static_cast<Stream*>(r->handle->data)->connected(status);
      });
  if (rc == 0) {
    static_cast<void>(request.release());
  } else {
    end_later(end_of(rc), uv_strerror(rc));
  }
}

/// Timers come before sockets in a turn of the loop: the socket is looked at once more, for a busy
/// loop must not blame the peer for a connection that is already there.
void Stream::limit_opening(core::Duration timeout) {
  timer_->start(timeout, [this] {
    timer_->start(std::chrono::milliseconds(1),
                  [this] { end(End::Timeout, "no connection in time"); });
  });
}

void Stream::connect_unix(const std::string& path, StreamEvents events, core::Duration timeout) {
  events_ = std::move(events);
  make_handle(true);
  limit_opening(timeout);
  auto request = std::make_unique<uv_connect_t>();
  uv_pipe_connect(request.release(), pipe_.get(), path.c_str(), [](uv_connect_t* r, int status) {
    const std::unique_ptr<uv_connect_t> owned(r);
    if (r->handle->data != nullptr) static_cast<Stream*>(r->handle->data)->connected(status);
  });
}

void Stream::accept(uv_stream_t* listener, bool unix_socket, StreamEvents events,
                    std::shared_ptr<TlsContext> tls) {
  events_ = std::move(events);
  tls_ = std::move(tls);
  make_handle(unix_socket);
  const int rc = uv_accept(listener, raw());
  if (rc != 0) return end_later(end_of(rc), uv_strerror(rc));
  if (tls_ == nullptr) {
    open_ = true;
    begin_reading();
    return;
  }
  timer_->start(kOpenTimeout, [this] { end(End::Timeout, "no handshake in time"); });
  if (events_.on_client_hello) {
    client_hello_ = [this](std::string_view protocol) { return take_client_hello(protocol); };
  }
  ssl_ = tls_->server_connection(client_hello_ ? &client_hello_ : nullptr);
  begin_reading();
}

/// While it is held nothing is read: what a client sends meanwhile waits in the kernel.
bool Stream::take_client_hello(std::string_view protocol) {
  if (std::exchange(asked_, true)) return !held_;
  held_ = !events_.on_client_hello(protocol);
  if (!held_) return true;
  uv_read_stop(raw());
  timer_->start(kHeldMax, [this] { end(End::Timeout, "the handshake's turn did not come"); });
  return false;
}

void Stream::go_on() {
  if (ended_ || !std::exchange(held_, false)) return;
  timer_->start(kOpenTimeout, [this] { end(End::Timeout, "no handshake in time"); });
  read();
  loop_.post([this, alive = alive_] {
    if (*alive && !ended_) pump();
  });
}

void Stream::connected(int status) noexcept {
  if (ended_ || status == UV_ECANCELED) return;
  if (status != 0) return end(end_of(status), uv_strerror(status));
  if (tcp_) uv_tcp_nodelay(tcp_.get(), 1);
  if (tls_ == nullptr) {
    begin_reading();
    return opened();
  }
  ssl_ = tls_->client_connection(protocol_);
  begin_reading();
  if (!ended_) pump();
}

void Stream::begin_reading() {
  if (tcp_) uv_tcp_nodelay(tcp_.get(), 1);
  if (tls_ != nullptr) {
    if (ssl_ == nullptr) return end_later(End::Local, "no memory for TLS");
    ssl_in_ = BIO_new(BIO_s_mem());
    ssl_out_ = BIO_new(BIO_s_mem());
    FETTLE_ASSERT(ssl_in_ != nullptr && ssl_out_ != nullptr);
    SSL_set_bio(ssl_.get(), ssl_in_, ssl_out_);
  }
  read();
}

void Stream::read() {
  uv_read_start(
      raw(),
      [](uv_handle_t*, std::size_t, uv_buf_t* buffer) {
        // One read at a time on a loop's thread, consumed before the next.
        thread_local std::array<char, kReadBytes> shared;
        *buffer = uv_buf_init(shared.data(), kReadBytes);
      },
      [](uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
        if (stream->data == nullptr || count == 0) return;
        const auto size = count > 0 ? static_cast<std::size_t>(count) : 0;
        static_cast<Stream*>(stream->data)->received(count, {buffer->base, size});
      });
}

void Stream::received(ssize_t count, std::string_view bytes) noexcept {
  if (ended_) return;
  if (count < 0) {
    const int status = static_cast<int>(count);
    const bool cut = status == UV_EOF && ssl_ != nullptr &&
                     (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) == 0;
    if (cut) return end(End::Reset, "cut without a TLS close");
    return end(end_of(status), uv_strerror(status));
  }
  if (ssl_ == nullptr) return events_.on_data(bytes);
  BIO_write(ssl_in_, bytes.data(), static_cast<int>(bytes.size()));
  pump();
}

void Stream::pump() {
  const auto alive = alive_;
  if (!open_ && !handshake()) return;
  if (!*alive || ended_) return;
  read_plain();
}

/// Moves the handshake on; true once it is done.
bool Stream::handshake() {
  ERR_clear_error();
  const int rc = SSL_do_handshake(ssl_.get());
  const int why = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), rc);
  flush_tls();
  if (ended_) return false;
  if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return false;
  if (why == SSL_ERROR_WANT_CLIENT_HELLO_CB) return false;
  if (why != SSL_ERROR_NONE) {
    const long verdict = SSL_get_verify_result(ssl_.get());
    end(End::Tls, verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : tls_error());
    return false;
  }
  peer_name_ = peer_dns_name(ssl_.get());
  if (!expected_peer_.empty() && peer_name_ != expected_peer_) {
    end(End::Tls, "the peer is named '" + peer_name_ + "', not '" + expected_peer_ + "'");
    return false;
  }
  opened();
  return true;
}

void Stream::opened() {
  timer_->stop();
  open_ = true;
  const auto alive = alive_;
  if (events_.on_open) events_.on_open();
  if (!*alive || ended_) return;
  if (!early_.empty()) write(std::exchange(early_, {}));
}

void Stream::read_plain() {
  const auto alive = alive_;
  std::array<char, 16384> plain;
  while (true) {
    ERR_clear_error();
    const int count = SSL_read(ssl_.get(), plain.data(), static_cast<int>(plain.size()));
    if (count > 0) {
      events_.on_data({plain.data(), static_cast<std::size_t>(count)});
      if (!*alive || ended_) return;
      continue;
    }
    const int why = SSL_get_error(ssl_.get(), count);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return flush_tls();
    if (why == SSL_ERROR_ZERO_RETURN) return end(End::Eof, "closed");
    return end(End::Tls, tls_error());
  }
}

void Stream::flush_tls() {
  std::array<char, 16384> bytes;
  while (!ended_) {
    const int count = BIO_read(ssl_out_, bytes.data(), static_cast<int>(bytes.size()));
    if (count <= 0) return;
    write_raw({bytes.data(), static_cast<std::size_t>(count)});
  }
}

void Stream::write(std::string_view bytes) {
  if (ended_ || bytes.empty()) return;
  if (!open_) {
    early_ += bytes;
    if (early_.size() > backlog_bytes_max_) end_later(End::Overflow, "too much before it was open");
    return;
  }
  if (ssl_ == nullptr) return write_raw(bytes);
  const bool first = plain_.empty();
  plain_ += bytes;
  if (plain_.size() >= kRecordBytes) return flush_plain();
  if (!first) return;
  loop_.before_waiting([this, alive = alive_] {
    if (*alive) flush_plain();
  });
}

void Stream::flush_plain() {
  std::string_view left = plain_;
  while (!left.empty() && !ended_) {
    ERR_clear_error();
    const auto part = left.substr(0, kRecordBytes);
    const int count = SSL_write(ssl_.get(), part.data(), static_cast<int>(part.size()));
    if (count <= 0) return end_later(End::Tls, tls_error());
    left.remove_prefix(static_cast<std::size_t>(count));
    flush_tls();
  }
  plain_.clear();
}

void Stream::write_raw(std::string_view bytes) {
  if (backlog_bytes_ == 0) {
    uv_buf_t buffer =
        uv_buf_init(const_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size()));
    const int sent = uv_try_write(raw(), &buffer, 1);
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
    if (bytes.empty()) return;
  }
  if (backlog_bytes_ + bytes.size() > backlog_bytes_max_) {
    return end_later(End::Overflow,
                     "more than " + std::to_string(backlog_bytes_max_) + " bytes wait");
  }
  auto write = std::make_unique<Write>();
  write->bytes = std::string(bytes);
  write->owner = this;
  write->alive = alive_;
  write->request.data = write.get();
  uv_buf_t buffer = uv_buf_init(write->bytes.data(), static_cast<unsigned>(write->bytes.size()));
  backlog_bytes_ += write->bytes.size();
  const int rc = uv_write(&write->request, raw(), &buffer, 1, [](uv_write_t* r, int status) {
    const std::unique_ptr<Write> owned(static_cast<Write*>(r->data));
    const auto alive = owned->alive.lock();
    if (alive && *alive) owned->owner->written(owned->bytes.size(), status);
  });
  if (rc == 0) {
    static_cast<void>(write.release());
  } else {
    end_later(end_of(rc), uv_strerror(rc));
  }
}

void Stream::written(std::size_t bytes, int status) noexcept {
  backlog_bytes_ -= bytes;
  if (ended_) return;
  if (status != 0) return end(end_of(status), uv_strerror(status));
  if (finishing_ && backlog_bytes_ == 0) end(End::Eof, "finished");
}

void Stream::finish() {
  if (ended_ || finishing_) return;
  finishing_ = true;
  if (ssl_ != nullptr && open_) {
    flush_plain();
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    flush_tls();
  }
  if (backlog_bytes_ == 0) return end_later(End::Eof, "finished");
  timer_->start(kOpenTimeout, [this] { end(End::Timeout, "the peer does not read"); });
}

void Stream::reset() {
  ended_ = true;
  timer_.reset();
  if (tcp_) {
    // Closing with a zero linger sends RST; uv_tcp_close_reset would need the handle's own close.
    uv_os_fd_t fd = -1;
    const linger hard{1, 0};
    if (uv_fileno(as_handle(tcp_.get()), &fd) == 0) {
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
  }
  tcp_.reset();
  pipe_.reset();
}

void Stream::end(End how, std::string text) {
  if (ended_) return;
  ended_ = true;
  open_ = false;
  timer_.reset();
  tcp_.reset();
  pipe_.reset();
  const auto on_end = std::move(events_.on_end);
  if (on_end) on_end(how, text);
}

/// A failure inside a call of the owner's is told on the next turn of the loop, never from within.
void Stream::end_later(End how, std::string text) {
  if (ended_) return;
  if (!timer_) timer_.emplace(loop_);
  timer_->start(core::Duration{0}, [this, how, text = std::move(text)] { end(how, text); });
}

}  // namespace fettle::io
