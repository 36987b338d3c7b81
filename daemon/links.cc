// Happy path: connect → TLS → hello → the peer's hello → up → frames and pings.
// Failures: refused, not our CA, another name than the address book's, another cluster or
// generation, a frame that is no frame, silence. Each closes the connection; ours is tried again
// with a growing pause. A link that is cut is dialled again at once, to tell a dead process (nobody
// listens) from a broken connection.
#include "daemon/links.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "daemon/log.h"

namespace fettle::daemon {

Links::Outgoing::Outgoing(io::Loop& loop)
    : reader(wire::kVersion, wire::kFrameBytesMax), timer(loop) {}
Links::Incoming::Incoming() : reader(wire::kVersion, wire::kFrameBytesMax) {}

Links::Links(io::Loop& loop, std::shared_ptr<io::TlsContext> tls, LinkEvents events)
    : loop_(loop),
      tls_(std::move(tls)),
      events_(std::move(events)),
      resolver_(loop),
      listener_(loop),
      pinger_(loop),
      turns_(loop) {}

Links::~Links() { *alive_ = false; }

Status Links::listen(const io::SockAddress& at) {
  return listener_.listen_tcp(
      at, [this](uv_stream_t* listener, bool unix_socket) { accept(listener, unix_socket); });
}

void Links::add(const Peer& peer) {
  auto out = std::make_unique<Outgoing>(loop_);
  out->peer = peer;
  Outgoing& added = *out_.insert_or_assign(peer.name, std::move(out)).first->second;
  if (started_) connect(added);
}

void Links::set_peers(const std::vector<Peer>& peers) {
  std::set<std::string> wanted;
  std::vector<std::unique_ptr<Outgoing>> buried;
  for (const Peer& peer : peers) {
    wanted.insert(peer.name);
    const auto known = out_.find(peer.name);
    if (known != out_.end() && known->second->peer.address == peer.address) continue;
    if (known != out_.end()) buried.push_back(std::move(known->second));
    add(peer);
  }
  for (auto at = out_.begin(); at != out_.end();) {
    const auto one = at++;
    if (wanted.contains(one->first)) continue;
    buried.push_back(std::move(one->second));
    out_.erase(one);
  }
  for (auto at = in_.begin(); at != in_.end();) {
    const auto one = at++;
    const Incoming& in = *one->second;
    if (!in.agent && !in.peer.empty() && !wanted.contains(in.peer)) drop(one->first);
  }
  for (std::unique_ptr<Outgoing>& out : buried) bury(std::move(out));
}

/// One of its callbacks may be the caller: it goes on the loop's next turn.
void Links::bury(std::unique_ptr<Outgoing> out) {
  const auto old = std::shared_ptr<Outgoing>(std::move(out));
  if (std::exchange(old->up, false)) events_.on_down(old->peer.name);
  if (old->stream != nullptr) old->stream->reset();
  old->timer.stop();
  loop_.post([old] {});
}

void Links::drop_where_not(const std::string& peer,
                           const std::function<Status(const wire::Hello&)>& right) {
  for (auto at = in_.begin(); at != in_.end();) {
    const auto one = at++;
    const Incoming& in = *one->second;
    if (in.peer != peer || in.agent || in.refused) continue;
    if (const Status good = right(in.hello); !good) refuse(one->first, good.error().what);
  }
  const auto out = out_.find(peer);
  if (out == out_.end() || !out->second->hello) return;
  if (const Status good = right(*out->second->hello); !good) lost(*out->second, good.error().what);
}

void Links::connect_all() {
  started_ = true;
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

std::optional<raft::Instant> Links::round_trip(const std::string& peer) const {
  const auto found = out_.find(peer);
  return found == out_.end() ? std::nullopt : found->second->round_trips.typical();
}

std::size_t Links::backlog(const std::string& peer) const {
  const auto found = out_.find(peer);
  return found == out_.end() || !found->second->up ? 0 : found->second->stream->backlog();
}

const wire::Hello* Links::hello(const std::string& peer) const {
  const auto found = out_.find(peer);
  return found == out_.end() || !found->second->hello ? nullptr : &*found->second->hello;
}

void Links::connect(Outgoing& out) {
  const std::string name = out.peer.name;
  resolver_.resolve(out.peer.address.host, out.peer.address.port,
                    [this, name, alive = alive_](Result<io::SockAddress> address) {
                      const auto still = *alive ? out_.find(name) : out_.end();
                      if (!*alive || still == out_.end() || still->second->stream != nullptr)
                        return;
                      Outgoing& same = *still->second;
                      if (address) return dial(same, *address);
                      lost(same, address.error().what);
                    });
}

void Links::dial(Outgoing& out, const io::SockAddress& address) {
  out.address = address;
  out.heard = io::Loop::now();
  out.reader = io::FrameReader(wire::kVersion, wire::kFrameBytesMax);
  out.stream = std::make_unique<io::Stream>(loop_);
  out.stream->connect_tcp(
      address,
      {.on_open =
           [this, &out] {
             out.evidence_tries = 0;  // somebody listens
             out.stream->write(pack(events_.hello()));
           },
       .on_data =
           [this, &out](std::string_view bytes) {
             const Status read = out.reader.feed(bytes, [&](std::string_view payload) {
               reply(out, payload);
               return out.stream != nullptr;
             });
             if (!read) lost(out, read.error().what);
           },
       .on_end = [this, &out](io::End end, const std::string& text) { ended(out, end, text); }},
      io::Stream::kOpenTimeout, tls_, out.peer.name);
}

void Links::ended(Outgoing& out, io::End end, const std::string& text) {
  const bool cut = end == io::End::Eof || end == io::End::Reset;
  const bool looks = out.evidence_tries > 0;
  if (out.up && cut) {
    out.evidence_tries = kEvidenceTries;
  } else if (looks && cut) {
    --out.evidence_tries;
  } else {
    out.evidence_tries = 0;
  }
  const bool dead = looks && end == io::End::Refused;
  const std::string name = out.peer.name;
  lost(out, std::string(to_string(end)) + ": " + text);
  if (dead) events_.on_dead(name);
}

/// What the peer says on the connection that we opened: its hello, once, and pongs.
void Links::reply(Outgoing& out, std::string_view payload) {
  auto frame = decode<wire::Frame>(payload);
  if (!frame) return lost(out, frame.error().what);
  out.heard = io::Loop::now();
  if (const auto* pong = std::get_if<wire::Pong>(&*frame)) {
    out.round_trips.add(raft::Instant{io::Loop::now().ns - pong->sent_ns});
    return;
  }
  if (const auto* refusal = std::get_if<wire::Refused>(&*frame)) {
    return take_refusal(out, *refusal);
  }
  const auto* hello = std::get_if<wire::Hello>(&*frame);
  if (hello == nullptr || out.up) return;
  if (hello->facts.name != out.peer.name) return lost(out, "it says it is " + hello->facts.name);
  const std::string name = out.peer.name;
  if (const Status known = events_.on_hello(*hello); !known) return lost(out, known.error().what);
  const auto same = out_.find(name);
  if (same == out_.end() || same->second.get() != &out) return;  // its peer has moved: set_peers
  out.hello = *hello;
  out.up = true;
  out.evidence_tries = 0;
  out.delay = kReconnectMin;
  log::info("link.up peer=" + out.peer.name);
  out.stream->write(pack(wire::Ping{io::Loop::now().ns}));
  events_.on_up(out.peer.name);
}

void Links::take_refusal(Outgoing& out, const wire::Refused& refusal) {
  events_.on_refused(out.peer.name, refusal);
  lost(out, "it refuses this member: " + refusal.why);
}

void Links::lost(Outgoing& out, const std::string& why) {
  const bool was_up = std::exchange(out.up, false);
  out.hello.reset();  // what it says next may be another thing
  const auto old = std::shared_ptr<io::Stream>(std::move(out.stream));
  // Its callback may be the caller: it goes on the loop's next turn.
  if (old != nullptr) loop_.post([old] {});
  if (was_up) {
    log::warn("link.down peer=" + out.peer.name + ": " + why);
    events_.on_down(out.peer.name);
  } else {
    log::debug("link.failed peer=" + out.peer.name + ": " + why);
    events_.on_failed(out.peer.name);
  }
  if (out.evidence_tries > 0) {
    const bool first = out.evidence_tries == kEvidenceTries;
    return out.timer.start(first ? core::Duration{0} : kEvidenceGap,
                           [this, &out] { dial(out, *out.address); });
  }
  out.timer.start(out.delay, [this, &out] { connect(out); });
  out.delay = std::min<core::Duration>(kReconnectMax, out.delay * 2);
}

void Links::accept(uv_stream_t* listener, bool unix_socket) {
  const std::uint64_t id = next_incoming_++;
  auto in = std::make_unique<Incoming>();
  in->stream = std::make_unique<io::Stream>(loop_);
  io::Stream& stream = *in->stream;
  const bool full = in_.size() - agent_connections_ >= kIncomingMax && !make_room();
  in_.emplace(id, std::move(in));
  stream.accept(listener, unix_socket,
                {.on_open = [] {},
                 .on_data = [this, id](std::string_view bytes) { heard(id, bytes); },
                 .on_end =
                     [this, id](io::End end, const std::string& text) {
                       const bool early = in_.at(id)->peer.empty() && end == io::End::Timeout;
                       if (end == io::End::Tls || early) log::warn("link.refused: " + text);
                       drop(id);
                     },
                 .on_client_hello =
                     [this, id](std::string_view protocol) {
                       return protocol != wire::kAgentProtocol || wait_turn(id);
                     }},
                tls_);
  if (full) drop(id);
}

/// Drops the oldest connection that has not introduced itself: strangers who only hold connections
/// open lock no member out.
bool Links::make_room() {
  const auto stranger = std::ranges::find_if(
      in_, [](const auto& one) { return one.second->peer.empty() && !one.second->agent; });
  if (stranger == in_.end()) return false;
  drop(stranger->first);
  return true;
}

void Links::heard(std::uint64_t id, std::string_view bytes) {
  Incoming& in = *in_.at(id);
  if (in.refused) return;
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
    const Status taken = take_hello(id, *frame);
    if (!taken) refuse(id, taken.error().what);
    return taken.has_value();
  }
  if (const auto* ping = std::get_if<wire::Ping>(&*frame)) {
    in.stream->write(pack(wire::Pong{ping->sent_ns}));
    if (!in.agent) return true;
  }
  if (in.agent) {
    agent_frame(id, std::move(*frame));
  } else {
    events_.on_frame(in.peer, std::move(*frame));
  }
  const auto still = in_.find(id);  // what it said may have been that it is another one
  return still != in_.end() && !still->second->refused;
}

Status Links::take_hello(std::uint64_t id, const wire::Frame& frame) {
  Incoming& in = *in_.at(id);
  const auto* hello = std::get_if<wire::Hello>(&frame);
  const std::string certified = in.stream->peer_name();
  if (hello == nullptr) return fail(Code::Refused, "it does not introduce itself");
  if (hello->facts.name != certified) {
    return fail(Code::Refused,
                "its certificate names '" + certified + "', it says '" + hello->facts.name + "'");
  }
  if (in.agent != (hello->facts.role == core::MemberRole::Agent)) {
    return fail(Code::Refused, "a link of an agent is opened as one, and no other is");
  }
  if (in.agent) {
    FETTLE_CHECK(events_.on_agent_hello(*hello));
    take_agent(id, *hello);
    return {};
  }
  FETTLE_CHECK(events_.on_hello(*hello));
  FETTLE_ASSERT_MSG(out_.contains(certified), "who is accepted is a peer");
  for (auto at = in_.begin(); at != in_.end();) {  // it opens one at a time: an older one is dead
    const auto one = at++;
    if (one->second->peer == certified) drop(one->first);
  }
  in.peer = certified;
  in.hello = *hello;
  in.stream->write(pack(events_.hello()));
  Outgoing& out = *out_.at(certified);
  if (!out.up && out.stream == nullptr) {  // it is here: no need to wait for our own next try
    out.delay = kReconnectMin;
    out.timer.start(core::Duration{0}, [this, &out] { connect(out); });
  }
  return {};
}

/// Says why, and closes once that has left.
void Links::refuse(std::uint64_t id, const std::string& why) {
  Incoming& in = *in_.at(id);
  log::warn("link.refused peer=" + in.stream->peer_name() + ": " + why);
  in.refused = true;
  in.stream->write(pack(wire::Refused{why, events_.hello().in_group}));
  in.stream->finish();
}

void Links::drop(std::uint64_t id) {
  const auto found = in_.find(id);
  if (found == in_.end()) return;
  const auto old = std::shared_ptr<Incoming>(std::move(found->second));
  in_.erase(found);
  old->stream->reset();
  loop_.post([old] {});
  if (old->agent) forget_agent(id, *old);
}

void Links::beat() {
  const core::Time now = io::Loop::now();
  for (auto& [name, out] : out_) {
    if (out->stream == nullptr) continue;
    const core::Duration patience = out->up ? kSilenceMax : kHelloMax;
    if (now - out->heard > patience) {
      lost(*out, "silent for " + core::to_string(patience));
    } else if (out->up) {
      out->stream->write(pack(wire::Ping{now.ns}));
    }
  }
  drop_silent_agents(now);
}

}  // namespace fettle::daemon
