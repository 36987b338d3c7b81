// What an agent's clients read, and the orders of people about members: a voter answers. Without
// one, a read that may be stale gets what was read last, with its age.
#include <algorithm>

#include "actions/action.h"
#include "api/kv_routes.h"
#include "core/codec.h"
#include "core/engine.h"
#include "daemon/agent.h"

namespace fettle::daemon {
namespace {

using Part = wire::ReadState::Part;

std::int64_t in_ms(core::Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

void Agent::catch_up(std::function<void(bool)> done) {
  // The smallest linearizable read there is; a fleet that starts must not ask for the whole state.
  read_kv({.key = "/", .prefix = false}, true,
          [done = std::move(done)](const Result<api::KvRead>& read) { done(read.has_value()); });
}

void Agent::read(bool linearizable, std::function<void(Result<api::Snapshot>)> done) {
  const auto answer = [this, linearizable, done](const Result<wire::StateRead>& read) {
    auto snapshot = read ? known_snapshot(*read) : std::unexpected(read.error());
    if (!snapshot && !linearizable) snapshot = last_known();
    to_work([done, snapshot = std::move(snapshot)] { done(snapshot); });
  };
  post<api::Snapshot>(
      [this, linearizable, answer] { ask_state({.linearizable = linearizable}, answer); }, done);
}

/// Checked as any snapshot of the group's is.
Result<api::Snapshot> Agent::known_snapshot(const wire::StateRead& read) {
  core::Engine engine(actions::kinds());
  if (!read.bytes.empty()) FETTLE_CHECK(engine.load(read.bytes));
  api::Snapshot snapshot{std::make_shared<const core::State>(engine.state()), read.status,
                         read.stale_ms};
  fill_in(snapshot.group);
  known_ = Known{snapshot, io::Loop::now()};
  return snapshot;
}

Result<api::Snapshot> Agent::last_known() const {
  if (!known_) {
    return fail(Code::NotLeader,
                "no voter is reachable, and this agent has read nothing of the group before");
  }
  api::Snapshot snapshot = known_->snapshot;
  snapshot.stale_ms += in_ms(io::Loop::now() - known_->at);
  fill_in(snapshot.group);
  snapshot.group.notes.emplace_back("no voter is reachable: this is what " + self() +
                                    " has read last");
  return snapshot;
}

/// A voter speaks of itself and of its round trips; what is asked for is this agent's view.
void Agent::fill_in(api::GroupStatus& status) const {
  status.self = self();
  for (api::MemberStatus& member : status.members) {
    member.rtt_ms = uplinks_.rtt_ms(member.name);
  }
}

void Agent::read_kv(api::KvQuery query, bool linearizable,
                    std::function<void(Result<api::KvRead>)> done) {
  const auto answer = [this, query, linearizable, done](const Result<wire::StateRead>& read) {
    auto found = read ? decode<api::KvRead>(read->bytes) : std::unexpected(read.error());
    if (read && found) found->stale_ms = read->stale_ms;
    if (!found && !linearizable && known_) {
      found = api::look_up(known_->snapshot.state->kv, query);
      found->stale_ms = known_->snapshot.stale_ms + in_ms(io::Loop::now() - known_->at);
    }
    to_work([done, found = std::move(found)] { done(found); });
  };
  post<api::KvRead>(
      [this, query, linearizable, answer] {
        ask_state({.linearizable = linearizable, .part = Part::Kv, .query = query}, answer);
      },
      done);
}

void Agent::snapshot_file(std::function<void(Result<std::string>)> done) {
  const auto answer = [this, done](Result<wire::StateRead> read) {
    Result<std::string> file = read ? std::move(read->bytes) : std::string();
    if (!read) file = std::unexpected(read.error());
    to_work([done, file = std::move(file)] { done(file); });
  };
  post<std::string>([this, answer] { ask_state({.part = Part::File}, answer); }, done);
}

void Agent::change_members(api::MemberChange change,
                           std::function<void(Result<std::string>)> done) {
  post<std::string>(
      [this, change = std::move(change), done] {
        ask_write([&](std::uint64_t id) { return wire::ChangeMembers{id, change}; }, "",
                  as_text(done));
      },
      done);
}

void Agent::transfer(std::string to, std::function<void(Result<std::string>)> done) {
  post<std::string>(
      [this, to = std::move(to), done] {
        ask_write([&](std::uint64_t id) { return wire::HandOver{id, to}; }, "", as_text(done));
      },
      done);
}

void Agent::metrics(std::function<void(Result<api::GroupMetrics>)> done) {
  post<api::GroupMetrics>(
      [this, done] {
        api::GroupMetrics metrics;
        metrics.cluster = config_.cluster;
        metrics.self = self();
        metrics.raft.term = told_.term.value;
        metrics.raft.has_leader = !voter_.empty();
        for (const std::string& voter : uplinks_.voters_up()) {
          metrics.peers.push_back({voter, true, uplinks_.rtt_ms(voter)});
        }
        metrics.handshakes = uplinks_.handshakes();
        metrics.loop = api::loop_metrics(loop_);
        to_work([done, metrics = std::move(metrics)] { done(metrics); });
      },
      done);
}

std::string Agent::summary() const {
  const auto voters = uplinks_.voters_up();
  if (voters.empty()) return "agent without a link to a voter";
  std::string text = "agent, linked to " + voters.front();
  for (std::size_t i = 1; i < voters.size(); ++i) text += " and " + voters[i];
  return text;
}

}  // namespace fettle::daemon
