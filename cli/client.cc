#include "cli/client.h"

#include <array>
#include <random>

#include "io/resolver.h"

namespace fettle::cli {
namespace {

std::string new_key() {
  std::random_device source;
  std::string key = "fettle";
  constexpr int kWords = 4;
  for (int i = 0; i < kWords; ++i) key += "-" + std::to_string(source());
  return key;
}

/// An error that the daemon answered.
Error error_of(const io::HttpAnswer& answer) {
  const ordered_json body = ordered_json::parse(answer.body, nullptr, false);
  const bool ours = body.is_object() && body.contains("error") && body["error"].is_object();
  if (!ours) return {Code::Io, "the daemon answered " + std::to_string(answer.status)};
  const std::string code = body["error"].value("code", "");
  const std::string text = body["error"].value("message", "");
  for (std::uint8_t i = 0; i <= static_cast<std::uint8_t>(enum_last(Code{})); ++i) {
    if (to_string(static_cast<Code>(i)) == code) return {static_cast<Code>(i), text};
  }
  return {Code::Io, text.empty() ? "the daemon answered " + std::to_string(answer.status) : text};
}

Result<ordered_json> json_of(const io::HttpAnswer& answer) {
  constexpr int kFirstError = 300;
  if (answer.status >= kFirstError) return std::unexpected(error_of(answer));
  ordered_json body = ordered_json::parse(answer.body, nullptr, false);
  if (body.is_discarded()) return fail(Code::Corrupt, "the daemon's answer is no JSON");
  return body;
}

/// Server-sent events, as far as ours use them: `id:` and one `data:` line each.
class EventReader {
 public:
  EventReader(std::string& last_id, const std::function<void(const std::string&)>& on_event)
      : last_id_(last_id), on_event_(on_event) {}

  void feed(std::string_view bytes) {
    pending_ += bytes;
    std::size_t end = 0;
    while ((end = pending_.find('\n')) != std::string::npos) {
      line(std::string_view(pending_).substr(0, end));
      pending_.erase(0, end + 1);
    }
  }

 private:
  void line(std::string_view text) {
    constexpr std::string_view kId = "id: ";
    constexpr std::string_view kData = "data: ";
    if (text.starts_with(kId)) last_id_ = text.substr(kId.size());
    if (text.starts_with(kData)) on_event_(std::string(text.substr(kData.size())));
  }

  std::string pending_;
  std::string& last_id_;
  const std::function<void(const std::string&)>& on_event_;
};

}  // namespace

std::string url_part(std::string_view name) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string text;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    const bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_' || c == '.' || c == '~';
    if (safe) {
      text += c;
    } else {
      text += {'%', kHex[byte >> 4U], kHex[byte & 0x0fU]};
    }
  }
  return text;
}

Client::Client(std::string socket, std::string server)
    : socket_(std::move(socket)), server_(std::move(server)) {}

Result<io::HttpConnection::Target> Client::target() {
  if (server_.empty()) return io::HttpConnection::Target{{}, socket_};
  constexpr std::string_view kScheme = "http://";
  const std::size_t colon = server_.rfind(':');
  if (!server_.starts_with(kScheme) || colon < kScheme.size()) {
    return fail(Code::Invalid, "--server " + server_ + ": expected http://host:port");
  }
  std::string host = server_.substr(kScheme.size(), colon - kScheme.size());
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const int port = std::atoi(server_.c_str() + colon + 1);
  constexpr int kPortMax = 65535;
  if (port <= 0 || port > kPortMax) {
    return fail(Code::Invalid, "--server " + server_ + ": expected http://host:port");
  }
  Result<io::SockAddress> address = fail(Code::Unreachable, host + " has no address");
  io::Resolver resolver(loop_);
  resolver.resolve(host, static_cast<std::uint16_t>(port), [&](Result<io::SockAddress> found) {
    address = std::move(found);
    loop_.stop();
  });
  loop_.run();
  if (!address) return std::unexpected(address.error());
  return io::HttpConnection::Target{*address, ""};
}

Result<io::HttpAnswer> Client::ask(io::HttpRequest request, core::Duration timeout,
                                   std::function<void(std::string_view)> on_body) {
  FETTLE_TRY(const auto where, target());
  request.host = server_.empty() ? "localhost" : server_.substr(server_.find("//") + 2);
  io::HttpConnection connection(loop_);
  connection.set_keep(false);
  connection.set_body_max(kAnswerBytesMax);
  if (on_body) connection.set_on_body(std::move(on_body));
  std::optional<io::HttpResult> result;
  connection.request(where, std::move(request), timeout, [&](io::HttpResult answered) {
    result = std::move(answered);
    loop_.stop();
  });
  loop_.run();
  if (auto* answer = std::get_if<io::HttpAnswer>(&*result)) return std::move(*answer);
  const std::string name = server_.empty() ? socket_ : server_;
  return fail(Code::Unreachable,
              "no answer from fettled at " + name + ": " + std::get<io::HttpFailure>(*result).text);
}

Result<ordered_json> Client::get(const std::string& path) {
  FETTLE_TRY(const io::HttpAnswer answer, ask({.path = path}, kTimeout, nullptr));
  return json_of(answer);
}

Result<std::string> Client::get_text(const std::string& path) {
  FETTLE_TRY(io::HttpAnswer answer, ask({.path = path}, kTimeout, nullptr));
  constexpr int kFirstError = 300;
  if (answer.status >= kFirstError) return std::unexpected(error_of(answer));
  return std::move(answer.body);
}

Result<ordered_json> Client::post(const std::string& path, const ordered_json& body) {
  return write("POST", path, body);
}

Result<ordered_json> Client::write(const std::string& method, const std::string& path,
                                   const ordered_json& body,
                                   const std::map<std::string, std::string>& headers) {
  io::HttpRequest request{
      .method = method,
      .path = path,
      .headers = {{"Content-Type", "application/json"}, {"Idempotency-Key", new_key()}},
      .body = body.is_null() ? ""
                             : body.dump(-1, ' ', false, ordered_json::error_handler_t::replace)};
  request.headers.insert(headers.begin(), headers.end());
  Result<ordered_json> answered = fail(Code::InDoubt, "");
  for (int i = 0; i < kTriesInDoubt; ++i) {
    FETTLE_TRY(const io::HttpAnswer answer, ask(request, kTimeout, nullptr));
    answered = json_of(answer);
    if (answered || answered.error().code != Code::InDoubt) return answered;
  }
  return answered;
}

Status Client::follow(const std::string& path, std::string& last_id,
                      const std::function<void(const std::string&)>& on_event) {
  constexpr core::Duration kStreamMax = std::chrono::hours(24);
  EventReader reader(last_id, on_event);
  io::HttpRequest request{.path = path};
  if (!last_id.empty()) request.headers["Last-Event-ID"] = last_id;
  FETTLE_TRY(const io::HttpAnswer answer, ask(std::move(request), kStreamMax,
                                              [&](std::string_view part) { reader.feed(part); }));
  constexpr int kFirstError = 300;
  if (answer.status >= kFirstError) return std::unexpected(error_of(answer));
  return {};
}

}  // namespace fettle::cli
