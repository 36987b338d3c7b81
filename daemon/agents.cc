// Agents, as a voter sees them: members without a log (DESIGN §6 "Links"). A voter answers its
// agents' clients itself; what agents observe and answer it passes on to the leader, under the name
// of their certificates, and brings them the leader's orders. What an agent watches every voter
// knows by itself, from the state. The leader keeps a table of who reaches whom (daemon/reach.h),
// commits facts and deaths from it, and sends open tasks again whenever a way may have swallowed
// one.
#include <algorithm>
#include <type_traits>

#include "api/kv_routes.h"
#include "base/bytes.h"
#include "core/runs.h"
#include "core/snapshot_file.h"
#include "daemon/group.h"
#include "daemon/log.h"
#include "spec/reader.h"

namespace fettle::daemon {
namespace {

/// With more than this waiting on the way to the leader, what agents say is dropped: their whole
/// tables come again, and open tasks are asked for again.
constexpr std::size_t kRelayBacklogBytesMax = 8U * 1024 * 1024;
/// Agents that are told something in one turn of the loop.
constexpr std::size_t kToldPerTurn = 64;
/// Facts of agents that are committed in one entry.
constexpr std::size_t kFactsPerEntry = 512;
constexpr core::Duration kProposeAgainAfter = std::chrono::seconds(2);
/// Open tasks go to agents again this often.
constexpr core::Duration kResendEvery = std::chrono::seconds(5);

template <typename T, typename... Of>
constexpr bool is_one_of = (std::is_same_v<T, Of> || ...);

/// What a client of any member may ask for; everything else a command can be is the members' own
/// word, which an agent's link must not forge.
bool is_clients(const core::Command& command) {
  namespace c = core::command;
  return std::visit(
      []<typename T>(const T&) {
        return is_one_of<T, c::ApplySpec, c::Isolate, c::Restore, c::Freeze, c::Unfreeze, c::Cancel,
                         c::Retry, c::KvPut, c::KvDelete, c::LeaseGrant, c::LeaseRenew,
                         c::LeaseRelease>;
      },
      command);
}

bool is_observation(const wire::Frame& frame) {
  return std::holds_alternative<wire::Report>(frame) ||
         std::holds_alternative<wire::Directors>(frame);
}

void mix(std::uint64_t& digest, std::uint64_t more) {
  constexpr std::uint64_t kPrime = 0x100000001b3ULL;
  digest = (digest ^ more) * kPrime;
}

}  // namespace

Status Group::meet_agent(const wire::Hello& hello) const {
  const core::MemberFacts& facts = hello.facts;
  if (hello.cluster != config_.cluster) {
    return fail(Code::Refused, "it is of cluster '" + hello.cluster + "'");
  }
  if (!in_group()) return fail(Code::Refused, self() + " has no group yet");
  const core::State& state = engine_.state();
  if (hello.generation > state.generation) {
    return fail(Code::Refused, "it has heard of generation " + std::to_string(hello.generation) +
                                   ", this voter is of " + std::to_string(state.generation));
  }
  if (!spec::is_name(facts.name)) return fail(Code::Refused, "its name is no member's name");
  if (encode(facts).size() > wire::kAgentFactsBytesMax) {
    return fail(Code::Refused, "it says more than " + std::to_string(wire::kAgentFactsBytesMax) +
                                   " bytes of itself");
  }
  const auto known = state.members.find(facts.name);
  const bool voter =
      raft::find_server(driver_->raft().configuration(), facts.name) != nullptr ||
      (known != state.members.end() && known->second.role != core::MemberRole::Agent);
  if (voter) return fail(Code::Refused, facts.name + " is a member that holds the log");
  const std::string incarnation = known == state.members.end() ? "" : known->second.incarnation;
  if (!incarnation.empty() && incarnation != facts.incarnation) {
    return fail(Code::Refused, "it is another incarnation of " + facts.name +
                                   " than the group knows: an agent whose data are lost is removed "
                                   "first (fettle member remove " +
                                   facts.name + ")");
  }
  return {};
}

void Group::agent_up(const wire::Hello& hello) {
  const std::string& name = hello.facts.name;
  agents_[name] = hello.facts;
  told_watches_.erase(name);
  watches_changed_ = true;
  if (!driver_->raft().leader().empty()) links_->send_to_agent(name, led());
  tell_links({.up = {hello.facts}});
}

void Group::agent_down(const std::string& agent) {
  agents_.erase(agent);
  told_watches_.erase(agent);
  tell_links({.down = {agent}});
}

/// What an agent says on its own link to this voter.
void Group::agent_frame(const std::string& agent, wire::Frame frame) {
  if (auto* forward = std::get_if<wire::Forward>(&frame)) return agent_asks(agent, *forward);
  if (const auto* read = std::get_if<wire::ReadState>(&frame)) return agent_reads(agent, *read);
  if (auto* change = std::get_if<wire::ChangeMembers>(&frame)) {
    return do_change(change->change, reply_to(agent, change->id));
  }
  if (auto* hand_over = std::get_if<wire::HandOver>(&frame)) {
    return do_transfer(hand_over->to, reply_to(agent, hand_over->id));
  }
  if (std::holds_alternative<wire::Ping>(frame)) {
    links_->send_to_agent(agent, wire::Applied{driver_->applied(), engine_.state().now});
    return;
  }
  pass_up(agent, std::move(frame));
}

void Group::agent_asks(const std::string& agent, wire::Forward& frame) {
  const auto done = reply_to(agent, frame.id);
  if (!is_clients(frame.command)) {
    return done(fail(Code::Refused, "an agent's client may not ask for this"));
  }
  do_write(std::move(frame.command), std::move(frame.client), done);
}

void Group::agent_reads(const std::string& agent, const wire::ReadState& frame) {
  do_read(frame.linearizable, [this, agent, frame](const Status& ready) {
    auto read = ready ? state_read(frame) : std::unexpected(ready.error());
    if (!read) {
      read = wire::StateRead{.code = read.error().code, .text = read.error().what};
    }
    read->id = frame.id;
    links_->send_to_agent(agent, *read);
  });
}

Result<wire::StateRead> Group::state_read(const wire::ReadState& frame) {
  wire::StateRead read{.ok = true, .stale_ms = stale_ms()};
  switch (frame.part) {
    case wire::ReadState::Part::All:
      read.bytes = encode(*snapshot().state);
      read.status = status();
      break;
    case wire::ReadState::Part::Kv:
      read.bytes = encode(api::look_up(engine_.state().kv, frame.query));
      break;
    case wire::ReadState::Part::File:
      read.bytes = state_file();
      break;
  }
  constexpr std::size_t kAroundBytes = 1024U * 1024;
  if (read.bytes.size() > wire::kFrameBytesMax - kAroundBytes) {
    return fail(Code::Refused, "the state is too large for an agent's link: ask a voter");
  }
  return read;
}

/// To the leader, which may be this voter.
void Group::pass_up(const std::string& agent, wire::Frame frame) {
  const raft::Raft& raft = driver_->raft();
  if (raft.role() == raft::Role::Leader) return take_from_agent(agent, std::move(frame));
  if (raft.leader().empty()) return;
  if (links_->backlog(raft.leader()) > kRelayBacklogBytesMax) {
    ++dropped_relays_;
    return;
  }
  links_->send(raft.leader(), wire::Relay{agent, encode(frame)});
}

/// As leader. The handlers check that the agent speaks for itself alone.
void Group::take_from_agent(const std::string& agent, wire::Frame frame) {
  const bool taken = is_observation(frame) || std::holds_alternative<wire::Answer>(frame);
  if (taken) on_frame(agent, std::move(frame));
}

/// As leader: a voter stands for what the agent said. As follower: the leader's order to an agent.
void Group::on(const std::string& peer, wire::Relay& frame) {
  auto inner = decode<wire::Frame>(frame.frame);
  if (!inner) return log::warn("relay.refused peer=" + peer + ": " + inner.error().what);
  if (driver_->raft().role() == raft::Role::Leader) {
    if (reach_.has(peer, frame.agent)) take_from_agent(frame.agent, std::move(*inner));
    return;
  }
  const bool order =
      std::holds_alternative<wire::Perform>(*inner) || std::holds_alternative<wire::Cancel>(*inner);
  if (order && peer == driver_->raft().leader()) links_->send_to_agent(frame.agent, *inner);
}

/// To a voter by its link, to an agent by ours or by that of a voter that has one.
bool Group::send_to(const std::string& member, const wire::Frame& frame) {
  if (links_ == nullptr) return false;
  if (links_->has_agent(member)) return links_->send_to_agent(member, frame);
  const std::string via = reach_.via(member);
  if (!via.empty()) return links_->send(via, wire::Relay{member, encode(frame)});
  return links_->send(member, frame);
}

void Group::tell_links(wire::AgentLinks links) {
  const raft::Raft& raft = driver_->raft();
  links.term = raft.term();
  if (raft.leader() == self()) return take_links(self(), links);
  if (!raft.leader().empty()) links_->send(raft.leader(), links);
}

/// To a leader that is new, or whose link is.
void Group::tell_all_links() {
  if (links_ == nullptr) return;
  wire::AgentLinks links{.whole = true};
  for (const auto& [name, facts] : agents_) links.up.push_back(facts);
  tell_links(std::move(links));
}

void Group::on(const std::string& peer, wire::AgentLinks& frame) { take_links(peer, frame); }

void Group::take_links(const std::string& voter, const wire::AgentLinks& links) {
  const raft::Raft& raft = driver_->raft();
  if (raft.role() != raft::Role::Leader || links.term != raft.term()) return;
  if (reach_.term() != links.term) {
    for (const auto& [agent, facts] : reach_.facts()) liveness_.down(agent, io::Loop::now());
    reach_.begin(links.term);
    proposed_facts_.clear();
  }
  agents_moved(reach_.linked(voter, links.up, links.whole));
  agents_moved(reach_.unlinked(voter, links.down));
}

void Group::agents_moved(const Reach::News& news) {
  const core::Time now = io::Loop::now();
  for (const std::string& agent : news.up) liveness_.up(agent, now);
  for (const std::string& agent : news.down) liveness_.down(agent, now);
  if (!leading_) return;
  std::set<std::string> asked(news.up.begin(), news.up.end());
  asked.insert(news.moved.begin(), news.moved.end());
  if (!asked.empty()) resend_to(asked);
}

wire::Led Group::led() const {
  const raft::Raft& raft = driver_->raft();
  wire::Led led{raft.leader(), engine_.state().generation, raft.term(), {}};
  for (const raft::Server& server : raft.configuration().servers) {
    const auto address = spec::parse_address(server.info);
    if (server.voter && address) led.voters.push_back({server.id, *address});
  }
  return led;
}

void Group::tell_agents_of_leader() {
  if (agents_.empty() || driver_->raft().leader().empty()) return;
  tell_agents(links_->agents(), led());
}

/// A few in a turn of the loop: Raft's messages pass in between.
void Group::tell_agents(std::vector<std::string> agents, const wire::Frame& frame) {
  for (std::size_t i = 0; i < kToldPerTurn && !agents.empty(); ++i) {
    links_->send_to_agent(agents.back(), frame);
    agents.pop_back();
  }
  if (agents.empty()) return;
  loop_.post([this, agents = std::move(agents), frame] { tell_agents(agents, frame); });
}

/// Of what each linked agent is to look at; the revisions stand for all that a watch says.
std::map<std::string, std::uint64_t> Group::watch_digests() const {
  const core::State& state = engine_.state();
  std::map<std::string, std::uint64_t> digests;
  for (const auto& [agent, facts] : agents_) digests[agent] = 1;
  for (const core::ServiceSpec& service : state.spec.services) {
    for (const core::NodeSpec& spec : service.nodes) {
      for (const std::string& observer : state.nodes.at(spec.name).observers) {
        const auto digest = digests.find(observer);
        if (digest == digests.end()) continue;
        mix(digest->second, stable_hash(spec.name));
        mix(digest->second, core::watch_revision_of(state, spec.name, observer));
      }
    }
    for (const std::string& host : core::director_hosts(state, service)) {
      const auto digest = digests.find(host);
      if (digest == digests.end()) continue;
      mix(digest->second, stable_hash(service.name));
      mix(digest->second, state.revision);
    }
  }
  return digests;
}

void Group::tell_agents_watches() {
  if (!std::exchange(watches_changed_, false) || agents_.empty()) return;
  std::set<std::string> changed;
  for (const auto& [agent, digest] : watch_digests()) {
    std::uint64_t& told = told_watches_[agent];
    if (std::exchange(told, digest) != digest) changed.insert(agent);
  }
  auto watches = engine_.watches(changed);
  for (const std::string& agent : changed) {
    links_->send_to_agent(agent, wire::Watches{.index = driver_->applied(),
                                               .nodes = std::move(watches[agent]),
                                               .directors = engine_.director_watches(agent)});
  }
}

/// Now and then: tells what changed, drops who is not the one that the group knows, and asks again
/// where an order or its answer may have been lost on its way.
void Group::tend_agents() {
  if (links_ == nullptr) return;
  tell_agents_watches();
  for (const std::string& name : links_->agents()) {
    const auto known = engine_.state().members.find(name);
    if (known == engine_.state().members.end() || known->second.incarnation.empty()) continue;
    if (known->second.incarnation == agents_.at(name).incarnation) continue;
    links_->drop_agent(name, "the group knows another incarnation of it");
  }
  const core::Time now = io::Loop::now();
  if (!leading_ || now - resent_ < kResendEvery) return;
  resent_ = now;
  std::set<std::string> reached;
  for (const auto& [agent, facts] : reach_.facts()) reached.insert(agent);
  if (!reached.empty()) resend_to(reached);
}

/// What agents say of themselves and the group does not know; of each not again for a while.
std::vector<core::MemberFacts> Group::agents_news() {
  const core::State& state = engine_.state();
  const core::Time now = io::Loop::now();
  std::vector<core::MemberFacts> news;
  for (const auto& [name, facts] : reach_.facts()) {
    const auto known = state.members.find(name);
    if (known != state.members.end() && known->second == facts) {
      proposed_facts_.erase(name);
      continue;
    }
    const auto before = proposed_facts_.find(name);
    const bool waits = before != proposed_facts_.end() && before->second.first == facts &&
                       now - before->second.second < kProposeAgainAfter;
    if (waits) continue;
    if (news.size() >= kFactsPerEntry) break;
    proposed_facts_[name] = {facts, now};
    news.push_back(facts);
  }
  return news;
}

}  // namespace fettle::daemon
