// Http: the Server's inside: what libwebsockets' callbacks work on. server.cc has the connections
// and their exchanges, streams.cc the streams of events and of the key-value store. Internal to
// api/.
#pragma once

#include <libwebsockets.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/events.h"
#include "api/kv_changes.h"
#include "api/routes.h"
#include "api/server.h"
#include "io/timer.h"

namespace fettle::api {

inline constexpr std::size_t kPartBytes = 32U * 1024;

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
  std::optional<std::string> watched;  // a watch of this prefix; else of the events
  std::uint64_t revision = 0;          // the watch's place
  std::string pending;
  std::size_t pending_sent = 0;
};

/// Writes a head, a part of a body, or both; false: the connection is of no use any more.
bool send_part(lws* connection, std::string_view bytes, bool last);

struct Server::Http {
  io::Loop& loop;
  Backend& backend;
  /// libwebsockets keeps pointers into it, and unlinks the socket by them when its context ends.
  const ServerConfig config;
  int client_timeout_s;
  lws_context* context = nullptr;
  std::map<std::uint64_t, Exchange> exchanges;
  std::uint64_t last_exchange = 0;
  lws_vhost* local = nullptr;
  int tcp_connections = 0;
  int local_connections = 0;
  EventRing ring;
  KvChanges changes;
  io::Timer heartbeat;
  /// Shared with answers under way, which may come when this is gone.
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  std::array<lws_protocols, 2> protocols{};  // the second one ends the list
  std::array<void*, 1> loops{};

  Http(io::Loop& on, Backend& behind, ServerConfig with)
      : loop(on),
        backend(behind),
        config(std::move(with)),
        client_timeout_s(static_cast<int>(config.client_timeout.count())),
        heartbeat(on) {}

  Status listen();
  /// `where` is a part of `config`.
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
  void wake_watches();
  void begin_watch(std::uint64_t id, Exchange& exchange);
  void watch_from(Exchange& exchange, std::optional<std::uint64_t> since, const KvRead& now);
  bool has_room(Exchange& exchange, bool watch, int most);
  void open_stream(Exchange& exchange);
  int writable(PerConnection& own);
  int send_body(PerConnection& own, Exchange& exchange, const std::string& head);
  bool fill(Exchange& exchange);
  int send_stream(Exchange& exchange);
  void beat();
  void forget(PerConnection& own);
  Exchange* find(std::uint64_t id);
  void limit(lws* connection) {
    lws_set_timeout(connection, PENDING_TIMEOUT_HTTP_CONTENT, client_timeout_s);
  }
  static void no_limit(lws* connection) { lws_set_timeout(connection, NO_PENDING_TIMEOUT, 0); }
};

}  // namespace fettle::api
