// libwebsockets drives this by callbacks on our loop. One exchange at a time on a connection:
// Happy path: HTTP (→ HTTP_BODY … → HTTP_BODY_COMPLETION) → route → its answer comes later → WRITEABLE
// → head and body → transaction completed. An event stream stays in WRITEABLE for its lifetime.
// Failures: a body beyond its bound (413), the connection closes first (the answer finds nobody), an
// event stream that does not read (dropped at its bound).
#include "api/server.h"

#include <grp.h>
#include <libwebsockets.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <map>

#include "api/events.h"
#include "api/routes.h"

namespace fettle::api {
namespace {

constexpr auto kUnknownLength = static_cast<lws_filepos_t>(-1);
constexpr std::size_t kChunkBytes = 32U * 1024;

struct PerSession {
  std::uint64_t exchange = 0;
};

struct Exchange {
  lws* wsi = nullptr;
  Request request;
  Response response;
  bool answered = false;
  bool head_sent = false;
  bool streaming = false;
  bool closing_stream = false;   // too slow
  std::size_t sent = 0;
  std::string pending;           // of a stream
};

std::string header(lws* wsi, lws_token_indexes token) {
  const int size = lws_hdr_total_length(wsi, token);
  if (size <= 0) return "";
  std::string text(static_cast<std::size_t>(size) + 1, '\0');
  lws_hdr_copy(wsi, text.data(), size + 1, token);
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::string custom_header(lws* wsi, const char* name) {
  const int name_size = static_cast<int>(std::strlen(name));
  const int size = lws_hdr_custom_length(wsi, name, name_size);
  if (size <= 0) return "";
  std::string text(static_cast<std::size_t>(size) + 1, '\0');
  lws_hdr_custom_copy(wsi, text.data(), size + 1, name, name_size);
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::map<std::string, std::string> query_of(lws* wsi) {
  std::map<std::string, std::string> query;
  constexpr int kFragmentsMax = 16;
  std::array<char, 1024> text{};
  for (int i = 0; i < kFragmentsMax; ++i) {
    const int size = lws_hdr_copy_fragment(wsi, text.data(), static_cast<int>(text.size()),
                                           WSI_TOKEN_HTTP_URI_ARGS, i);
    if (size < 0) break;
    const std::string pair(text.data(), static_cast<std::size_t>(size));
    const std::size_t equals = pair.find('=');
    query[pair.substr(0, equals)] = equals == std::string::npos ? "" : pair.substr(equals + 1);
  }
  return query;
}

std::string method_of(lws* wsi) {
  if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0) return "GET";
  if (lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0) return "POST";
  if (lws_hdr_total_length(wsi, WSI_TOKEN_PUT_URI) > 0) return "PUT";
  if (lws_hdr_total_length(wsi, WSI_TOKEN_DELETE_URI) > 0) return "DELETE";
  return "OTHER";
}

}  // namespace

struct Server::Impl {
  io::Loop& loop;
  Backend& backend;
  lws_context* context = nullptr;
  lws_vhost* local = nullptr;
  std::map<std::uint64_t, Exchange> exchanges;
  std::uint64_t next_exchange = 1;
  EventRing ring;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  std::array<lws_protocols, 2> protocols{};
  std::array<void*, 1> loops{};

  Impl(io::Loop& on, Backend& behind) : loop(on), backend(behind) {}

  static int on_event(lws* wsi, lws_callback_reasons reason, void* user, void* in, std::size_t size) {
    auto* impl = static_cast<Impl*>(lws_context_user(lws_get_context(wsi)));
    auto* session = static_cast<PerSession*>(user);
    switch (static_cast<int>(reason)) {
      case LWS_CALLBACK_HTTP: return impl->begin(wsi, *session, static_cast<const char*>(in));
      case LWS_CALLBACK_HTTP_BODY: return impl->body(*session, static_cast<const char*>(in), size);
      case LWS_CALLBACK_HTTP_BODY_COMPLETION: return impl->dispatch(session->exchange);
      case LWS_CALLBACK_HTTP_WRITEABLE: return impl->writable(*session);
      case LWS_CALLBACK_CLOSED_HTTP:
        if (session != nullptr) impl->exchanges.erase(session->exchange);
        return 0;
      default: return 0;
    }
  }

  Exchange* find(std::uint64_t id) {
    const auto found = exchanges.find(id);
    return found == exchanges.end() ? nullptr : &found->second;
  }

