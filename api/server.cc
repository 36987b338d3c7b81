// libwebsockets drives this by callbacks on our loop; one exchange at a time on a connection.
// Happy path: HTTP (→ HTTP_BODY … → HTTP_BODY_COMPLETION) → route → its answer comes later →
// WRITEABLE: head and body, in parts → the transaction is completed and the connection kept. A
// stream (streams.cc) stays in WRITEABLE for its lifetime. Failures: a body we refuse (answered at
// once, what still comes is thrown away, then closed); the connection closes first (the answer
// finds nobody); a client that neither sends nor reads in time (closed).
#include "api/server.h"

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "api/http.h"
#include "api/incoming.h"
#include "api/kv_routes.h"

namespace fettle::api {
namespace {

constexpr auto kHeartbeat = std::chrono::seconds(15);

bool takes_body(const Request& request) {
  return request.method == "POST" || request.method == "PUT";
}

/// Nothing if it does not fit.
std::optional<std::string> head_of(const Exchange& exchange) {
  std::array<unsigned char, 2048> buffer{};
  unsigned char* at = buffer.data();
  unsigned char* end = buffer.data() + buffer.size() - 1;
  lws* connection = exchange.connection;
  const lws_filepos_t length =
      exchange.streaming ? LWS_ILLEGAL_HTTP_CONTENT_LEN : exchange.response.body.size();
  const auto status = static_cast<unsigned>(exchange.response.status);
  if (lws_add_http_common_headers(connection, status, exchange.response.content_type.c_str(),
                                  length, &at, end) != 0) {
    return std::nullopt;
  }
  const auto add = [&](const char* name, std::string_view value) {
    return lws_add_http_header_by_name(connection, reinterpret_cast<const unsigned char*>(name),
                                       reinterpret_cast<const unsigned char*>(value.data()),
                                       static_cast<int>(value.size()), &at, end) == 0;
  };
  if (!add("cache-control:", "no-store")) return std::nullopt;
  if (exchange.close_after && !exchange.streaming && !add("connection:", "close")) {
    return std::nullopt;
  }
  if (lws_finalize_http_header(connection, &at, end) != 0) return std::nullopt;
  return std::string(buffer.data(), at);
}

}  // namespace

bool send_part(lws* connection, std::string_view bytes, bool last) {
  std::string buffer(LWS_PRE, '\0');
  buffer += bytes;
  auto* data = reinterpret_cast<unsigned char*>(buffer.data()) + LWS_PRE;
  const int sent =
      lws_write(connection, data, bytes.size(), last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP);
  return sent >= static_cast<int>(bytes.size());
}

int Server::Http::on_event(lws* connection, lws_callback_reasons reason, void* user, void* in,
                           std::size_t size) noexcept {
  auto* http = static_cast<Http*>(lws_context_user(lws_get_context(connection)));
  auto* own = static_cast<PerConnection*>(user);
  switch (static_cast<int>(reason)) {
    case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
      return http->full(connection) ? -1 : 0;
    case LWS_CALLBACK_WSI_CREATE:
      ++http->connections_of(connection);
      return 0;
    case LWS_CALLBACK_WSI_DESTROY:
      --http->connections_of(connection);
      return 0;
    case LWS_CALLBACK_HTTP:
      return http->begin(connection, *own);
    case LWS_CALLBACK_HTTP_BODY:
      return http->body(*own, static_cast<const char*>(in), size);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
      return http->body_complete(*own);
    case LWS_CALLBACK_HTTP_WRITEABLE:
      return http->writable(*own);
    case LWS_CALLBACK_CLOSED_HTTP:
      if (own != nullptr) http->forget(*own);
      return 0;
    // We speak HTTP/1 and nothing that it can be turned into (websocket, h2c, CONNECT).
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
    case LWS_CALLBACK_RAW_ADOPT:
    case LWS_CALLBACK_RAW_RX:
      return -1;
    default:
      return 0;
  }
}

int& Server::Http::connections_of(lws* connection) {
  return lws_get_vhost(connection) == local ? local_connections : tcp_connections;
}

bool Server::Http::full(lws* listener) {
  return lws_get_vhost(listener) == local ? local_connections >= kLocalConnectionsMax
                                          : tcp_connections >= kTcpConnectionsMax;
}

Exchange* Server::Http::find(std::uint64_t id) {
  const auto found = exchanges.find(id);
  return found == exchanges.end() ? nullptr : &found->second;
}

void Server::Http::forget(PerConnection& own) {
  exchanges.erase(own.exchange);
  own.exchange = 0;
}

int Server::Http::begin(lws* connection, PerConnection& own) {
  forget(own);
  own.exchange = ++last_exchange;
  Exchange& exchange = exchanges[own.exchange];
  exchange.connection = connection;
  exchange.request = read_head(connection, backend.log_time());
  BodyLength length = body_length(connection, exchange.request.path, kBodyBytesMax);
  const bool reads_body = takes_body(exchange.request);
  // Without a length libwebsockets waits for a body that will not come, and it passes one on only
  // for some methods: such a connection is not kept.
  exchange.close_after = length.refused.has_value() ||
                         (!length.given && exchange.request.method != "GET") ||
                         (length.bytes > 0 && !reads_body);
  exchange.body_complete = !length.refused && length.bytes == 0;
  if (length.refused) {
    answer(exchange, std::move(*length.refused));
  } else if (exchange.body_complete || !reads_body) {
    dispatch(own.exchange);
  } else {
    limit(connection);
  }
  return 0;
}

int Server::Http::body(PerConnection& own, const char* bytes, std::size_t size) {
  Exchange* exchange = find(own.exchange);
  if (exchange == nullptr) return -1;
  if (exchange->dispatched || exchange->answered || !exchange->request.may_write) {
    exchange->thrown_away_bytes += size;
    return exchange->thrown_away_bytes > kBodyBytesMax ? -1 : 0;
  }
  exchange->request.body.append(bytes, size);
  return 0;
}

int Server::Http::body_complete(PerConnection& own) {
  Exchange* exchange = find(own.exchange);
  if (exchange == nullptr) return -1;
  exchange->body_complete = true;
  if (exchange->lingering) return -1;
  if (!exchange->dispatched && !exchange->answered) dispatch(own.exchange);
  return 0;
}

void Server::Http::dispatch(std::uint64_t id) {
  Exchange& exchange = exchanges.at(id);
  exchange.dispatched = true;
  no_limit(exchange.connection);  // the backend keeps its own deadline
  if (exchange.request.method == "GET" && exchange.request.path == "/v1/events") {
    return begin_events(exchange);
  }
  if (exchange.request.method == "GET" && exchange.request.path == kKvPath &&
      exchange.request.query.contains("watch")) {
    return begin_watch(id, exchange);
  }
  route(exchange.request, backend, [this, id, still = alive](Response response) {
    if (!*still) return;
    if (Exchange* asked = find(id); asked != nullptr) answer(*asked, std::move(response));
  });
}

void Server::Http::answer(Exchange& exchange, Response response) {
  exchange.response = std::move(response);
  exchange.answered = true;
  limit(exchange.connection);
  lws_callback_on_writable(exchange.connection);
}

int Server::Http::writable(PerConnection& own) {
  Exchange* exchange = find(own.exchange);
  if (exchange == nullptr || !exchange->answered) return 0;
  std::string head;
  if (!exchange->head_sent) {
    exchange->head_sent = true;
    auto made = head_of(*exchange);
    if (!made) return -1;
    head = std::move(*made);
  }
  if (!exchange->streaming) return send_body(own, *exchange, head);
  if (head.empty()) return send_stream(*exchange);
  if (!send_part(exchange->connection, head, false)) return -1;
  lws_callback_on_writable(exchange->connection);
  return 0;
}

/// The head leaves with the body's first part: a turn of its own would double an answer's cost.
int Server::Http::send_body(PerConnection& own, Exchange& exchange, const std::string& head) {
  lws* connection = exchange.connection;
  std::string_view left = std::string_view(exchange.response.body).substr(exchange.sent);
  if (exchange.request.method == "HEAD") left = {};
  if (!head.empty() || !left.empty()) {
    const std::string_view part = left.substr(0, kPartBytes);
    exchange.sent += part.size();
    const bool last = part.size() == left.size();
    if (!send_part(connection, head + std::string(part), last)) return -1;
    limit(connection);
    // A kept connection is done at once: the client's next request may be here already.
    if (!last || exchange.close_after) {
      lws_callback_on_writable(connection);
      return 0;
    }
  }
  if (exchange.close_after) {
    // A close with bytes unread would be a reset, and the client might lose our answer.
    exchange.lingering = !exchange.body_complete;
    return exchange.lingering ? 0 : -1;
  }
  no_limit(connection);
  forget(own);
  return lws_http_transaction_completed(connection) != 0 ? -1 : 0;
}

lws_vhost* Server::Http::add_listener(const char* name, const std::string& where, int port,
                                      bool unix_socket) {
  lws_context_creation_info info{};
  info.vhost_name = name;
  info.iface = where.c_str();
  info.port = port;
  info.protocols = protocols.data();
  info.keepalive_timeout = client_timeout_s;
  info.timeout_secs_ah_idle = static_cast<unsigned>(client_timeout_s);  // for the whole header
  info.options = unix_socket ? LWS_SERVER_OPTION_UNIX_SOCK : 0;
  return lws_create_vhost(context, &info);
}

Status Server::Http::listen() {
  lws_set_log_level(0, nullptr);
  protocols[0].name = "http";
  protocols[0].callback = &Http::on_event;
  protocols[0].per_session_data_size = sizeof(PerConnection);
  loops[0] = loop.raw();
  lws_context_creation_info info{};
  info.port = CONTEXT_PORT_NO_LISTEN;
  info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
  info.foreign_loops = loops.data();
  info.user = this;
  info.max_http_header_data = kHeaderBytesMax;
  info.max_http_header_pool = kTcpConnectionsMax + kLocalConnectionsMax;
  info.fd_limit_per_thread = 2 * (kTcpConnectionsMax + kLocalConnectionsMax);
  info.timeout_secs = static_cast<unsigned>(client_timeout_s);
  context = lws_create_context(&info);
  if (context == nullptr) return fail(Code::Io, "the API server does not start");
  heartbeat.start_repeating(kHeartbeat, [this] { beat(); });
  if (config.tcp && add_listener("tcp", config.tcp->host, config.tcp->port, false) == nullptr) {
    return fail(Code::Io, "listen.api: cannot listen on " + to_string(*config.tcp));
  }
  if (config.socket.empty()) return {};
  unlink(config.socket.c_str());
  local = add_listener("local", config.socket, 0, true);
  if (local == nullptr) return fail(Code::Io, "listen.socket: cannot listen on " + config.socket);
  const group* fettle = getgrnam("fettle");
  const bool owned =
      fettle == nullptr || chown(config.socket.c_str(), geteuid(), fettle->gr_gid) == 0;
  constexpr mode_t kMode = 0660;
  if (!owned || chmod(config.socket.c_str(), kMode) != 0) {
    return fail(Code::Io, "listen.socket: cannot set the mode of " + config.socket);
  }
  return {};
}

Server::Server(std::unique_ptr<Http> http) : http_(std::move(http)) {}

Result<std::unique_ptr<Server>> Server::start(io::Loop& loop, Backend& backend,
                                              const ServerConfig& config) {
  std::unique_ptr<Server> server(new Server(std::make_unique<Http>(loop, backend, config)));
  FETTLE_CHECK(server->http_->listen());
  return server;
}

Server::~Server() {
  *http_->alive = false;
  http_->heartbeat.stop();
  if (http_->context == nullptr) return;
  // On a foreign loop the context closes its handles on the loop's next turns and is freed after.
  constexpr int kTurns = 20;
  lws_context_destroy(http_->context);
  for (int i = 0; i < kTurns; ++i) http_->loop.turn();
  lws_context_destroy(http_->context);
}

}  // namespace fettle::api
