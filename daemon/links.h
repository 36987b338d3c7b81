// Links: a voter's connections to its peers and of its agents, by mutual TLS. To a peer it sends on
// the connection that it opened and hears on the one its peer opened; a link is up once the peer
// answered our hello. An agent opens one connection for both ways (agent_links.cc), and its
// handshake waits its turn. Owns sockets, hellos, reconnects and pings; knows nothing of what the
// frames mean. Group loop only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/members.h"
#include "daemon/wire.h"
#include "io/frame.h"
#include "io/listener.h"
#include "io/resolver.h"
#include "io/stream.h"
#include "io/timer.h"
#include "raft/timing.h"

namespace fettle::daemon {

struct Peer {
  std::string name;
  core::Address address;
};

struct LinkEvents {
  /// What this member says of itself now; asked for each new connection.
  std::function<wire::Hello()> hello;
  /// A peer introduces itself, known so far or not; an error refuses it, and it is told why. What
  /// is accepted must be one of the peers when this returns (set_peers).
  std::function<Status(const wire::Hello&)> on_hello;
  std::function<void(const std::string& peer, wire::Frame frame)> on_frame;
  std::function<void(const std::string& peer)> on_up;
  std::function<void(const std::string& peer)> on_down;
  /// The peer's process is dead: its connection was cut, and right afterwards nobody listened
  /// there.
  std::function<void(const std::string& peer)> on_dead;
  /// The peer could not be reached, or its connection ended before its link was up.
  std::function<void(const std::string& peer)> on_failed;
  /// The peer refuses this member, and says why.
  std::function<void(const std::string& peer, const wire::Refused& refusal)> on_refused;
  /// An agent, named as in its certificate, introduces itself; an error refuses it.
  std::function<Status(const wire::Hello&)> on_agent_hello;
  std::function<void(const wire::Hello&)> on_agent_up;
  std::function<void(const std::string& agent)> on_agent_down;
  std::function<void(const std::string& agent, wire::Frame frame)> on_agent_frame;
};

class Links {
 public:
  static constexpr core::Duration kReconnectMin = std::chrono::milliseconds(50);
  static constexpr core::Duration kReconnectMax = std::chrono::seconds(2);
  static constexpr core::Duration kPingEvery = std::chrono::seconds(1);
  /// A link that carried nothing for this long is dead, whatever the kernel thinks.
  static constexpr core::Duration kSilenceMax = std::chrono::seconds(5);
  /// From dialling to the peer's hello, the handshake included.
  static constexpr core::Duration kHelloMax = io::Stream::kOpenTimeout + kSilenceMax;
  static constexpr std::size_t kIncomingMax = 64;
  /// After a cut the peer is dialled again at once, so many times and so far apart: the kernel may
  /// close a dead process's connections before its listener.
  static constexpr int kEvidenceTries = 5;
  static constexpr core::Duration kEvidenceGap = std::chrono::milliseconds(2);

  static constexpr std::size_t kAgentsMax = core::kAgentsMax;
  /// Handshakes of agents that are begun in a second: each costs this loop about a millisecond.
  static constexpr int kAgentHandshakesPerSecond = 200;
  /// Agents whose handshake waits its turn, which comes before Stream::kHeldMax; others are
  /// refused.
  static constexpr std::size_t kAgentsWaitingMax = 2000;
  /// An agent that was not heard for this long is gone; it pings every Uplinks::kPingEvery.
  static constexpr core::Duration kAgentSilenceMax = std::chrono::seconds(7);
  /// Bytes that may wait for one agent to read them.
  static constexpr std::size_t kAgentBacklogBytesMax = wire::kFrameBytesMax + 8U * 1024 * 1024;

  /// Without peers: set_peers() names them.
  Links(io::Loop& loop, std::shared_ptr<io::TlsContext> tls, LinkEvents events);
  ~Links();
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  Status listen(const io::SockAddress& at);
  void connect_all();
  /// Who this member has links to, from now on: new ones are dialled, others are dropped, silently.
  void set_peers(const std::vector<Peer>& peers);

