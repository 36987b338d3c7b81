// HttpConnection: our HTTP/1.1 client path for probes and the CLI: one connection to one target,
// kept open between requests, one request at a time. Framing is llhttp's. Owns its stream and
// timer. A reused connection that dies before its first byte of answer is tried once more on a new
// one (the peer may have closed it as the request left). Never follows redirects, never retries
// otherwise.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "core/time.h"
#include "io/address.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/timer.h"

namespace fettle::io {

struct HttpRequest {
  std::string method = "GET";
  std::string path = "/";
  std::string host;  // the Host header
  std::map<std::string, std::string> headers;
  std::string body;
};

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

/// Why there is no answer. `garbage`: what came is not HTTP, or passed a bound.
struct HttpFailure {
  std::optional<End> end;
  bool garbage = false;
  bool timeout = false;
  std::string text;
};

using HttpResult = std::variant<HttpAnswer, HttpFailure>;

class HttpConnection {
 public:
  static constexpr std::size_t kHeaderBytesMax = 64U * 1024;
  static constexpr std::size_t kInterimMax = 16;

  struct Target {
    std::optional<SockAddress> tcp;
    std::string unix_path;  // used if `tcp` is absent
  };
  using Done = std::function<void(HttpResult)>;

  explicit HttpConnection(Loop& loop);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  void set_body_max(std::size_t bytes) { body_bytes_max_ = bytes; }
  /// Called when a kept idle connection gets FIN or RST.
  void set_on_idle_closed(std::function<void()> fn) { on_idle_closed_ = std::move(fn); }
  /// Called with parts of the body as they come, instead of keeping them (event streams).
  void set_on_body(std::function<void(std::string_view)> fn) { on_body_ = std::move(fn); }
  /// Close the connection after each answer instead of keeping it.
  void set_keep(bool keep) { keep_ = keep; }

  /// Sends one request; `done` is called exactly once, not from within, unless this is destroyed.
  void request(const Target& target, HttpRequest request, core::Duration timeout, Done done);
  bool busy() const { return done_ != nullptr; }

 private:
  struct Parser;

  void connect();
  void send();
  void received(std::string_view bytes);
  void ended(End end, const std::string& text);
  void expired();
  void answered();
  void fail_with(HttpFailure failure);
  void finish(HttpResult result);

  Loop& loop_;
  Timer timer_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Parser> parser_;
  Target target_;
  HttpRequest request_;
  Done done_;
  std::function<void()> on_idle_closed_;
  std::function<void(std::string_view)> on_body_;
  std::size_t body_bytes_max_ = 64U * 1024;
  bool keep_ = true;
  bool reused_ = false;     // this request went out on a kept connection
  bool got_bytes_ = false;  // of this request's answer
};

}  // namespace fettle::io
