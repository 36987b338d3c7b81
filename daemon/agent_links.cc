// Links' side towards agents. Happy path: an agent's TLS client hello names wire::kAgentProtocol →
// the handshake is held and waits its turn → handshake → hello → ours → up → frames both ways.
// Failures: too many wait or are there (dropped; it tries again), not our CA, a name that is not
// its own, a refused hello, silence. Turns are paced, so that a whole fleet that comes at once
// costs this loop a bounded share of its time and no voter's link waits behind it.
#include <algorithm>

#include "daemon/links.h"
#include "daemon/log.h"

namespace fettle::daemon {

/// Always false: the handshake is held.
bool Links::wait_turn(std::uint64_t id) {
  Incoming& in = *in_.at(id);
  in.agent = true;
  in.reader = io::FrameReader(wire::kVersion, wire::kAgentFrameBytesMax);
  in.stream->set_backlog_max(kAgentBacklogBytesMax);
  ++agent_connections_;
  const bool full = waiting_turn_.size() >= kAgentsWaitingMax ||
                    agent_connections_ > kAgentsMax + kAgentsWaitingMax;
  if (full) {
    loop_.post([this, id, alive = alive_] {
      if (*alive) drop(id);
    });
    return false;
  }
  waiting_turn_.push_back(id);
  constexpr core::Duration kTurnEvery =
      core::Duration(std::chrono::seconds(1)) / kAgentHandshakesPerSecond;
  if (!turns_.active()) turns_.start_repeating(kTurnEvery, [this] { take_turn(); });
  return false;
}

/// Of the oldest that is still there; those that gave up cost no turn.
void Links::take_turn() {
  while (!waiting_turn_.empty()) {
    const auto found = in_.find(waiting_turn_.front());
    waiting_turn_.pop_front();
    if (found != in_.end()) return found->second->stream->go_on();
  }
  turns_.stop();
}

void Links::take_agent(std::uint64_t id, const wire::Hello& hello) {
  const std::string& name = hello.facts.name;
  if (const auto older = agents_.find(name); older != agents_.end()) drop(older->second);
  Incoming& in = *in_.at(id);
  in.peer = name;
  in.heard = io::Loop::now();
  ++agent_handshakes_;
  agents_.emplace(name, id);
  in.stream->write(pack(events_.hello()));
  log::info("agent.up agent=" + name);
  events_.on_agent_up(hello);
}

void Links::agent_frame(std::uint64_t id, wire::Frame frame) {
  Incoming& in = *in_.at(id);
  in.heard = io::Loop::now();
  events_.on_agent_frame(in.peer, std::move(frame));
}

void Links::forget_agent(std::uint64_t id, const Incoming& in) {
  --agent_connections_;
  const auto found = agents_.find(in.peer);
  if (found == agents_.end() || found->second != id) return;
  agents_.erase(found);
  log::info("agent.down agent=" + in.peer);
  events_.on_agent_down(in.peer);
}

bool Links::send_to_agent(const std::string& agent, const wire::Frame& frame) {
  const auto found = agents_.find(agent);
  if (found == agents_.end()) return false;
  in_.at(found->second)->stream->write(pack(frame));
  return true;
}

std::vector<std::string> Links::agents() const {
  std::vector<std::string> names;
  for (const auto& [name, id] : agents_) names.push_back(name);
  return names;
}

void Links::drop_agent(const std::string& agent, const std::string& why) {
  const auto found = agents_.find(agent);
  if (found == agents_.end()) return;
  log::warn("link.refused peer=" + agent + ": " + why);
  drop(found->second);
}

void Links::drop_silent_agents(core::Time now) {
  for (const std::string& name : agents()) {
    const core::Duration silence = now - in_.at(agents_.at(name))->heard;
    if (silence > kAgentSilenceMax) drop_agent(name, "silent for " + core::to_string(silence));
  }
}

}  // namespace fettle::daemon