  /// Ends the links with the peer, both ways, where its hello is not `right` any more.
  void drop_where_not(const std::string& peer,
                      const std::function<Status(const wire::Hello&)>& right);

  /// Queues a frame; false if the link is not up (nothing is kept).
  bool send(const std::string& peer, const wire::Frame& frame);
  bool up(const std::string& peer) const;
  /// The typical round trip to the peer, also while its link is down; nullopt: not known yet.
  std::optional<raft::Instant> round_trip(const std::string& peer) const;
  /// Bytes that wait to leave on the link to the peer.
  std::size_t backlog(const std::string& peer) const;
  /// As send(), on the connection that the agent opened.
  bool send_to_agent(const std::string& agent, const wire::Frame& frame);
  bool has_agent(const std::string& agent) const { return agents_.contains(agent); }
  std::vector<std::string> agents() const;
  void drop_agent(const std::string& agent, const std::string& why);
  /// Handshakes that ended well since the start, with agents.
  std::uint64_t agent_handshakes() const { return agent_handshakes_; }
  /// What the peer said in its newest hello.
  const wire::Hello* hello(const std::string& peer) const;

 private:
  struct Outgoing {
    Peer peer;
    std::unique_ptr<io::Stream> stream;
    io::FrameReader reader;
    io::Timer timer;
    core::Duration delay = kReconnectMin;
    std::optional<io::SockAddress> address;  // where it was last found
    int evidence_tries = 0;                  // left, after a cut
    bool up = false;
    core::Time heard;
    raft::RoundTrips round_trips;
    std::optional<wire::Hello> hello;
    explicit Outgoing(io::Loop& loop);
  };
  struct Incoming {
    std::unique_ptr<io::Stream> stream;
    io::FrameReader reader;
    std::string peer;      // after its hello
    wire::Hello hello;     // of a peer
    bool refused = false;  // it is told so; nothing of it is read any more
    bool agent = false;    // by what its client hello names
    core::Time heard;      // of an agent that introduced itself
    Incoming();
  };

  void add(const Peer& peer);
  void bury(std::unique_ptr<Outgoing> out);
  void connect(Outgoing& out);
  void dial(Outgoing& out, const io::SockAddress& address);
  void ended(Outgoing& out, io::End end, const std::string& text);
  void lost(Outgoing& out, const std::string& why);
  void take_refusal(Outgoing& out, const wire::Refused& refusal);
  void reply(Outgoing& out, std::string_view payload);
  void accept(uv_stream_t* listener, bool unix_socket);
  bool make_room();
  void heard(std::uint64_t id, std::string_view bytes);
  bool payload(std::uint64_t id, std::string_view payload);
  Status take_hello(std::uint64_t id, const wire::Frame& frame);
  void refuse(std::uint64_t id, const std::string& why);
  void drop(std::uint64_t id);
  void beat();
  std::string pack(const wire::Frame& frame) const;

  // agent_links.cc
  bool wait_turn(std::uint64_t id);
  void take_turn();
  void take_agent(std::uint64_t id, const wire::Hello& hello);
  void agent_frame(std::uint64_t id, wire::Frame frame);
  void forget_agent(std::uint64_t id, const Incoming& in);
  void drop_silent_agents(core::Time now);

  io::Loop& loop_;
  std::shared_ptr<io::TlsContext> tls_;
  LinkEvents events_;
  io::Resolver resolver_;
  io::Listener listener_;
  io::Timer pinger_;
  std::map<std::string, std::unique_ptr<Outgoing>> out_;
  std::map<std::uint64_t, std::unique_ptr<Incoming>> in_;
  std::uint64_t next_incoming_ = 1;
  std::map<std::string, std::uint64_t> agents_;  // by name: its connection
  std::size_t agent_connections_ = 0;            // in in_, also of those not introduced yet
  std::deque<std::uint64_t> waiting_turn_;       // their handshakes are held
  io::Timer turns_;
  std::uint64_t agent_handshakes_ = 0;
  bool started_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fettle::daemon
