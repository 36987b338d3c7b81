// libwebsockets drives this by callbacks on our loop; one exchange at a time on a connection.
// Happy path: HTTP (→ HTTP_BODY … → HTTP_BODY_COMPLETION) → route → its answer comes later →
// WRITEABLE: head, then body in parts → the transaction is completed and the connection kept. An
// event stream stays in WRITEABLE for its lifetime: it has a place in the ring and takes what comes
// after it. Failures: a body we refuse (answered at once, what still comes is thrown away, then
// closed); the connection closes first (the answer finds nobody); a client that neither sends nor
// reads in time (closed); a stream that falls so far behind that the ring dropped its place
// (closed).
#include "api/server.h"

#include <grp.h>
#include <libwebsockets.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "api/events.h"
#include "api/incoming.h"
#include "api/routes.h"
#include "io/timer.h"

namespace fettle::api {
namespace {

constexpr std::size_t kPartBytes = 32U * 1024;
constexpr std::size_t kBatchEvents = 64;
constexpr int kStreamSendBufferBytes = 64 * 1024;
constexpr auto kHeartbeat = std::chrono::seconds(15);

/// libwebsockets keeps one for each connection.
struct PerConnection {
  std::uint64_t exchange = 0;  // 0: none
};

struct Exchange {
  lws* connection = nullptr;
  Request request;
  Response response;
  bool dispatched = false;
  bool body_complete = false;  // all of it came, or there is none
  bool answered = false;
  bool head_sent = false;
  bool close_after = false;
  bool lingering = false;  // answered; waits for the client to close, or for its time to end
  std::size_t thrown_away_bytes = 0;
  std::size_t sent = 0;

  bool streaming = false;
  bool stream_begun = false;  // something but the opening was sent
  bool unread = false;        // the last part waits for the client to read
  EventId place;
  std::string pending;
};

bool send_part(lws* connection, std::string_view bytes, bool last) {
  std::string buffer(LWS_PRE, '\0');
  buffer += bytes;
  auto* data = reinterpret_cast<unsigned char*>(buffer.data()) + LWS_PRE;
  const int sent =
      lws_write(connection, data, bytes.size(), last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP);
  return sent >= static_cast<int>(bytes.size());
}

bool send_head(const Exchange& exchange) {
  std::array<unsigned char, LWS_PRE + 2048> buffer{};
  unsigned char* start = buffer.data() + LWS_PRE;
  unsigned char* at = start;
  unsigned char* end = buffer.data() + buffer.size() - 1;
  lws* connection = exchange.connection;
  const lws_filepos_t length =
      exchange.streaming ? LWS_ILLEGAL_HTTP_CONTENT_LEN : exchange.response.body.size();
  const auto status = static_cast<unsigned>(exchange.response.status);
  if (lws_add_http_common_headers(connection, status, exchange.response.content_type.c_str(),
                                  length, &at, end) != 0) {
    return false;
  }
  const auto add = [&](const char* name, std::string_view value) {
    return lws_add_http_header_by_name(connection, reinterpret_cast<const unsigned char*>(name),
                                       reinterpret_cast<const unsigned char*>(value.data()),
                                       static_cast<int>(value.size()), &at, end) == 0;
  };
  if (!add("cache-control:", "no-store")) return false;
  if (exchange.close_after && !exchange.streaming && !add("connection:", "close")) return false;
  return lws_finalize_write_http_header(connection, start, &at, end) == 0;
}

}  // namespace

struct Server::Http {
  io::Loop& loop;
  Backend& backend;
  int client_timeout_s;
  lws_context* context = nullptr;
  std::map<std::uint64_t, Exchange> exchanges;
  std::uint64_t last_exchange = 0;
  lws_vhost* local = nullptr;
  int tcp_connections = 0;
  int local_connections = 0;
  EventRing ring;
  io::Timer heartbeat;
  /// Shared with answers under way, which may come when this is gone.
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  std::array<lws_protocols, 2> protocols{};  // the second one ends the list
  std::array<void*, 1> loops{};

  Http(io::Loop& on, Backend& behind, const ServerConfig& config)
      : loop(on),
        backend(behind),
        client_timeout_s(static_cast<int>(config.client_timeout.count())),
        heartbeat(on) {}

  Status listen(const ServerConfig& config);
  lws_vhost* add_listener(const char* name, const std::string& where, int port, bool unix_socket);

