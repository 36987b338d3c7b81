// Streams: exchanges that stay open. Happy path: a place (the newest event, or the one last seen; a
// revision of the store) → what comes after it, in parts, as long as the client reads. Failures:
// the place is not kept any more (one `gap` or `reset`, then what there is); the client falls so
// far behind that its place is dropped (closed: it comes back with the last id it saw).
#include <sys/socket.h>

#include <algorithm>

#include "api/answers.h"
#include "api/http.h"
#include "api/incoming.h"

namespace fettle::api {
namespace {

constexpr std::size_t kBatchEvents = 64;
constexpr std::size_t kBatchChanges = 16;
constexpr int kStreamSendBufferBytes = 64 * 1024;

}  // namespace

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
  if (!has_room(exchange, false, kStreamsMax)) return;
  exchange.place = *id;
  open_stream(exchange);
}

/// Answers, if there are as many streams of its kind already.
bool Server::Http::has_room(Exchange& exchange, bool watch, int most) {
  const auto open = std::ranges::count_if(exchanges, [&](const auto& entry) {
    return entry.second.streaming && entry.second.watched.has_value() == watch;
  });
  if (open < most) return true;
  answer(exchange, error_response(503, "busy", "too many streams are open", exchange.request.path));
  return false;
}

void Server::Http::open_stream(Exchange& exchange) {
  // The kernel would take megabytes before a client that does not read is seen.
  setsockopt(lws_get_socket_fd(exchange.connection), SOL_SOCKET, SO_SNDBUF, &kStreamSendBufferBytes,
             sizeof(kStreamSendBufferBytes));
  exchange.streaming = true;
  exchange.pending.insert(0, ": fettle\n\n");
  answer(exchange, {200, "text/event-stream", ""});
}

/// The store as this member holds it says where the watch begins; changes follow from the ring.
void Server::Http::begin_watch(std::uint64_t id, Exchange& exchange) {
  const Request& request = exchange.request;
  const auto given = request.query.find("since");
  const std::string last_seen = given != request.query.end()
                                    ? given->second
                                    : custom_header(exchange.connection, "last-event-id:");
  const auto since = to_number(last_seen);
  if (!last_seen.empty() && !since) {
    return answer(exchange, error_response(400, "invalid", "since is a revision", request.path));
  }
  const KvQuery query{.key = request.query.at("watch"), .prefix = true};
  backend.read_kv(query, false, [this, id, since, still = alive](const Result<KvRead>& now) {
    if (!*still) return;
    Exchange* asked = find(id);
    if (asked == nullptr) return;
    if (!now) return answer(*asked, error(now.error(), asked->request.path));
    watch_from(*asked, since, *now);
  });
}

void Server::Http::watch_from(Exchange& exchange, std::optional<std::uint64_t> since,
                              const KvRead& now) {
  if (!has_room(exchange, true, kWatchesMax)) return;
  exchange.watched = exchange.request.query.at("watch");
  exchange.revision = since.value_or(now.revision);
  if (exchange.revision < now.revision && !changes.covers(exchange.revision)) {
    exchange.pending = kv_sse_reset(now);
    exchange.revision = now.revision;
  }
  open_stream(exchange);
}

/// Takes what comes next into `pending`; false: the stream has lost its place.
bool Server::Http::fill(Exchange& exchange) {
  if (exchange.watched) {
    const KvChanges::Batch batch =
        changes.after(exchange.revision, *exchange.watched, kBatchChanges);
    if (batch.gap) return false;
    for (const core::effect::KvChanged* change : batch.changes) exchange.pending += kv_sse(*change);
    exchange.revision = batch.place;
    return true;
  }
  const EventRing::Batch batch = ring.after(exchange.place, kBatchEvents);
  if (batch.gap && exchange.stream_begun) return false;
  if (batch.gap) exchange.pending = sse_gap();
  for (const core::Event* event : batch.events) exchange.pending += sse_text(*event);
  if (!batch.events.empty()) exchange.place = id_of(*batch.events.back());
  if (!exchange.pending.empty()) exchange.stream_begun = true;
  return true;
}

int Server::Http::send_stream(Exchange& exchange) {
  if (exchange.pending_sent == exchange.pending.size()) {
    exchange.pending.clear();
    exchange.pending_sent = 0;
    if (!fill(exchange)) return -1;
  }
  if (exchange.pending.empty()) {
    exchange.unread = false;
    no_limit(exchange.connection);
    return 0;
  }
  const std::string part = exchange.pending.substr(exchange.pending_sent, kPartBytes);
  exchange.pending_sent += part.size();
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

void Server::Http::wake_watches() {
  for (auto& [id, exchange] : exchanges) {
    if (exchange.watched) lws_callback_on_writable(exchange.connection);
  }
}

void Server::publish(std::span<const core::Event> events) {
  for (const core::Event& event : events) http_->ring.add(event);
  for (auto& [id, exchange] : http_->exchanges) {
    if (exchange.streaming) lws_callback_on_writable(exchange.connection);
  }
}

void Server::publish(std::span<const core::effect::KvChanged> changes) {
  for (const core::effect::KvChanged& change : changes) http_->changes.add(change);
  http_->wake_watches();
}

void Server::skip_changes_to(std::uint64_t revision) {
  http_->changes.skip_to(revision);
  http_->wake_watches();
}

}  // namespace fettle::api
