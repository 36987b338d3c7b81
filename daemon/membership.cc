// Who the group is: its founding, links to whoever the configuration names, changes of the members,
// hand-over of the leadership.
#include <algorithm>

#include "base/bytes.h"
#include "core/level.h"
#include "core/snapshot_file.h"
#include "daemon/group.h"
#include "daemon/log.h"
#include "spec/reader.h"

namespace fettle::daemon {
namespace {

constexpr std::ptrdiff_t kVotersMax = 7;
constexpr std::size_t kServersMax = 16;  // learners included

std::uint64_t hash_of(const raft::Configuration& first) {
  std::vector<std::string> named;
  for (const raft::Server& server : first.servers) named.push_back(server.id + "=" + server.info);
  std::ranges::sort(named);
  return stable_hash(encode(named));
}

core::ClientAnswer told(std::string text) { return {.text = std::move(text)}; }

bool will_vote(const raft::Server& server) { return server.voter || server.promote; }

bool has_room_for_voter(const raft::Configuration& now) {
  return std::ranges::count_if(now.servers, will_vote) < kVotersMax;
}

std::unexpected<Error> too_many() {
  return fail(Code::Refused, "a group has at most " + std::to_string(kVotersMax) + " voters, and " +
                                 std::to_string(kServersMax) + " members that hold the log");
}

}  // namespace

/// It knows a configuration: it founded, or has the log.
bool Group::in_group() const { return driver_->raft().snapshot() != nullptr; }

/// More than founded: somebody was elected, so something may have been acknowledged.
bool Group::has_begun() const {
  const raft::Raft& raft = driver_->raft();
  return in_group() && (raft.term().value > 0 || raft.log().last_index().value > 0);
}

/// With what it founded; before, with what it would, as its file says.
raft::Configuration Group::first_configuration() const {
  if (in_group()) return driver_->raft().configuration();
  raft::Configuration first;
  for (const Peer& member : config_.members) {
    first.servers.push_back({.id = member.name, .info = to_string(member.address)});
  }
  return first;
}

/// The configuration's servers, and who joined since; until this member has one, those of its file
/// and whoever called.
std::vector<Peer> Group::peers() const {
  std::vector<Peer> peers;
  const auto add = [&](const Peer& peer) {
    if (peer.name != self() && std::ranges::find(peers, peer.name, &Peer::name) == peers.end()) {
      peers.push_back(peer);
    }
  };
  if (in_group()) {
    for (const Peer& peer : ahead_) add(peer);
    for (const raft::Server& server : driver_->raft().configuration().servers) {
      if (const auto address = spec::parse_address(server.info)) add({server.id, *address});
    }
    return peers;
  }
  for (const Peer& member : config_.members) add(member);
  for (const Peer& caller : callers_) add(caller);
  return peers;
}

void Group::configuration_changed() {
  if (links_ == nullptr) return;
  const std::vector<Peer> now = peers();
  for (const Peer& peer : linked_) {
    if (std::ranges::find(now, peer.name, &Peer::name) == now.end()) {
      leaving_[peer.name] = {peer, io::Loop::now() + kFarewell};
    }
  }
  link_to_peers();
  tell_agents_of_leader();
  const bool member = raft::find_server(driver_->raft().configuration(), self()) != nullptr;
  if (was_member_ && !member) {
    log::warn("member.removed: the group has removed this member: stop its daemon");
  } else if (!was_member_ && member) {
    log::info("member.joined: the group's configuration names this member");
  }
  was_member_ = member;
}

/// Whoever is leaving still hears the answers to what it asked, and that it leaves.
void Group::link_to_peers() {
  linked_ = peers();
  std::erase_if(leaving_, [this](const auto& one) {
    return one.second.second <= io::Loop::now() ||
           std::ranges::find(linked_, one.first, &Peer::name) != linked_.end();
  });
  std::vector<Peer> with = linked_;
  for (const auto& [name, one] : leaving_) with.push_back(one.first);
  links_->set_peers(with);
}

wire::Hello Group::own_hello() const {
  wire::Hello hello{.cluster = config_.cluster,
                    .generation = engine_.state().generation,
                    .in_group = has_begun(),
                    .founders = hash_of(first_configuration()),
                    .address = config_.address,
                    .facts = config_.facts};
  if (!in_group()) return hello;
  const raft::Raft& raft = driver_->raft();
  hello.last_term = raft.log().last_term();
  hello.last_index = raft.log().last_index();
  for (const raft::Server& server : raft.configuration().servers) {
    if (std::string known = incarnation_of(server.id); !known.empty()) {
      hello.incarnations.emplace(server.id, std::move(known));
    }
  }
  return hello;
}

Status Group::on_hello(const wire::Hello& hello) {
  const std::string& name = hello.facts.name;
  if (hello.cluster != config_.cluster) {
    return fail(Code::Refused, "it is of cluster '" + hello.cluster + "'");
  }
  if (name == self()) return fail(Code::Refused, "it says that it is " + self() + " itself");
  if (!has_begun()) FETTLE_CHECK(meet(hello));
  if (!in_group()) return {};
  const core::State& state = engine_.state();
  if (hello.in_group && hello.generation != state.generation) {
    return fail(Code::Refused, "it is of generation " + std::to_string(hello.generation) +
                                   ", the group is of " + std::to_string(state.generation));
  }
  const raft::Server* server = raft::find_server(driver_->raft().configuration(), name);
  const bool ahead = is_ahead(hello);
  if (server == nullptr && !ahead) {
    return fail(Code::Refused, name + " is not a member of this group (fettle member add " + name +
                                   " --address HOST:PORT makes it one)");
  }
  if (!ahead) FETTLE_CHECK(is_known_incarnation(hello));
  if (server == nullptr || server->info != to_string(hello.address)) {
    if (ahead) follow_ahead({name, hello.address});
  }
  return {};
}

/// Without a leader, whoever has a newer log is heard, though this one's does not name it yet, or
/// names another incarnation of it: it may have joined or been added again since, and may be the
/// one to bring the log. Its log knows everything that this one knows to be committed (leader
/// completeness); that it is of this very group is shown by its knowing this member, unless that
/// is too new to be known.
bool Group::is_ahead(const wire::Hello& hello) const {
  const raft::Raft& raft = driver_->raft();
  if (!raft.leader().empty()) return false;
  const auto knows = [&](const std::string& name, const std::string& incarnation) {
    const auto known = hello.incarnations.find(name);
    return known != hello.incarnations.end() && known->second == incarnation;
  };
  const std::string& mine = config_.facts.incarnation;
  return std::pair(hello.last_term, hello.last_index) >
             std::pair(raft.log().last_term(), raft.log().last_index()) &&
         knows(hello.facts.name, hello.facts.incarnation) &&
         (knows(self(), mine) || incarnation_of(self()) != mine);
}

void Group::follow_ahead(const Peer& peer) {
  std::erase_if(ahead_, [&](const Peer& one) { return one.name == peer.name; });
  if (ahead_.size() >= kServersMax) ahead_.erase(ahead_.begin());
  ahead_.push_back(peer);
  link_to_peers();
}

/// Once a leader is heard only that one, if it is not named yet where it is, is followed on.
void Group::tend_ahead() {
  const raft::Raft& raft = driver_->raft();
  if (ahead_.empty() || raft.leader().empty()) return;
  std::erase_if(ahead_, [&](const Peer& one) {
    const raft::Server* named = raft::find_server(raft.configuration(), one.name);
    return one.name != raft.leader() || (named != nullptr && named->info == to_string(one.address));
  });
  link_to_peers();
}

Status Group::is_known_incarnation(const wire::Hello& hello) const {
  const std::string known = incarnation_of(hello.facts.name);
  if (known.empty() || known == hello.facts.incarnation) return {};
  return fail(Code::Refused, "it is another incarnation of " + hello.facts.name +
                                 " than the group knows: a member whose data are lost is removed "
                                 "and added again");
}

/// As committed; after a start, until the log is applied again, as this member's own log has it,
/// which is newer than its snapshot.
std::string Group::incarnation_of(const std::string& name) const {
  const auto logged = logged_incarnations_.find(name);
  const bool replaying = driver_->applied() < told_before_;
  if (replaying && logged != logged_incarnations_.end()) return logged->second;
  const auto& members = engine_.state().members;
  const auto known = members.find(name);
  return known == members.end() ? "" : known->second.incarnation;
}

/// Whoever was accepted before the log said which incarnation a member is may be another one.
/// Looked at once a step is applied as a whole: older entries name who was removed since. A leader
/// stays: those who voted for it know it, and it brings what this member does not hold yet.
void Group::drop_other_incarnations() {
  if (links_ == nullptr) return;
  const auto right = [this](const wire::Hello& hello) { return is_known_incarnation(hello); };
  for (const Peer& peer : std::vector(linked_)) {
    if (peer.name != driver_->raft().leader()) links_->drop_where_not(peer.name, right);
  }
}

/// A member whose group has not begun hears whoever is of its cluster; founders must agree on who
/// they are.
Status Group::meet(const wire::Hello& hello) {
  constexpr std::size_t kCallersMax = 16;
  const std::string& name = hello.facts.name;
  const raft::Configuration first = first_configuration();
  const bool founder = raft::find_server(first, name) != nullptr;
  tried_.insert(name);
  if (founder && !hello.in_group && hello.founders != hash_of(first)) {
    return fail(Code::Refused, "its file names other cluster.members than " + self() + "'s");
  }
  if (in_group()) return {};
  if (!founder && std::ranges::find(callers_, name, &Peer::name) == callers_.end()) {
    if (callers_.size() >= kCallersMax) callers_.erase(callers_.begin());
    callers_.push_back({name, hello.address});
    link_to_peers();
  }
  (hello.in_group ? founders_ : settled_).erase(name);
  (hello.in_group ? settled_ : founders_).insert(name);
  found_if_agreed();
  return {};
}

/// A voter with an empty disk founds only if a majority of those its file names is here, none of
/// them knows of a group that has begun, and each of the others was asked: it answered, or could
/// not be reached (DESIGN §5 "Identity"). Nobody leads before a majority has founded, for who has
/// not grants no vote.
void Group::found_if_agreed() {
  if (in_group()) return;
  const raft::Configuration first = first_configuration();
  std::size_t here = 0;
  bool all_tried = true;
  for (const Peer& member : config_.members) {
    if (member.name == self() || founders_.contains(member.name)) ++here;
    if (member.name != self() && !tried_.contains(member.name)) all_tried = false;
  }
  const bool named = raft::find_server(first, self()) != nullptr;
  if (!named || !settled_.empty()) {
    if (!std::exchange(told_waits_, true)) {
      log::info(
          "group.waiting: " +
          (named ? std::string("a group exists already") : "its file does not name this member") +
          "; it begins once the group's leader, which must count it as a member, sends it the log");
    }
    return;
  }
  if (here * 2 <= config_.members.size() || !all_tried) return;
  log::info("group.founded: " + std::to_string(here) + " of " +
            std::to_string(config_.members.size()) + " members are here, and none knows a group");
  loop_.post([this, first] {
    if (settled_.empty()) driver_->step(raft::Found{first});
  });
}

/// The group goes on without this member; why it is refused stands in its log.
void Group::refused_by(const std::string& peer, const wire::Refused& refusal) {
  log::warn("link.refused_by peer=" + peer + ": " + refusal.why);
  if (refusal.in_group && !in_group()) settled_.insert(peer);
}

void Group::unreachable(const std::string& peer) {
  if (in_group() || !tried_.insert(peer).second) return;
  found_if_agreed();
}

void Group::change_members(api::MemberChange change, TextDone done) {
  ask<std::string>([this, change = std::move(change), done] { do_change(change, as_text(done)); },
                   done);
}

void Group::do_change(const api::MemberChange& change, WriteDone done) {
  if (leading_) return change_as_leader(change, std::move(done));
  forward([&](std::uint64_t id) { return wire::ChangeMembers{id, change}; }, "", std::move(done));
}

/// As leader: what is so already is answered, the rest is Raft's to do or to refuse.
void Group::change_as_leader(const api::MemberChange& change, WriteDone done) {
  const raft::Configuration& now = driver_->raft().configuration();
  const raft::Server* known = raft::find_server(now, change.name);
  const auto answer = [&](Result<core::ClientAnswer> what) {
    to_work([done = std::move(done), what = std::move(what)] { done(what); });
  };
  if (auto why = core::why_below(engine_.state(), core::kLevel2)) {
    return answer(fail(Code::Refused, *why));
  }
  if (links_ == nullptr) {
    return answer(fail(Code::Refused, "this member has no listen.cluster and no tls: it is alone"));
  }
  const auto agent = engine_.state().members.find(change.name);
  if (agent != engine_.state().members.end() && agent->second.role == core::MemberRole::Agent) {
    return change_agent(change, std::move(done));
  }
  const std::uint64_t token = next_token_++;
  raft::Input input;
  std::string text;
  using Kind = api::MemberChange::Kind;
  if (change.kind == Kind::Add) {
    const auto address = spec::parse_address(change.address);
    if (!spec::is_name(change.name)) {
      return answer(fail(Code::Invalid, "'" + change.name + "' is no member's name"));
    }
    if (!address) return answer(fail(Code::Invalid, "address is host:port"));
    if (known != nullptr && known->info == to_string(*address)) {
      if (change.promote && !will_vote(*known)) {
        return answer(fail(Code::Conflict, change.name + " is a member already, as a learner: " +
                                               "fettle member promote " + change.name +
                                               " makes it a voter"));
      }
      return answer(told(change.name + " is a member already"));
    }
    if (now.servers.size() >= kServersMax || (change.promote && !has_room_for_voter(now))) {
      return answer(too_many());
    }
    input = raft::AddServer{token, {change.name, false, to_string(*address), change.promote}};
    text = change.name + " is added: a learner" +
           (change.promote ? ", and a voter once it has caught up" : "");
  } else if (change.kind == Kind::Remove) {
    input = raft::RemoveServer{token, change.name};
    text = change.name + " is removed: stop its daemon";
  } else {
    if (known != nullptr && known->voter) return answer(told(change.name + " is a voter already"));
    if (known != nullptr && !known->promote && !has_room_for_voter(now)) return answer(too_many());
    input = raft::PromoteServer{token, change.name};
    text = change.name + " is a voter";
  }
  proposing_.emplace(token, std::pair(std::string(), [done, text](Result<core::ClientAnswer> got) {
                       done(got ? Result<core::ClientAnswer>(told(text)) : std::move(got));
                     }));
  driver_->step(std::move(input));
}

/// As leader, of a name that is an agent's: an agent can only be removed.
void Group::change_agent(const api::MemberChange& change, WriteDone done) {
  if (change.kind == api::MemberChange::Kind::Remove) {
    return propose(core::command::RemoveAgent{change.name}, "", std::move(done));
  }
  to_work([done = std::move(done), name = change.name] {
    done(fail(Code::Conflict, name + " is an agent: remove it first (fettle member remove " + name +
                                  "), or choose another name"));
  });
}

void Group::transfer(std::string to, TextDone done) {
  ask<std::string>([this, to = std::move(to), done] { do_transfer(to, as_text(done)); }, done);
}

void Group::do_transfer(const std::string& to, WriteDone done) {
  if (!leading_) {
    return forward([&](std::uint64_t id) { return wire::HandOver{id, to}; }, "", std::move(done));
  }
  if (to == self()) {
    return to_work([done, text = to + " leads already"] { done(told(text)); });
  }
  const std::uint64_t token = next_token_++;
  transfers_.emplace(token, std::move(done));
  driver_->step(raft::Transfer{token, to});
}

void Group::transferred(const raft::Transferred& transferred) {
  const auto found = transfers_.find(transferred.token);
  if (found == transfers_.end()) return;
  to_work([done = std::move(found->second), transferred] {
    if (!transferred.ok) return done(fail(transferred.code, transferred.why));
    done(told("the leadership is handed over"));
  });
  transfers_.erase(found);
}

void Group::snapshot_file(TextDone done) {
  read_state(true, std::move(done), [this] { return state_file(); });
}

std::string Group::state_file() const {
  const core::State& state = engine_.state();
  return core::write_snapshot_file({.cluster = state.cluster,
                                    .generation = state.generation,
                                    .level = state.level,
                                    .index = state.applied,
                                    .taken = io::Loop::wall_now(),
                                    .state = engine_.save()});
}

void Group::hand_over(std::function<void()> done) {
  const bool posted = loop_.post([this, done] {
    const bool others = raft::voters_of(driver_->raft().configuration()).size() > 1;
    if (!leading_ || !others) return to_work(done);
    log::info("leader.hands_over: this member stops");
    do_transfer("", [done](const Result<core::ClientAnswer>&) { done(); });
  });
  if (!posted) done();
}

/// Sends what only a leader can do to the leader; Forwarded brings the answer.
void Group::forward(const std::function<wire::Frame(std::uint64_t id)>& make, std::string key,
                    WriteDone done) {
  const std::string& leader = driver_->raft().leader();
  const std::uint64_t id = next_token_++;
  const bool sent =
      links_ != nullptr && !leader.empty() && leader != self() && links_->send(leader, make(id));
  if (!sent) return to_work([done] { done(fail(Code::NotLeader, "no leader is reachable")); });
  forwards_.emplace(
      id, PendingForward{std::move(key), std::move(done), io::Loop::now() + kAnswerTimeout});
}

/// What answers a peer's Forward, ChangeMembers or HandOver. The answer crosses the work loop like
/// any other; it comes back here to leave.
Group::WriteDone Group::reply_to(const std::string& peer, std::uint64_t id) {
  return [this, peer, id](const Result<core::ClientAnswer>& answer) {
    loop_.post([this, peer, id, answer] {
      wire::Forwarded reply{.id = id, .ok = answer.has_value()};
      if (answer) {
        reply.answer = *answer;
      } else {
        reply.code = answer.error().code;
        reply.text = answer.error().what;
      }
      send_to(peer, reply);
    });
  };
}

void Group::on(const std::string& peer, wire::ChangeMembers& frame) {
  const auto done = reply_to(peer, frame.id);
  if (!leading_) return done(fail(Code::NotLeader, self() + " does not lead"));
  change_as_leader(frame.change, done);
}

void Group::on(const std::string& peer, wire::HandOver& frame) {
  const auto done = reply_to(peer, frame.id);
  if (!leading_) return done(fail(Code::NotLeader, self() + " does not lead"));
  do_transfer(frame.to, done);
}

}  // namespace fettle::daemon