  static int on_event(lws* connection, lws_callback_reasons reason, void* user, void* in,
                      std::size_t size) noexcept;
  int& connections_of(lws* connection);
  bool full(lws* listener);
  int begin(lws* connection, PerConnection& own);
  int body(PerConnection& own, const char* bytes, std::size_t size);
  int body_complete(PerConnection& own);
  void dispatch(std::uint64_t id);
  void answer(Exchange& exchange, Response response);
  void begin_events(Exchange& exchange);
  void begin_stream(Exchange& exchange, const std::string& last_seen);
  int writable(PerConnection& own);
  int send_body(PerConnection& own, Exchange& exchange);
  int send_events(Exchange& exchange);
  void beat();
  void forget(PerConnection& own);
  Exchange* find(std::uint64_t id);
  void limit(lws* connection) {
    lws_set_timeout(connection, PENDING_TIMEOUT_HTTP_CONTENT, client_timeout_s);
  }
  static void no_limit(lws* connection) { lws_set_timeout(connection, NO_PENDING_TIMEOUT, 0); }
};

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
  exchange.request = read_head(connection);
  BodyLength length = body_length(connection, exchange.request.path, kBodyBytesMax);
  const bool is_post = exchange.request.method == "POST";
  // Without a length libwebsockets waits for a body that will not come, and it passes one on only
  // for some methods: such a connection is not kept.
  exchange.close_after = length.refused.has_value() ||
                         (!length.given && exchange.request.method != "GET") ||
                         (length.bytes > 0 && !is_post);
  exchange.body_complete = !length.refused && length.bytes == 0;
  if (length.refused) {
    answer(exchange, std::move(*length.refused));
  } else if (exchange.body_complete || !is_post) {
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

void Server::Http::begin_events(Exchange& exchange) {
  const Request& request = exchange.request;
  const auto since = request.query.find("since");
  if (since == request.query.end()) {
    return begin_stream(exchange, custom_header(exchange.connection, "last-event-id:"));
  }
  const auto id = parse_event_id(since->second);
  if (!id) {
    return answer(exchange,
                  error_response(400, "invalid", "since is an index, or index.n", request.path));
  }
  const EventRing::Batch batch = ring.after(*id, EventRing::kKept);
  Response response{200, "application/x-ndjson", batch.gap ? gap_line() : ""};
  for (const core::Event* event : batch.events) response.body += event_line(*event);
  answer(exchange, std::move(response));
}

void Server::Http::begin_stream(Exchange& exchange, const std::string& last_seen) {
  const auto id = last_seen.empty() ? ring.newest() : parse_event_id(last_seen);
  if (!id) {
    return answer(exchange, error_response(400, "invalid", "Last-Event-ID is index.n",
                                           exchange.request.path));
  }
  const auto streams =
      std::ranges::count_if(exchanges, [](const auto& entry) { return entry.second.streaming; });
  if (streams >= kStreamsMax) {
    return answer(exchange, error_response(503, "busy", "too many event streams are open",
                                           exchange.request.path));
  }
  // The kernel would take megabytes before a client that does not read is seen.
  setsockopt(lws_get_socket_fd(exchange.connection), SOL_SOCKET, SO_SNDBUF, &kStreamSendBufferBytes,
             sizeof(kStreamSendBufferBytes));
  exchange.streaming = true;
  exchange.place = *id;
  exchange.pending = ": fettle\n\n";
  answer(exchange, {200, "text/event-stream", ""});
}

int Server::Http::writable(PerConnection& own) {
  Exchange* exchange = find(own.exchange);
  if (exchange == nullptr || !exchange->answered) return 0;
  if (!exchange->head_sent) {
    exchange->head_sent = true;
    if (!send_head(*exchange)) return -1;
    lws_callback_on_writable(exchange->connection);
    return 0;
  }
  return exchange->streaming ? send_events(*exchange) : send_body(own, *exchange);
}

int Server::Http::send_body(PerConnection& own, Exchange& exchange) {
  const std::string_view text = exchange.response.body;
  lws* connection = exchange.connection;
  if (exchange.request.method != "HEAD" && exchange.sent < text.size()) {
    const std::string_view part = text.substr(exchange.sent, kPartBytes);
    exchange.sent += part.size();
    const bool last = exchange.sent == text.size();
    if (!send_part(connection, part, last)) return -1;
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

int Server::Http::send_events(Exchange& exchange) {
  if (exchange.pending.empty()) {
    const EventRing::Batch batch = ring.after(exchange.place, kBatchEvents);
    if (batch.gap && exchange.stream_begun) return -1;
    if (batch.gap) exchange.pending = sse_gap();
    for (const core::Event* event : batch.events) exchange.pending += sse_text(*event);
    if (!batch.events.empty()) exchange.place = id_of(*batch.events.back());
    if (!exchange.pending.empty()) exchange.stream_begun = true;
  }
  if (exchange.pending.empty()) {
    exchange.unread = false;
    no_limit(exchange.connection);
    return 0;
  }
  const std::string part = exchange.pending.substr(0, kPartBytes);
  exchange.pending.erase(0, part.size());
  if (!send_part(exchange.connection, part, false)) return -1;
  exchange.unread = true;
  limit(exchange.connection);
  lws_callback_on_writable(exchange.connection);
  return 0;
}

void Server::Http::beat() {
  for (auto& [id, exchange] : exchanges) {
    if (!exchange.streaming || exchange.unread) continue;
    exchange.pending += ":\n\n";
    lws_callback_on_writable(exchange.connection);
  }
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

Status Server::Http::listen(const ServerConfig& config) {
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
  FETTLE_CHECK(server->http_->listen(config));
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

void Server::publish(std::span<const core::Event> events) {
  for (const core::Event& event : events) http_->ring.add(event);
  for (auto& [id, exchange] : http_->exchanges) {
    if (exchange.streaming) lws_callback_on_writable(exchange.connection);
  }
}

}  // namespace fettle::api
