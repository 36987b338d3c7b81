// Happy path: (connect) → send → head → body → answer; the connection stays for the next request.
// Failures: no connection, reset or closed before the end, not HTTP, a bound passed, no answer in
// time. When the timer fires the socket is read once more before it counts as a timeout: a busy
// loop must not blame the target for an answer that was already here.
#include "io/http_client.h"

#include <llhttp.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace fettle::io {

struct HttpConnection::Parser {
  llhttp_t state{};
  llhttp_settings_t settings{};
  HttpAnswer answer;
  std::string field;
  std::string value;
  std::size_t header_bytes = 0;
  std::size_t body_bytes_max = 0;
  std::function<void(std::string_view)>* on_body = nullptr;
  std::size_t interim = 0;
  bool head_request = false;
  bool complete = false;
  bool keep = false;
  std::string refused;

  Parser() {
    llhttp_settings_init(&settings);
    settings.on_header_field = [](llhttp_t* p, const char* at, size_t size) {
      return self(p).header(self(p).field, {at, size});
    };
    settings.on_header_value = [](llhttp_t* p, const char* at, size_t size) {
      return self(p).header(self(p).value, {at, size});
    };
    settings.on_header_value_complete = [](llhttp_t* p) { return self(p).keep_header(); };
    settings.on_headers_complete = [](llhttp_t* p) { return self(p).head_request ? 1 : 0; };
    settings.on_status = [](llhttp_t* p, const char*, size_t size) { return self(p).count(size); };
    settings.on_body = [](llhttp_t* p, const char* at, size_t size) {
      return self(p).body({at, size});
    };
    settings.on_message_complete = [](llhttp_t* p) {
      if (is_interim(p->status_code)) return self(p).skip_interim();
      self(p).complete = true;
      self(p).keep = llhttp_should_keep_alive(p) != 0;
      self(p).answer.status = p->status_code;
      return static_cast<int>(HPE_PAUSED);
    };
    llhttp_init(&state, HTTP_RESPONSE, &settings);
    state.data = this;
  }
  static Parser& self(llhttp_t* p) { return *static_cast<Parser*>(p->data); }
  /// 1xx announce the answer and are none (RFC 9110 §15.2), save for 101, which we never ask for.
  static bool is_interim(int status) {
    constexpr int kSwitching = 101;
    constexpr int kFirstFinal = 200;
    return status < kFirstFinal && status != kSwitching;
  }
  int skip_interim() {
    answer.headers.clear();
    if (++interim <= kInterimMax) return 0;
    refused = "more than " + std::to_string(kInterimMax) + " answers of the kind 1xx";
    return -1;
  }
  int count(std::size_t size) {
    header_bytes += size;
    if (header_bytes <= kHeaderBytesMax) return 0;
    refused = "its header is larger than " + std::to_string(kHeaderBytesMax) + " bytes";
    return -1;
  }
  int header(std::string& into, std::string_view bytes) {
    into += bytes;
    return count(bytes.size());
  }
  int keep_header() {
    std::ranges::transform(field, field.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    answer.headers.insert_or_assign(std::exchange(field, {}), std::exchange(value, {}));
    return 0;
  }
  int body(std::string_view bytes) {
    if (*on_body) {
      answer.status = state.status_code;
      (*on_body)(bytes);
      return 0;
    }
    if (answer.body.size() + bytes.size() > body_bytes_max) {
      refused = "its body is larger than " + std::to_string(body_bytes_max) + " bytes";
      return -1;
    }
    answer.body += bytes;
    return 0;
  }
};

HttpConnection::HttpConnection(Loop& loop) : loop_(loop), timer_(loop) {}
HttpConnection::~HttpConnection() = default;

void HttpConnection::request(const Target& target, HttpRequest request, core::Duration timeout,
                             Done done) {
  FETTLE_ASSERT_MSG(!busy(), "one request at a time");
  target_ = target;
  request_ = std::move(request);
  done_ = std::move(done);
  got_bytes_ = false;
  // A loop that was busy past the deadline gives back what it took, once.
  timer_.start(timeout, [this, timeout, due = Loop::now() + timeout] {
    const core::Duration late = Loop::now() - due;
    const core::Duration least = std::chrono::milliseconds(1);
    timer_.start(std::clamp(late, least, std::max(least, timeout)), [this] { expired(); });
  });
  reused_ = stream_ != nullptr && stream_->open();
  if (reused_) return send();
  connect();
}

void HttpConnection::connect() {
  stream_ = std::make_unique<Stream>(loop_);
  StreamEvents events{
      .on_open = [this] { send(); },
      .on_data = [this](std::string_view bytes) { received(bytes); },
      .on_end = [this](End end, const std::string& text) { ended(end, text); },
  };
  constexpr auto kNoOwnLimit = std::chrono::hours(1);  // timer_ is the limit
  if (target_.tcp) {
    stream_->connect_tcp(*target_.tcp, std::move(events), kNoOwnLimit);
  } else {
    stream_->connect_unix(target_.unix_path, std::move(events), kNoOwnLimit);
  }
}

void HttpConnection::send() {
  parser_ = std::make_unique<Parser>();
  parser_->body_bytes_max = body_bytes_max_;
  parser_->on_body = &on_body_;
  parser_->head_request = request_.method == "HEAD";
  std::string text = request_.method + " " + request_.path + " HTTP/1.1\r\nHost: " + request_.host +
                     "\r\nUser-Agent: fettle\r\nAccept: */*\r\n";
  if (!keep_) text += "Connection: close\r\n";
  for (const auto& [name, value] : request_.headers) text += name + ": " + value + "\r\n";
  if (!request_.body.empty() || request_.method == "POST" || request_.method == "PUT") {
    text += "Content-Length: " + std::to_string(request_.body.size()) + "\r\n";
  }
  stream_->write(text + "\r\n" + request_.body);
}

void HttpConnection::received(std::string_view bytes) {
  if (!busy()) {  // nothing was asked: this peer is confused, start anew next time
    stream_.reset();
    if (on_idle_closed_) on_idle_closed_();
    return;
  }
  got_bytes_ = true;
  const llhttp_errno_t rc = llhttp_execute(&parser_->state, bytes.data(), bytes.size());
  if (parser_->complete) {
    // Bytes after the answer belong to nothing that was asked: the connection is not kept.
    const char* end = llhttp_get_error_pos(&parser_->state);
    if (end != bytes.data() + bytes.size()) parser_->keep = false;
    return answered();
  }
  if (rc == HPE_OK) return;
  if (rc == HPE_PAUSED_UPGRADE) return fail_with({.garbage = true, .text = "unexpected upgrade"});
  const std::string why = parser_->refused.empty()
                              ? std::string("not HTTP: ") + llhttp_errno_name(rc)
                              : parser_->refused;
  fail_with({.garbage = true, .text = why});
}

void HttpConnection::ended(End end, const std::string& text) {
  // The stream ends inside its own callback; it is replaced or dropped after that.
  const std::unique_ptr<Stream> old = std::move(stream_);
  if (!busy()) {
    if (on_idle_closed_) on_idle_closed_();
    return;
  }
  if (reused_ && !got_bytes_) {
    reused_ = false;
    return connect();
  }
  if (end == End::Eof && got_bytes_) {
    llhttp_finish(&parser_->state);  // a body that ends with the connection
    if (parser_->complete) return answered();
    return fail_with(
        {.end = End::Reset, .garbage = true, .text = "closed in the middle of its answer"});
  }
  fail_with({.end = end == End::Eof ? End::Reset : end, .text = text});
}

void HttpConnection::expired() {
  fail_with({.timeout = true,
             .text = stream_ != nullptr && stream_->open() ? "no answer in time"
                                                           : "no connection in time"});
}

void HttpConnection::answered() {
  HttpAnswer answer = std::move(parser_->answer);
  if (!keep_ || !parser_->keep) stream_.reset();
  finish(std::move(answer));
}

void HttpConnection::fail_with(HttpFailure failure) {
  if (stream_ != nullptr) stream_->reset();
  stream_.reset();
  finish(std::move(failure));
}

void HttpConnection::finish(HttpResult result) {
  timer_.stop();
  const Done done = std::exchange(done_, nullptr);
  done(std::move(result));
}

}  // namespace fettle::io
