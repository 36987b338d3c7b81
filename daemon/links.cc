// Happy path: connect → TLS → hello → the peer's hello → up → frames and pings.
// Failures: refused, not our CA, another name than the address book's, another cluster or
// generation, a frame that is no frame, silence. Each closes the connection; ours is tried again
// with a growing pause.
#include "daemon/links.h"

#include <algorithm>

#include "daemon/log.h"

namespace fettle::daemon {

Links::Outgoing::Outgoing(io::Loop& loop)
    : reader(wire::kVersion, wire::kFrameBytesMax), timer(loop) {}
Links::Incoming::Incoming() : reader(wire::kVersion, wire::kFrameBytesMax) {}

Links::Links(io::Loop& loop, std::shared_ptr<io::TlsContext> tls, wire::Hello self,
             std::vector<Peer> peers, LinkEvents events)
    : loop_(loop),
      tls_(std::move(tls)),
      self_(std::move(self)),
      events_(std::move(events)),
      resolver_(loop),
      listener_(loop),
      pinger_(loop) {
  for (Peer& peer : peers) {
    auto out = std::make_unique<Outgoing>(loop);
    out->peer = peer;
    out_.emplace(peer.name, std::move(out));
  }
}

Links::~Links() { *alive_ = false; }

Status Links::listen(const io::SockAddress& at) {
  return listener_.listen_tcp(
      at, [this](uv_stream_t* listener, bool unix_socket) { accept(listener, unix_socket); });
}

void Links::connect_all() {
  for (auto& [name, out] : out_) connect(*out);
  pinger_.start_repeating(kPingEvery, [this] { beat(); });
}

std::string Links::pack(const wire::Frame& frame) const {
  return io::make_frame(wire::kVersion, encode(frame));
}

bool Links::send(const std::string& peer, const wire::Frame& frame) {
  const auto found = out_.find(peer);
  if (found == out_.end() || !found->second->up) return false;
  found->second->stream->write(pack(frame));
  return true;
}

bool Links::up(const std::string& peer) const {
  const auto found = out_.find(peer);
  return found != out_.end() && found->second->up;
}

std::optional<double> Links::rtt_ms(const std::string& peer) const {
  const auto found = out_.find(peer);
  return found == out_.end() || !found->second->up ? std::nullopt : found->second->rtt_ms;
}

const wire::Hello* Links::hello(const std::string& peer) const {
  const auto found = out_.find(peer);
  return found == out_.end() || !found->second->hello ? nullptr : &*found->second->hello;
}

void Links::connect(Outgoing& out) {
  const std::string name = out.peer.name;
  resolver_.resolve(out.peer.address.host, out.peer.address.port,
                    [this, name, alive = alive_](Result<io::SockAddress> address) {
                      if (!*alive) return;
                      Outgoing& same = *out_.at(name);
                      if (address) return dial(same, *address);
                      lost(same, address.error().what);
                    });
}

void Links::dial(Outgoing& out, const io::SockAddress& address) {
  out.reader = io::FrameReader(wire::kVersion, wire::kFrameBytesMax);
  out.stream = std::make_unique<io::Stream>(loop_);
  out.stream->connect_tcp(address,
                          {.on_open = [this, &out] { out.stream->write(pack(self_)); },
                           .on_data =
                               [this, &out](std::string_view bytes) {
                                 const Status read =
                                     out.reader.feed(bytes, [&](std::string_view payload) {
                                       reply(out, payload);
                                       return out.stream != nullptr;
                                     });
                                 if (!read) lost(out, read.error().what);
                               },
                           .on_end =
                               [this, &out](io::End end, const std::string& text) {
                                 lost(out, std::string(to_string(end)) + ": " + text);
                               }},
                          io::Stream::kOpenTimeout, tls_, out.peer.name);
}

/// What the peer says on the connection that we opened: its hello, once, and pongs.
void Links::reply(Outgoing& out, std::string_view payload) {
  auto frame = decode<wire::Frame>(payload);
  if (!frame) return lost(out, frame.error().what);
  out.heard = io::Loop::now();
  if (const auto* pong = std::get_if<wire::Pong>(&*frame)) {
    out.rtt_ms = static_cast<double>(io::Loop::now().ns - pong->sent_ns) / 1e6;
    return;
  }
  const auto* hello = std::get_if<wire::Hello>(&*frame);
  if (hello == nullptr || out.up) return;
  if (hello->facts.name != out.peer.name) return lost(out, "it says it is " + hello->facts.name);
  if (const Status known = events_.on_hello(*hello); !known) return lost(out, known.error().what);
  out.hello = *hello;
  out.up = true;
  out.delay = kReconnectMin;
  log::info("link.up peer=" + out.peer.name);
  out.stream->write(pack(wire::Ping{io::Loop::now().ns}));
  events_.on_up(out.peer.name);
}

void Links::lost(Outgoing& out, const std::string& why) {
  const bool was_up = std::exchange(out.up, false);
  const auto old = std::shared_ptr<io::Stream>(std::move(out.stream));
  // Its callback may be the caller: it goes on the loop's next turn.
  if (old != nullptr) loop_.post([old] {});
  if (was_up) {
    log::warn("link.down peer=" + out.peer.name + ": " + why);
    events_.on_down(out.peer.name);
  } else {
    log::debug("link.failed peer=" + out.peer.name + ": " + why);
  }
  out.timer.start(out.delay, [this, &out] { connect(out); });
  out.delay = std::min<core::Duration>(kReconnectMax, out.delay * 2);
}

void Links::accept(uv_stream_t* listener, bool unix_socket) {
  const std::uint64_t id = next_incoming_++;
  auto in = std::make_unique<Incoming>();
  in->stream = std::make_unique<io::Stream>(loop_);
  io::Stream& stream = *in->stream;
  const bool full = in_.size() >= kIncomingMax && !make_room();
  in_.emplace(id, std::move(in));
  stream.accept(listener, unix_socket,
                {.on_open = [] {},
                 .on_data = [this, id](std::string_view bytes) { heard(id, bytes); },
                 .on_end =
                     [this, id](io::End end, const std::string& text) {
                       const bool early = in_.at(id)->peer.empty() && end == io::End::Timeout;
                       if (end == io::End::Tls || early) log::warn("link.refused: " + text);
                       drop(id);
                     }},
                tls_);
  if (full) drop(id);
}

/// Drops the oldest connection that has not introduced itself: strangers who only hold connections
/// open lock no member out.
bool Links::make_room() {
  const auto stranger =
      std::ranges::find_if(in_, [](const auto& one) { return one.second->peer.empty(); });
  if (stranger == in_.end()) return false;
  drop(stranger->first);
  return true;
}

void Links::heard(std::uint64_t id, std::string_view bytes) {
  Incoming& in = *in_.at(id);
  const Status read = in.reader.feed(bytes, [&](std::string_view one) { return payload(id, one); });
  if (read) return;
  log::warn("link.refused peer=" + in.stream->peer_name() + ": " + read.error().what);
  drop(id);
}

/// One frame on a connection that a peer opened; false stops reading it.
bool Links::payload(std::uint64_t id, std::string_view payload) {
  Incoming& in = *in_.at(id);
  auto frame = decode<wire::Frame>(payload);
  if (!frame) {
    log::warn("link.refused peer=" + in.stream->peer_name() + ": " + frame.error().what);
    drop(id);
    return false;
  }
  if (in.peer.empty()) {
    if (take_hello(in, *frame)) return true;
    drop(id);
    return false;
  }
  if (const auto* ping = std::get_if<wire::Ping>(&*frame)) {
    in.stream->write(pack(wire::Pong{ping->sent_ns}));
    return true;
  }
  events_.on_frame(in.peer, std::move(*frame));
  return in_.contains(id);
}

bool Links::take_hello(Incoming& in, const wire::Frame& frame) {
  const auto* hello = std::get_if<wire::Hello>(&frame);
  const std::string& certified = in.stream->peer_name();
  const auto refuse = [&](const std::string& why) {
    log::warn("link.refused peer=" + certified + ": " + why);
    return false;
  };
  if (hello == nullptr) return refuse("it does not introduce itself");
  if (hello->facts.name != certified) {
    return refuse("its certificate names '" + certified + "', it says '" + hello->facts.name + "'");
  }
  if (!out_.contains(certified)) return refuse("it is not a member of this group");
  if (const Status known = events_.on_hello(*hello); !known) return refuse(known.error().what);
  for (auto at = in_.begin(); at != in_.end();) {  // it opens one at a time: an older one is dead
    const auto one = at++;
    if (one->second->peer == certified) drop(one->first);
  }
  in.peer = certified;
  in.stream->write(pack(self_));
  Outgoing& out = *out_.at(certified);
  if (!out.up && out.stream == nullptr) {  // it is here: no need to wait for our own next try
    out.delay = kReconnectMin;
    out.timer.start(core::Duration{0}, [this, &out] { connect(out); });
  }
  return true;
}

void Links::drop(std::uint64_t id) {
  const auto found = in_.find(id);
  if (found == in_.end()) return;
  const auto old = std::shared_ptr<Incoming>(std::move(found->second));
  in_.erase(found);
  old->stream->reset();
  loop_.post([old] {});
}

void Links::beat() {
  const core::Time now = io::Loop::now();
  for (auto& [name, out] : out_) {
    if (!out->up) continue;
    if (now - out->heard > kSilenceMax) {
      lost(*out, "silent for " + core::to_string(kSilenceMax));
    } else {
      out->stream->write(pack(wire::Ping{now.ns}));
    }
  }
}

}  // namespace fettle::daemon
