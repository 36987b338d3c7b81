// Uplinks: an agent's links to two of the group's voters, by mutual TLS, each one connection for
// both ways. Opened with jitter, so that a fleet does not come at once; kept whoever leads. Which
// two is decided by the agent's name, so that agents spread evenly; a voter that fails is tried
// again after those that did not. Owns sockets, hellos, reconnects and pings; knows nothing of what
// the frames mean. One loop's thread.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "daemon/wire.h"
#include "io/frame.h"
#include "io/resolver.h"
#include "io/stream.h"
#include "io/timer.h"

namespace fettle::daemon {

struct UplinkEvents {
  /// What this agent says of itself now.
  std::function<wire::Hello()> hello;
  /// A voter introduces itself; an error gives it up for now.
  std::function<Status(const wire::Hello&)> on_hello;
  std::function<void(const std::string& voter)> on_up;
  std::function<void(const std::string& voter)> on_down;
  std::function<void(const std::string& voter, wire::Frame frame)> on_frame;
};

/// The voters in the order in which this agent prefers them: by rendezvous hashing (Thaler and
/// Ravishankar 1998), so that each is preferred by as many agents. Pure.
std::vector<wire::Voter> in_order_of(const std::string& agent, std::vector<wire::Voter> voters);

class Uplinks {
 public:
  static constexpr std::size_t kLinks = 2;
  /// The first opening comes by chance within this, and so does one in the place of a lost link.
  static constexpr core::Duration kJitter = std::chrono::seconds(2);
  /// After failures in a row: a pause that doubles, of which half is by chance.
  static constexpr core::Duration kPauseMin = std::chrono::milliseconds(500);
  static constexpr core::Duration kPauseMax = std::chrono::seconds(15);
  /// A voter may make a handshake wait for Stream::kHeldMax.
  static constexpr core::Duration kOpenTimeout = std::chrono::seconds(20);
  static constexpr core::Duration kPingEvery = std::chrono::seconds(2);
  static constexpr core::Duration kSilenceMax = std::chrono::seconds(7);

  Uplinks(io::Loop& loop, std::shared_ptr<io::TlsContext> tls, std::string self, std::uint64_t seed,
          UplinkEvents events);
  ~Uplinks();
  Uplinks(const Uplinks&) = delete;
  Uplinks& operator=(const Uplinks&) = delete;

  /// Who the voters are, from now on; links to others are given up. The first call starts it.
  void set_voters(std::vector<wire::Voter> voters);

  /// Queues a frame; false if the link is not up (nothing is kept).
  bool send(const std::string& voter, const wire::Frame& frame);
  bool up(const std::string& voter) const;
  /// The voters with a link that is up; the one preferred first.
  std::vector<std::string> voters_up() const;
  std::optional<double> rtt_ms(const std::string& voter) const;
  /// TLS handshakes that ended well since the start.
  std::uint64_t handshakes() const { return handshakes_; }

 private:
  struct Link {
    std::string voter;  // that it is to, or was to last
    std::unique_ptr<io::Stream> stream;
    io::FrameReader reader;
    io::Timer timer;  // until the next opening; while up: the pings
    core::Duration pause = kPauseMin;
    bool up = false;
    core::Time heard;
    std::optional<double> rtt_ms;
    explicit Link(io::Loop& loop);
  };

  const Link* find(const std::string& voter) const;
  const wire::Voter* choose() const;
  void open_soon(Link& link, core::Duration within);
  void open(Link& link);
  void dial(Link& link, const io::SockAddress& address);
  void heard(Link& link, std::string_view payload);
  void greeted(Link& link, const wire::Hello& hello);
  void beat(Link& link);
  void lost(Link& link, const std::string& why);
  core::Duration by_chance(core::Duration within);
  std::string pack(const wire::Frame& frame) const;

  io::Loop& loop_;
  std::shared_ptr<io::TlsContext> tls_;
  std::string self_;
  Rng rng_;
  UplinkEvents events_;
  io::Resolver resolver_;
  std::vector<wire::Voter> voters_;             // in the order of preference
  std::map<std::string, core::Time> failures_;  // by voter: the last one since it was up
  std::array<std::unique_ptr<Link>, kLinks> links_;
  std::uint64_t handshakes_ = 0;
  bool started_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fettle::daemon
