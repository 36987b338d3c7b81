// Happy path: a chance pause → the first voter in order without a link of ours → TLS (the voter may
// make it wait) → hello → its hello → up → frames both ways, pings.
// Failures: refused, another name than the certificate's, another cluster, an older generation, no
// turn at a voter that is overrun, silence. Each gives the voter up for now: the one whose failure
// is the oldest comes next, after a pause.
#include "daemon/uplinks.h"

#include <algorithm>

#include "base/bytes.h"
#include "daemon/log.h"

namespace fettle::daemon {

std::vector<wire::Voter> in_order_of(const std::string& agent, std::vector<wire::Voter> voters) {
  const auto weight = [&](const wire::Voter& voter) {
    return Rng{stable_hash(agent + "/" + voter.name)}.next();
  };
  std::ranges::sort(voters, {},
                    [&](const wire::Voter& voter) { return std::pair(weight(voter), voter.name); });
  return voters;
}

Uplinks::Link::Link(io::Loop& loop) : reader(wire::kVersion, wire::kFrameBytesMax), timer(loop) {}

Uplinks::Uplinks(io::Loop& loop, std::shared_ptr<io::TlsContext> tls, std::string self,
                 std::uint64_t seed, UplinkEvents events)
    : loop_(loop),
      tls_(std::move(tls)),
      self_(std::move(self)),
      rng_(seed),
      events_(std::move(events)),
      resolver_(loop) {
  for (auto& link : links_) link = std::make_unique<Link>(loop);
}

Uplinks::~Uplinks() { *alive_ = false; }

std::string Uplinks::pack(const wire::Frame& frame) const {
  return io::make_frame(wire::kVersion, encode(frame));
}

core::Duration Uplinks::by_chance(core::Duration within) {
  const auto most = static_cast<std::uint64_t>(within.count());
  return core::Duration{static_cast<std::int64_t>(rng_.between(0, most))};
}

void Uplinks::set_voters(std::vector<wire::Voter> voters) {
  voters_ = in_order_of(self_, std::move(voters));
  std::erase_if(failures_, [this](const auto& one) {
    return std::ranges::find(voters_, one.first, &wire::Voter::name) == voters_.end();
  });
  if (!std::exchange(started_, true)) {
    for (auto& link : links_) open_soon(*link, kJitter);
    return;
  }
  for (auto& link : links_) {
    const bool named = std::ranges::find(voters_, link->voter, &wire::Voter::name) != voters_.end();
    if (link->stream != nullptr && !named) {
      lost(*link, "it is no voter any more");
    } else if (link->stream == nullptr && !link->timer.active()) {
      open_soon(*link, kJitter);  // there was no voter for it before
    }
  }
}

const Uplinks::Link* Uplinks::find(const std::string& voter) const {
  for (const auto& link : links_) {
    if (link->up && link->voter == voter) return link.get();
  }
  return nullptr;
}

bool Uplinks::up(const std::string& voter) const { return find(voter) != nullptr; }

bool Uplinks::send(const std::string& voter, const wire::Frame& frame) {
  const Link* link = find(voter);
  if (link == nullptr) return false;
  link->stream->write(pack(frame));
  return true;
}

std::vector<std::string> Uplinks::voters_up() const {
  std::vector<std::string> names;
  for (const wire::Voter& voter : voters_) {
    if (up(voter.name)) names.push_back(voter.name);
  }
  return names;
}

std::optional<double> Uplinks::rtt_ms(const std::string& voter) const {
  const Link* link = find(voter);
  return link == nullptr ? std::nullopt : link->rtt_ms;
}

/// Of those without a link of ours: the first that did not fail, else the one that failed longest
/// ago. Null: there is none.
const wire::Voter* Uplinks::choose() const {
  const wire::Voter* best = nullptr;
  core::Time best_failure;
  for (const wire::Voter& voter : voters_) {
    const bool taken = std::ranges::any_of(links_, [&](const auto& link) {
      return link->stream != nullptr && link->voter == voter.name;
    });
    if (taken) continue;
    const auto failed = failures_.find(voter.name);
    const core::Time failure = failed == failures_.end() ? core::Time{} : failed->second;
    if (best != nullptr && failure >= best_failure) continue;
    best = &voter;
    best_failure = failure;
  }
  return best;
}

void Uplinks::open_soon(Link& link, core::Duration within) {
  link.timer.start(by_chance(within), [this, &link] { open(link); });
}

void Uplinks::open(Link& link) {
  const wire::Voter* voter = choose();
  if (voter == nullptr) return;  // until set_voters() names another
  link.voter = voter->name;
  link.stream = std::make_unique<io::Stream>(loop_);  // holds its place while the name is looked up
  const io::Stream* opening = link.stream.get();
  resolver_.resolve(voter->address.host, voter->address.port,
                    [this, &link, opening, alive = alive_](Result<io::SockAddress> address) {
                      if (!*alive || link.stream.get() != opening) return;
                      if (address) return dial(link, *address);
                      lost(link, address.error().what);
                    });
}

void Uplinks::dial(Link& link, const io::SockAddress& address) {
  link.reader = io::FrameReader(wire::kVersion, wire::kFrameBytesMax);
  link.stream->connect_tcp(address,
                           {.on_open =
                                [this, &link] {
                                  ++handshakes_;
                                  link.stream->write(pack(events_.hello()));
                                },
                            .on_data =
                                [this, &link](std::string_view bytes) {
                                  const io::Stream* read_from = link.stream.get();
                                  const Status read =
                                      link.reader.feed(bytes, [&](std::string_view payload) {
                                        heard(link, payload);
                                        return link.stream.get() == read_from;
                                      });
                                  if (!read) lost(link, read.error().what);
                                },
                            .on_end =
                                [this, &link](io::End end, const std::string& text) {
                                  lost(link, std::string(to_string(end)) + ": " + text);
                                },
                            .on_client_hello = {}},
                           kOpenTimeout, tls_, link.voter, wire::kAgentProtocol);
}

void Uplinks::heard(Link& link, std::string_view payload) {
  auto frame = decode<wire::Frame>(payload);
  if (!frame) return lost(link, frame.error().what);
  link.heard = io::Loop::now();
  if (const auto* pong = std::get_if<wire::Pong>(&*frame)) {
    link.rtt_ms = static_cast<double>(link.heard.ns - pong->sent_ns) / 1e6;
  } else if (const auto* refusal = std::get_if<wire::Refused>(&*frame)) {
    log::warn("link.refused_by peer=" + link.voter + ": " + refusal->why);
    lost(link, "it refuses this agent: " + refusal->why);
  } else if (const auto* hello = std::get_if<wire::Hello>(&*frame)) {
    if (!link.up) greeted(link, *hello);
  } else if (link.up) {
    events_.on_frame(link.voter, std::move(*frame));
  }
}

void Uplinks::greeted(Link& link, const wire::Hello& hello) {
  if (hello.facts.name != link.voter) return lost(link, "it says it is " + hello.facts.name);
  if (const Status good = events_.on_hello(hello); !good) return lost(link, good.error().what);
  link.up = true;
  link.pause = kPauseMin;
  failures_.erase(link.voter);
  log::info("link.up peer=" + link.voter);
  link.stream->write(pack(wire::Ping{io::Loop::now().ns}));
  link.timer.start_repeating(kPingEvery, [this, &link] { beat(link); });
  events_.on_up(link.voter);
}

void Uplinks::beat(Link& link) {
  const core::Time now = io::Loop::now();
  if (now - link.heard > kSilenceMax) {
    return lost(link, "silent for " + core::to_string(kSilenceMax));
  }
  link.stream->write(pack(wire::Ping{now.ns}));
}

/// A link that was up is replaced soon; after failures in a row the pauses grow.
void Uplinks::lost(Link& link, const std::string& why) {
  const bool was_up = std::exchange(link.up, false);
  const std::string voter = link.voter;
  const auto old = std::shared_ptr<io::Stream>(std::move(link.stream));
  // Its callback may be the caller: it goes on the loop's next turn.
  if (old != nullptr) {
    old->reset();
    loop_.post([old] {});
  }
  failures_[voter] = io::Loop::now();
  if (was_up) {
    log::warn("link.down peer=" + voter + ": " + why);
    open_soon(link, kJitter);
    return events_.on_down(voter);
  }
  log::debug("link.failed peer=" + voter + ": " + why);
  const core::Duration half = link.pause / 2;
  link.timer.start(half + by_chance(half), [this, &link] { open(link); });
  link.pause = std::min<core::Duration>(kPauseMax, link.pause * 2);
}

}  // namespace fettle::daemon