  int begin(lws* wsi, PerSession& session, const char* path) {
    exchanges.erase(session.exchange);
    if (exchanges.size() >= static_cast<std::size_t>(kConnectionsMax)) return -1;
    session.exchange = next_exchange++;
    Exchange& exchange = exchanges[session.exchange];
    exchange.wsi = wsi;
    exchange.request.method = method_of(wsi);
    exchange.request.path = path;
    exchange.request.query = query_of(wsi);
    exchange.request.content_type = header(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE);
    exchange.request.idempotency_key = custom_header(wsi, "idempotency-key:");
    exchange.request.may_write = lws_get_vhost(wsi) == local;
    const std::string who = custom_header(wsi, "x-fettle-who:");
    exchange.request.who = who.empty() ? "the local socket" : who;
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    if (exchange.request.method == "GET" && exchange.request.path == "/v1/events") {
      std::string from = custom_header(wsi, "last-event-id:");
      return begin_events(session.exchange, from);
    }
    const std::string length = header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);
    const bool has_body = exchange.request.method != "GET" && !length.empty() && length != "0";
    if (has_body) {
      lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, 10);
      return 0;
    }
    return dispatch(session.exchange);
  }

  int body(PerSession& session, const char* bytes, std::size_t size) {
    Exchange* exchange = find(session.exchange);
    if (exchange == nullptr) return -1;
    exchange->request.body.append(bytes, size);
    if (exchange->request.body.size() <= kBodyBytesMax) return 0;
    lws_return_http_status(exchange->wsi, HTTP_STATUS_REQ_ENTITY_TOO_LARGE, nullptr);
    return -1;
  }

  int dispatch(std::uint64_t id) {
    Exchange* exchange = find(id);
    if (exchange == nullptr) return -1;
    lws_set_timeout(exchange->wsi, NO_PENDING_TIMEOUT, 0);
    route(exchange->request, backend, [this, id, still = alive](Response response) {
      if (!*still) return;
      Exchange* asked = find(id);
      if (asked == nullptr) return;
      asked->response = std::move(response);
      asked->answered = true;
      lws_callback_on_writable(asked->wsi);
    });
    return 0;
  }

  int begin_events(std::uint64_t id, const std::string& last_seen) {
    Exchange& exchange = exchanges.at(id);
    const auto since = exchange.request.query.find("since");
    const bool lines = since != exchange.request.query.end();
    const std::string from = lines ? since->second : last_seen;
    const auto after = from.empty() ? std::optional<EventId>() : parse_event_id(from);
    if (!from.empty() && !after) {
      exchange.response = {400, "application/json", "{\"error\":{\"code\":\"invalid\",\"message\":\"an event id is index.n\",\"path\":\"/v1/events\"}}\n"};
      exchange.answered = true;
      lws_callback_on_writable(exchange.wsi);
      return 0;
    }
    EventRing::Since found;
    if (after) found = ring.since(*after);
    if (lines) {
      exchange.response.content_type = "application/x-ndjson";
      for (const core::Event& event : found.events) {
        const std::string text = sse_text(event);
        const std::size_t data = text.find("data: ") + 6;
        exchange.response.body += text.substr(data, text.size() - data - 1);
      }
      exchange.answered = true;
    } else {
      exchange.streaming = exchange.answered = true;
      exchange.response.content_type = "text/event-stream";
      exchange.pending = ": fettle events\n\n";
      if (found.gap) exchange.pending += sse_gap();
      for (const core::Event& event : found.events) exchange.pending += sse_text(event);
    }
    lws_callback_on_writable(exchange.wsi);
    return 0;
  }

  int writable(PerSession& session) {
    Exchange* exchange = find(session.exchange);
    if (exchange == nullptr || !exchange->answered) return 0;
    if (exchange->closing_stream) return -1;
    if (!exchange->head_sent) {
      exchange->head_sent = true;
      if (!send_head(*exchange)) return -1;
      lws_callback_on_writable(exchange->wsi);
      return 0;
    }
    return exchange->streaming ? send_stream(*exchange) : send_body(session, *exchange);
  }

  static bool send_head(const Exchange& exchange) {
    std::array<unsigned char, LWS_PRE + 2048> buffer{};
    unsigned char* start = buffer.data() + LWS_PRE;
    unsigned char* at = start;
    unsigned char* end = buffer.data() + buffer.size() - 1;
    const lws_filepos_t length = exchange.streaming ? kUnknownLength : exchange.response.body.size();
    if (lws_add_http_common_headers(exchange.wsi, static_cast<unsigned>(exchange.response.status),
                                    exchange.response.content_type.c_str(), length, &at, end) != 0) {
      return false;
    }
    return lws_finalize_write_http_header(exchange.wsi, start, &at, end) == 0;
  }

