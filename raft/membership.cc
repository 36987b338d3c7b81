// Membership, one server at a time (thesis 4.1 to 4.3). A change is an entry of the log that is in
// force as soon as it is there. The next may come only once it is committed, and none before the
// leader has committed an entry of its own term (Ongaro's correction of July 2015).
#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "raft/quorum.h"
#include "raft/raft.h"

namespace fettle::raft {
namespace {

Configuration with_voter(Configuration configuration, const ServerId& id) {
  for (Server& server : configuration.servers) {
    if (server.id != id) continue;
    server.voter = true;
    server.promote = false;
  }
  return configuration;
}

std::string milliseconds_of(Instant span) {
  using std::chrono::milliseconds;
  return std::to_string(std::chrono::duration_cast<milliseconds>(span).count()) + " ms";
}

}  // namespace

void Raft::adopt(const Entry& entry) {
  if (entry.kind != EntryKind::Configuration || entry.index <= configuration_index()) return;
  history_.add(entry.index, configuration_in(entry));
  configuration_moved();
}

void Raft::configuration_moved() {
  out_.configuration_changed = true;
  if (role_ == Role::Leader) follow_configuration();
}

/// A peer to send to for every other server of the configuration, and none else.
void Raft::follow_configuration() {
  for (const Server& server : configuration().servers) {
    if (server.id == config_.self) continue;
    const auto [peer, fresh] = progress_.try_emplace(server.id);
    if (!fresh) continue;
    peer->second.next = next(log_.last_index());
    peer->second.last_contact = now_;
    peer->second.round_target = log_.last_index();
    peer->second.round_began = now_;
  }
  std::erase_if(progress_, [this](const auto& peer) {
    return find_server(configuration(), peer.first) == nullptr;
  });
}

/// Empty: it may.
std::string_view Raft::why_no_change() const {
  if (transferring_) return "the leadership is being transferred";
  if (!leads_surely() && !FETTLE_MUTANT(raft_config_two_uncommitted)) {
    return "no entry of this leader's own term is committed yet";
  }
  if (configuration_index() > commit_) return "the change before is not committed yet";
  return "";
}

bool Raft::may_change(std::uint64_t token) {
  if (role_ != Role::Leader) {
    reject(token, Code::NotLeader, "it does not lead");
    return false;
  }
  const std::string_view why = why_no_change();
  if (!why.empty()) reject(token, Code::Busy, std::string(why));
  return why.empty();
}

/// Empty: a majority of the voters of `to` answered within an election timeout. Without one, a
/// change that is in force at once locks the group out: nothing commits, not even the way back.
std::string Raft::why_no_majority(const Configuration& to) const {
  const std::vector<ServerId> voters = voters_of(to);
  std::string missing;
  std::size_t silent = 0;
  for (const ServerId& voter : voters) {
    if (voter == config_.self) continue;
    const Progress& peer = progress_.at(voter);
    if (peer.answered_within(config_.election_timeout, now_)) continue;
    ++silent;
    missing += (missing.empty() ? "" : ", ") + voter + " has not answered " +
               (peer.answered ? "for " + milliseconds_of(now_ - peer.last_contact)
                              : "since this leadership began");
  }
  if (voters.size() - silent >= majority_of(voters.size())) return "";
  return missing + ": without " + (silent == 1 ? "it" : "them") + " the new group has no majority";
}

bool Raft::may_become(const Configuration& to, std::uint64_t token) {
  const std::string why = why_no_majority(to);
  if (!why.empty()) reject(token, Code::Refused, why);
  return why.empty();
}

void Raft::change(Configuration to, const std::string& what) {
  std::ranges::sort(to.servers, {}, &Server::id);
  say(what);
  append_own(EntryKind::Configuration, encode(to));
  replicate();
}

void Raft::on(const AddServer& input) {
  if (!may_change(input.token)) return;
  const ServerId& id = input.server.id;
  if (id.empty()) return reject(input.token, Code::Invalid, "a server has a name");
  if (find_server(configuration(), id) != nullptr) {
    return reject(input.token, Code::Conflict, id + " is a member already");
  }
  Configuration to = configuration();
  to.servers.push_back(input.server);
  to.servers.back().voter = false;
  out_.accepted.push_back({input.token, next(log_.last_index()), hard_.term});
  change(std::move(to), "adds " + id + " as a learner");
}

void Raft::on(const PromoteServer& input) {
  if (!may_change(input.token)) return;
  const Server* server = find_server(configuration(), input.id);
  if (server == nullptr) return reject(input.token, Code::NotFound, input.id + " is not a member");
  if (server->voter) return reject(input.token, Code::Conflict, input.id + " is a voter already");
  if (progress_.at(input.id).match == Index{}) {
    return reject(input.token, Code::Refused, input.id + " holds nothing of the log yet");
  }
  Configuration to = with_voter(configuration(), input.id);
  if (!may_become(to, input.token)) return;
  out_.accepted.push_back({input.token, next(log_.last_index()), hard_.term});
  change(std::move(to), "makes " + input.id + " a voter");
}

void Raft::on(const RemoveServer& input) {
  if (!may_change(input.token)) return;
  const Server* server = find_server(configuration(), input.id);
  if (server == nullptr) return reject(input.token, Code::NotFound, input.id + " is not a member");
  if (server->voter && voters_of(configuration()).size() == 1) {
    return reject(input.token, Code::Invalid, input.id + " is the last voter");
  }
  Configuration to = configuration();
  std::erase_if(to.servers, [&](const Server& one) { return one.id == input.id; });
  if (!may_become(to, input.token)) return;
  out_.accepted.push_back({input.token, next(log_.last_index()), hard_.term});
  change(std::move(to), "removes " + input.id);
}

/// Catching up goes in rounds: each brings the entries that were there when it began (4.2.1).
void Raft::note_round(Progress& progress) {
  if (progress.match < progress.round_target) return;
  progress.caught_up = now_ - progress.round_began < config_.election_timeout;
  progress.round_target = log_.last_index();
  progress.round_began = now_;
}

void Raft::promote_who_caught_up() {
  if (role_ != Role::Leader || !why_no_change().empty()) return;
  for (const Server& server : configuration().servers) {
    if (server.voter || !server.promote) continue;
    const Progress& progress = progress_.at(server.id);
    const bool there = progress.answered_within(config_.election_timeout, now_);
    if (!progress.caught_up || !there) continue;
    Configuration to = with_voter(configuration(), server.id);
    if (!why_no_majority(to).empty()) continue;
    return change(std::move(to), "makes " + server.id + " a voter");
  }
}

/// A leader that removed itself leads until that entry is committed (4.2.2), and then asks the
/// voter that is furthest to take over at once.
void Raft::step_down_if_removed() {
  if (role_ != Role::Leader || is_self_voter() || configuration_index() > commit_) return;
  const ServerId heir = newest_voter();
  if (!heir.empty()) emit(heir, hard_.term, TimeoutNow{}, When::Now);
  become_follower(hard_.term, "", "it is not a voter any more");
}

}  // namespace fettle::raft
