// What is asked of the leader: commands, opinions, answers of hosts, reads. Each caller is answered
// once: applied, refused, or — when leadership or time was lost in between — in doubt.
#include <algorithm>

#include "api/kv_routes.h"
#include "core/drift.h"
#include "core/lease.h"
#include "core/level.h"
#include "core/verdicts.h"
#include "daemon/group.h"
#include "daemon/log.h"

namespace fettle::daemon {

core::Time Group::stamp() const { return clock_.read(io::Loop::now()); }

void Group::propose(core::Command command, std::string client, WriteDone done) {
  if (auto why = core::why_not_command(engine_.state(), command)) {
    if (done) to_work([done, why = std::move(*why)] { done(fail(Code::Refused, why)); });
    return;
  }
  core::LogEntry entry{.level = std::max(engine_.state().level, core::level_of(command)),
                       .stamp = stamp(),
                       .wall = io::Loop::wall_now(),
                       .client = core::keeps_answer(command) ? client : "",
                       .command = std::move(command)};
  const std::uint64_t token = next_token_++;
  if (done) proposing_.emplace(token, std::pair(std::move(client), std::move(done)));
  driver_->propose({token, core::encode_entry(entry)});
}

void Group::accepted(const raft::Accepted& accepted) {
  const auto found = proposing_.find(accepted.token);
  if (found == proposing_.end()) return;
  auto [key, done] = std::move(found->second);
  proposing_.erase(found);
  writes_.emplace(accepted.index.value, PendingWrite{accepted.term, std::move(key), std::move(done),
                                                     io::Loop::now() + kAnswerTimeout});
}

void Group::rejected(const raft::Rejected& rejected) {
  const auto found = proposing_.find(rejected.token);
  wake_proposed_ = false;
  raise_proposed_ = false;
  proposed_.clear();
  proposed_directors_.clear();
  propose_again_ = true;
  if (found == proposing_.end()) return;
  to_work([done = std::move(found->second.second), rejected] {
    done(fail(rejected.code, rejected.why));
  });
  proposing_.erase(found);
}

void Group::report(std::vector<core::Opinion> opinions) {
  loop_.post([this, opinions = std::move(opinions)] {
    core::command::ReportOpinions report{self(), config_.facts.incarnation, opinions};
    const std::string& leader = driver_->raft().leader();
    if (leader == self()) return take_report(report);
    if (links_ != nullptr && !leader.empty()) {
      links_->send(leader, wire::Report{std::move(report)});
    }
  });
}

/// Only differences are proposed: what the engine holds, or was proposed already, is left out.
void Group::take_report(const core::command::ReportOpinions& report) {
  if (!leading_) {
    // Elected, but its no-op is not applied yet: whoever heard of it already tells its table once.
    const bool elected = driver_->raft().role() == raft::Role::Leader;
    if (elected && early_reports_.size() < kPendingMax) early_reports_.push_back(report);
    return;
  }
  const bool first = reported_.empty();
  core::command::ReportOpinions news = core::news_of(engine_.state(), report);
  for (core::Opinion& opinion : news.opinions) {
    std::uint64_t& proposed = proposed_[{report.observer, opinion.node}];
    if (proposed >= opinion.sequence) continue;
    proposed = opinion.sequence;
    reported_[{report.observer, report.incarnation}].push_back(std::move(opinion));
  }
  if (!first || reported_.empty()) return;
  loop_.before_waiting([this] { propose_reports(); });
}

/// What came in one turn of the loop is one entry an observer.
void Group::propose_reports() {
  for (auto& [who, opinions] : std::exchange(reported_, {})) {
    if (!leading_) return;
    propose(core::command::ReportOpinions{who.first, who.second, std::move(opinions)}, "", nullptr);
  }
}

void Group::applied(std::function<void(Index, core::Time)> done) {
  loop_.post([this, done = std::move(done)] {
    to_work([done, index = driver_->applied(), now = engine_.state().now] { done(index, now); });
  });
}

void Group::report_directors(std::map<std::string, core::DirectorView> views) {
  loop_.post([this, views = std::move(views)] {
    core::command::ReportDirectors report{self(), views};
    if (leading_) return take_directors(report);
    const std::string& leader = driver_->raft().leader();
    if (links_ != nullptr && !leader.empty() && leader != self()) {
      links_->send(leader, wire::Directors{std::move(report)});
    }
  });
}

/// Only news is proposed, one view of a director at a time; the host looks again soon.
void Group::take_directors(const core::command::ReportDirectors& report) {
  if (!leading_) return;
  core::command::ReportDirectors news = core::news_of(engine_.state(), report);
  std::erase_if(news.views, [&](const auto& view) {
    return !proposed_directors_.insert({report.host, view.first}).second;
  });
  if (news.views.empty()) return;
  propose(std::move(news), "", nullptr);
}

void Group::answer(core::TaskKey key, core::TaskResult result) {
  loop_.post([this, key = std::move(key), result = std::move(result)] {
    if (leading_) return take_answer(key, result);
    if (links_ == nullptr) return;
    if (unsent_answers_.size() >= kPendingMax) unsent_answers_.erase(unsent_answers_.begin());
    unsent_answers_[key] = result;
    send_answers();
  });
}

/// What could not be told yet, to the leader. A next leader asks by itself as well, and is answered
/// from the journal.
void Group::send_answers() {
  const std::string& leader = driver_->raft().leader();
  if (links_ == nullptr || leader.empty() || !links_->up(leader)) return;
  for (const auto& [key, result] : unsent_answers_) links_->send(leader, wire::Answer{key, result});
  unsent_answers_.clear();
}

void Group::take_answer(const core::TaskKey& key, const core::TaskResult& result) {
  if (!leading_ || !answers_.emplace(key, result).second) return;
  propose(core::command::TaskFinished{key, result}, "", nullptr);
}

void Group::alert_finished(std::string key, bool delivered, std::string why) {
  loop_.post([this, key = std::move(key), delivered, why = std::move(why)] {
    if (!leading_) return;
    const core::command::AlertFinished finished{key, delivered, why};
    finished_alerts_[key] = finished;
    propose(finished, "", nullptr);
  });
}

/// It is applied: from here on the state says what is known, and the same may be proposed anew.
void Group::no_longer_proposed(const core::Command& command) {
  if (std::holds_alternative<core::command::Wake>(command)) {
    wake_proposed_ = false;
  } else if (const auto* done = std::get_if<core::command::TaskFinished>(&command)) {
    answers_.erase(done->key);
  } else if (const auto* said = std::get_if<core::command::ReportOpinions>(&command)) {
    for (const core::Opinion& opinion : said->opinions) {
      const auto proposed = proposed_.find({said->observer, opinion.node});
      if (proposed == proposed_.end() || proposed->second > opinion.sequence) continue;
      proposed_.erase(proposed);
    }
  } else if (const auto* told = std::get_if<core::command::AlertFinished>(&command)) {
    finished_alerts_.erase(told->key);
  } else if (const auto* seen = std::get_if<core::command::ReportDirectors>(&command)) {
    for (const auto& [service, view] : seen->views) {
      proposed_directors_.erase({seen->host, service});
    }
  }
}

/// What hosts and receivers said once and was refused for want of room.
void Group::propose_refused() {
  if (!leading_ || !std::exchange(propose_again_, false)) return;
  for (const auto& [key, result] : answers_) {
    propose(core::command::TaskFinished{key, result}, "", nullptr);
  }
  for (const auto& [key, finished] : finished_alerts_) propose(finished, "", nullptr);
}

/// Only what the group does not know yet.
void Group::commit_facts(const core::MemberFacts& facts) {
  const auto known = engine_.state().members.find(facts.name);
  if (known != engine_.state().members.end() && known->second == facts) return;
  propose(core::command::SetFacts{facts}, "", nullptr);
}

void Group::write(core::Command command, std::string key, WriteDone done) {
  ask<core::ClientAnswer>([this, command, key, done] { do_write(command, key, done); }, done);
}

void Group::do_write(core::Command command, std::string key, WriteDone done) {
  if (writes_.size() + forwards_.size() >= kPendingMax) {
    return to_work([done] { done(fail(Code::Busy, "too many commands wait")); });
  }
  if (leading_) return propose(std::move(command), std::move(key), std::move(done));
  forward([&](std::uint64_t id) { return wire::Forward{id, key, std::move(command)}; }, key,
          std::move(done));
}

void Group::read(bool linearizable, std::function<void(Result<api::Snapshot>)> done) {
  read_state(linearizable, std::move(done), [this] { return snapshot(); });
}

void Group::read_kv(api::KvQuery query, bool linearizable,
                    std::function<void(Result<api::KvRead>)> done) {
  read_state(linearizable, std::move(done), [this, query = std::move(query)] {
    api::KvRead read = api::look_up(engine_.state().kv, query);
    read.stale_ms = stale_ms();
    return read;
  });
}

void Group::catch_up(std::function<void(bool)> done) {
  read_state<bool>(
      true, [done = std::move(done)](const Result<bool>& read) { done(read.has_value()); },
      [] { return true; });
}

void Group::do_read(bool linearizable, ReadReady ready) {
  if (!linearizable) return ready({});
  if (reads_.size() >= kPendingMax) return ready(fail(Code::Busy, "too many reads wait"));
  const std::uint64_t token = next_token_++;
  const raft::Raft& raft = driver_->raft();
  const bool leader = raft.role() == raft::Role::Leader;
  if (!leader) {
    const bool sent = links_ != nullptr && !raft.leader().empty() &&
                      links_->send(raft.leader(), wire::ReadIndex{token});
    if (!sent) return ready(fail(Code::NotLeader, "no leader is reachable"));
  }
  reads_.emplace(token, PendingRead{std::move(ready), io::Loop::now() + kAnswerTimeout, {}});
  if (leader) driver_->step(raft::Read{token});
}

void Group::read_done(const raft::ReadDone& read) {
  if (confirming_.contains(read.token)) return dispatch_confirmed(read.token, read.ok);
  if (const auto asked = peer_reads_.find(read.token); asked != peer_reads_.end()) {
    const auto [peer, id] = asked->second;
    peer_reads_.erase(asked);
    links_->send(peer, wire::ReadIndexReply{id, read.ok, read.index, quorum_round_trip()});
    return;
  }
  client_read_done(read);
}

void Group::client_read_done(const raft::ReadDone& read) {
  const auto found = reads_.find(read.token);
  if (found == reads_.end()) return;
  if (read.ok) {
    found->second.index = read.index;
    return;
  }
  found->second.ready(fail(Code::NotLeader, "the leader lost its majority"));
  reads_.erase(found);
}

/// Answers the reads whose index is applied.
void Group::finish_reads() {
  for (auto at = reads_.begin(); at != reads_.end();) {
    if (!at->second.index || *at->second.index > driver_->applied()) {
      ++at;
      continue;
    }
    at->second.ready({});
    at = reads_.erase(at);
  }
}

/// Leadership is lost: what was proposed may or may not be committed by the next leader.
void Group::fail_waiting() {
  early_reports_.clear();
  proposed_.clear();
  reported_.clear();
  proposed_directors_.clear();
  answers_.clear();
  finished_alerts_.clear();
  confirming_.clear();
  for (auto& [index, write] : writes_) {
    to_work([done = std::move(write.done), key = write.key] {
      done(fail(
          Code::InDoubt,
          "the leader changed: it may or may not have happened; ask again with Idempotency-Key " +
              key));
    });
  }
  writes_.clear();
}

std::int64_t Group::stale_ms() const {
  if (leading_) return 0;
  const core::Duration stale = io::Loop::now() - leader_heard_;
  return std::chrono::duration_cast<std::chrono::milliseconds>(stale).count();
}

void Group::remember_term(const raft::Entry& entry) {
  constexpr std::size_t kTermsKept = 1024;
  if (!term_starts_.empty() && term_starts_.rbegin()->second == entry.term) return;
  term_starts_.emplace(entry.index, entry.term);
  if (term_starts_.size() > kTermsKept) term_starts_.erase(term_starts_.begin());
}

Term Group::term_at(Index index) const {
  const auto next = term_starts_.upper_bound(index);
  return next == term_starts_.begin() ? Term{} : std::prev(next)->second;
}

api::Snapshot Group::snapshot() {
  if (shared_state_ == nullptr) {
    // The engine knows no terms, so that no replica's state hangs on one; readers are told them.
    auto copy = std::make_shared<core::State>(engine_.state());
    for (auto& [id, run] : copy->runs) run.fence.term = term_at(run.fence.index);
    shared_state_ = std::move(copy);
  }
  return {shared_state_, status(), stale_ms()};
}

api::GroupStatus Group::status() const {
  const raft::Raft& raft = driver_->raft();
  const core::State& state = engine_.state();
  api::GroupStatus status;
  status.cluster = config_.cluster;
  status.generation = state.generation;
  status.term = raft.term().value;
  status.leader = raft.leader();
  status.commit_index = raft.commit_index().value;
  status.self = self();
  for (const raft::Server& member : raft.configuration().servers) {
    const bool me = member.id == self();
    api::MemberStatus one{
        .name = member.id, .role = member.voter ? "voter" : "learner", .address = member.info};
    const auto facts = state.members.find(member.id);
    if (facts != state.members.end()) {
      one.zone = facts->second.zone;
      one.version = facts->second.version;
    }
    one.state = me                           ? std::string(raft::to_string(raft.role()))
                : member.id == raft.leader() ? "leader"
                                             : "follower";
    const bool linked = !me && links_ != nullptr;
    if (!me && !(linked && links_->up(member.id))) one.state = "unreachable";
    if (linked) one.rtt_ms = rtt_ms(member.id);
    status.members.push_back(std::move(one));
  }
  tell_timing(status);
  for (const auto& [name, facts] : state.members) {
    if (facts.role != core::MemberRole::Agent) continue;
    status.members.push_back({.name = name,
                              .role = std::string(to_string(facts.role)),
                              .zone = facts.zone,
                              .state = state.lost.contains(name) ? "lost" : "live",
                              .version = facts.version});
  }
  if (raft.leader().empty())
    status.notes.emplace_back("no leader is known: this member touches nothing");
  if (!in_group()) {
    status.notes.push_back(self() + " has no group yet: it waits to be added");
  } else if (raft::find_server(raft.configuration(), self()) == nullptr) {
    status.notes.push_back(self() + " was removed from the group: stop its daemon");
  }
  const auto texts = [](const core::Spec& spec) {
    std::vector<std::string> all;
    for (const core::SourceFile& file : spec.sources) all.push_back(file.text);
    return all;
  };
  if (config_.spec && state.revision > 0 && texts(*config_.spec) != texts(state.spec)) {
    status.notes.push_back(self() + "'s spec files differ from revision " +
                           std::to_string(state.revision));
  }
  return status;
}

std::string Group::summary() const {
  const raft::Raft& raft = driver_->raft();
  const core::State& state = engine_.state();
  const auto counted = [](std::ptrdiff_t count, const std::string& what) {
    return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
  };
  const auto down = std::ranges::count_if(
      state.nodes, [](const auto& node) { return node.second.verdict == core::Verdict::Down; });
  const auto open = std::ranges::count_if(
      state.incidents, [](const auto& one) { return !one.second.resolved_at.has_value(); });
  std::string text = raft.leader().empty()     ? "no leader is known"
                     : raft.leader() == self() ? "leader"
                                               : "follower of " + raft.leader();
  text += ", " + counted(std::ssize(state.nodes), "node");
  if (down > 0) text += " (" + std::to_string(down) + " down)";
  return text + ", " + counted(open, "open incident");
}

}  // namespace fettle::daemon