  static bool send_bytes(lws* wsi, std::string_view bytes, bool last) {
    std::string buffer(LWS_PRE, '\0');
    buffer += bytes;
    auto* data = reinterpret_cast<unsigned char*>(buffer.data()) + LWS_PRE;
    const int sent = lws_write(wsi, data, bytes.size(), last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP);
    return sent >= static_cast<int>(bytes.size());
  }

  int send_body(PerSession& session, Exchange& exchange) {
    const std::string& text = exchange.response.body;
    const std::string_view part = std::string_view(text).substr(exchange.sent, kChunkBytes);
    const bool last = exchange.sent + part.size() >= text.size();
    if (!send_bytes(exchange.wsi, part, last)) return -1;
    exchange.sent += part.size();
    lws* wsi = exchange.wsi;
    if (!last) {
      lws_callback_on_writable(wsi);
      return 0;
    }
    exchanges.erase(session.exchange);
    session.exchange = 0;
    return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
  }

  int send_stream(Exchange& exchange) {
    if (exchange.pending.empty()) return 0;
    const std::string part = exchange.pending.substr(0, kChunkBytes);
    if (!send_bytes(exchange.wsi, part, false)) return -1;
    exchange.pending.erase(0, part.size());
    if (!exchange.pending.empty()) lws_callback_on_writable(exchange.wsi);
    return 0;
  }

  Status listen(const ServerConfig& config);
  lws_vhost* add_vhost(const char* name, const std::string& where, int port, bool unix_socket);
};

lws_vhost* Server::Impl::add_vhost(const char* name, const std::string& where, int port,
                                   bool unix_socket) {
  lws_context_creation_info info{};
  info.vhost_name = name;
  info.iface = where.c_str();
  info.port = port;
  info.protocols = protocols.data();
  info.keepalive_timeout = 30;
  info.timeout_secs = 10;
  info.options = unix_socket ? LWS_SERVER_OPTION_UNIX_SOCK : 0;
  return lws_create_vhost(context, &info);
}

Status Server::Impl::listen(const ServerConfig& config) {
  lws_set_log_level(0, nullptr);
  protocols[0].name = "http";
  protocols[0].callback = &Impl::on_event;
  protocols[0].per_session_data_size = sizeof(PerSession);
  loops[0] = loop.raw();
  lws_context_creation_info info{};
  info.port = CONTEXT_PORT_NO_LISTEN;
  info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
  info.foreign_loops = loops.data();
  info.user = this;
  info.max_http_header_data = 16384;
  info.max_http_header_pool = static_cast<unsigned short>(kConnectionsMax);
  info.fd_limit_per_thread = kConnectionsMax * 2;
  context = lws_create_context(&info);
  if (context == nullptr) return fail(Code::Io, "the API server does not start");
  if (config.tcp && add_vhost("tcp", config.tcp->host, config.tcp->port, false) == nullptr) {
    return fail(Code::Io, "listen.api: cannot listen on " + to_string(*config.tcp));
  }
  if (config.socket.empty()) return {};
  unlink(config.socket.c_str());
  local = add_vhost("local", config.socket, 0, true);
  if (local == nullptr) return fail(Code::Io, "listen.socket: cannot listen on " + config.socket);
  const group* fettle = getgrnam("fettle");
  const bool owned = fettle == nullptr || chown(config.socket.c_str(), geteuid(), fettle->gr_gid) == 0;
  constexpr unsigned kMode = 0660;
  if (!owned || chmod(config.socket.c_str(), kMode) != 0) {
    return fail(Code::Io, "listen.socket: cannot set the mode of " + config.socket);
  }
  return {};
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Server>> Server::start(io::Loop& loop, Backend& backend,
                                              const ServerConfig& config) {
  std::unique_ptr<Server> server(new Server(std::make_unique<Impl>(loop, backend)));
  FETTLE_CHECK(server->impl_->listen(config));
  return server;
}

Server::~Server() {
  *impl_->alive = false;
  if (impl_->context == nullptr) return;
  // On a foreign loop the context closes its handles on the loop's next turns and is freed after.
  constexpr int kTurns = 20;
  lws_context_destroy(impl_->context);
  for (int i = 0; i < kTurns; ++i) impl_->loop.turn();
  lws_context_destroy(impl_->context);
}

void Server::publish(std::span<const core::Event> events) {
  for (const core::Event& event : events) {
    impl_->ring.add(event);
    std::string text;
    for (auto& [id, exchange] : impl_->exchanges) {
      if (!exchange.streaming || exchange.closing_stream) continue;
      if (text.empty()) text = sse_text(event);
      exchange.pending += text;
      if (exchange.pending.size() > kStreamBytesMax) exchange.closing_stream = true;
      lws_callback_on_writable(exchange.wsi);
    }
  }
}

}  // namespace fettle::api
