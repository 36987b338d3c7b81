// Happy path: links to two voters → each says whom it follows → one of them is spoken to → it sends
// what to watch → opinions and answers go up, orders come down. Failures: a voter that is lost (the
// other is spoken to, what it was asked is in doubt), no voter (the agent goes on looking, answers
// reads with what it knew last, and finishes what it was ordered).
#include "daemon/agent.h"

#include <algorithm>
#include <tuple>

#include "actions/action.h"
#include "api/kv_routes.h"
#include "base/check.h"
#include "core/codec.h"
#include "core/engine.h"
#include "daemon/log.h"

namespace fettle::daemon {
namespace {

std::unexpected<Error> no_voter() { return fail(Code::NotLeader, "no voter is reachable"); }

constexpr core::Duration kSweepEvery = std::chrono::seconds(1);

}  // namespace

Agent::Agent(io::Loop& loop, io::Loop& work, AgentConfig config,
             std::shared_ptr<io::TlsContext> tls, GroupEvents events)
    : loop_(loop),
      work_(work),
      config_(std::move(config)),
      events_(std::move(events)),
      uplinks_(
          loop, std::move(tls), config_.facts.name, config_.seed,
          {.hello =
               [this] {
                 return wire::Hello{.cluster = config_.cluster,
                                    .generation = config_.generation,
                                    .in_group = true,
                                    .facts = config_.facts};
               },
           .on_hello = [this](const wire::Hello& h) { return on_hello(h); },
           .on_up = [this](const std::string& v) { on_up(v); },
           .on_down = [this](const std::string& v) { on_down(v); },
           .on_frame = [this](const std::string& v, wire::Frame f) { on_frame(v, std::move(f)); }}),
      sweeper_(loop),
      next_id_(config_.seed) {}

Agent::~Agent() = default;

void Agent::start() {
  uplinks_.set_voters(config_.voters);
  sweeper_.start_repeating(kSweepEvery, [this] { sweep(); });
}

void Agent::to_work(std::function<void()> message) {
  FETTLE_ASSERT_MSG(work_.post(std::move(message)), "the work loop's mailbox is full");
}

Status Agent::on_hello(const wire::Hello& hello) const {
  if (hello.cluster != config_.cluster) {
    return fail(Code::Refused, "it is of cluster '" + hello.cluster + "'");
  }
  if (hello.generation < config_.generation) {
    return fail(Code::Refused, "it is of generation " + std::to_string(hello.generation) +
                                   ", this agent has heard of " +
                                   std::to_string(config_.generation));
  }
  return {};
}

void Agent::on_up(const std::string& voter) {
  led_.erase(voter);
  send_answers();
}

void Agent::on_down(const std::string& voter) {
  led_.erase(voter);
  std::vector<Pending> lost;
  for (auto at = pending_.begin(); at != pending_.end();) {
    if (at->second.voter != voter) {
      ++at;
      continue;
    }
    lost.push_back(std::move(at->second));
    at = pending_.erase(at);
  }
  for (Pending& one : lost) give_up(std::move(one));
  choose_voter();
}

void Agent::on_frame(const std::string& voter, wire::Frame frame) {
  if (auto* led = std::get_if<wire::Led>(&frame)) return take_led(voter, std::move(*led));
  if (auto* watches = std::get_if<wire::Watches>(&frame)) return take_watches(std::move(*watches));
  if (const auto* done = std::get_if<wire::Forwarded>(&frame)) return take_forwarded(*done);
  if (auto* read = std::get_if<wire::StateRead>(&frame)) return take_state(std::move(*read));
  if (const auto* told = std::get_if<wire::Applied>(&frame)) {
    applied_ = std::max(applied_, told->index);
    engine_time_ = std::max(engine_time_, told->now);
  } else if (auto* perform = std::get_if<wire::Perform>(&frame)) {
    if (perform->task.key.host != self()) return;
    log::debug("task.received key=" + core::to_string(perform->task.key) + " by=" + voter);
    to_work([this, task = std::move(perform->task), below = perform->finished_below] {
      events_.perform(task, below);
    });
  } else if (auto* cancel = std::get_if<wire::Cancel>(&frame)) {
    if (cancel->key.host != self()) return;
    to_work([this, key = cancel->key, fence = cancel->fence, reason = std::move(cancel->reason)] {
      events_.cancel(key, fence, reason);
    });
  }
}

void Agent::take_led(const std::string& voter, wire::Led led) {
  if (led.generation < config_.generation) return;
  if (led.generation > config_.generation) {  // its log may count from an older index
    config_.generation = led.generation;
    applied_ = watches_at_ = Index{};
    engine_time_ = {};
  }
  const auto age = [](const wire::Led& one) { return std::tuple(one.generation, one.term); };
  const bool newest =
      std::ranges::none_of(led_, [&](const auto& other) { return age(other.second) > age(led); });
  led_[voter] = led;
  if (newest && !led.voters.empty()) uplinks_.set_voters(std::move(led.voters));
  choose_voter();
}

/// The leader itself if there is a link to it, else the voter with the newest word of one.
void Agent::choose_voter() {
  const wire::Led* best = nullptr;
  std::string chosen;
  for (const std::string& voter : uplinks_.voters_up()) {
    const auto led = led_.find(voter);
    if (led == led_.end()) continue;
    const auto rank = [](const wire::Led& one, const std::string& by) {
      return std::tuple(one.generation, one.term, one.leader == by);
    };
    if (best != nullptr && rank(led->second, voter) <= rank(*best, chosen)) continue;
    best = &led->second;
    chosen = voter;
  }
  const bool moved = chosen != voter_;
  voter_ = chosen;
  const bool news = best == nullptr ? !told_.leader.empty()
                                    : std::tie(best->leader, best->generation, best->term) !=
                                          std::tie(told_.leader, told_.generation, told_.term);
  if (!moved && !news) return;
  if (best == nullptr) {
    told_.leader.clear();
  } else {
    told_ = *best;
  }
  tell_leader();
  send_answers();
}

/// The work loop then tells its whole table: to a new leader, or by another way.
void Agent::tell_leader() {
  log::debug("agent.speaks_to voter=" + voter_ + " leader=" + told_.leader);
  to_work([this, leader = told_.leader, generation = config_.generation, term = told_.term] {
    events_.leader_changed(leader, generation, term);
  });
}

void Agent::take_watches(wire::Watches watches) {
  if (watches.index < watches_at_) return;
  watches_at_ = watches.index;
  to_work([this, nodes = std::move(watches.nodes), directors = std::move(watches.directors)] {
    events_.watches(nodes, directors);
  });
}

void Agent::report(std::vector<core::Opinion> opinions) {
  loop_.post([this, opinions = std::move(opinions)] {
    if (voter_.empty()) return;  // the whole table follows once there is a way
    uplinks_.send(voter_, wire::Report{{self(), config_.facts.incarnation, opinions}});
  });
}

void Agent::report_directors(std::map<std::string, core::DirectorView> views) {
  loop_.post([this, views = std::move(views)] {
    if (!voter_.empty()) uplinks_.send(voter_, wire::Directors{{self(), views}});
  });
}

void Agent::applied(std::function<void(Index, core::Time)> done) {
  loop_.post([this, done = std::move(done)] {
    to_work([done, index = applied_, now = engine_time_] { done(index, now); });
  });
}

void Agent::answer(core::TaskKey key, core::TaskResult result) {
  loop_.post([this, key = std::move(key), result = std::move(result)] {
    if (unsent_answers_.size() >= kPendingMax) unsent_answers_.erase(unsent_answers_.begin());
    unsent_answers_[key] = result;
    send_answers();
  });
}

/// One that is lost on its way is asked for again by the leader, and answered from the journal.
void Agent::send_answers() {
  if (voter_.empty()) return;
  for (const auto& [key, result] : unsent_answers_) {
    uplinks_.send(voter_, wire::Answer{key, result});
  }
  unsent_answers_.clear();
}

void Agent::add_pending(std::uint64_t id, Pending pending) {
  pending.voter = voter_;
  pending.deadline = io::Loop::now() + kAnswerTimeout;
  pending_.emplace(id, std::move(pending));
}

void Agent::ask_write(const std::function<wire::Frame(std::uint64_t id)>& make, std::string key,
                      WriteDone done) {
  const std::uint64_t id = next_id_++;
  if (pending_.size() >= kPendingMax) {
    return to_work([done] { done(fail(Code::Busy, "too many commands wait")); });
  }
  if (voter_.empty() || !uplinks_.send(voter_, make(id))) {
    return to_work([done] { done(no_voter()); });
  }
  add_pending(id, {.key = std::move(key), .write = std::move(done)});
}

void Agent::ask_state(wire::ReadState read, StateDone done) {
  read.id = next_id_++;
  const auto up = uplinks_.voters_up();
  // Without a leader any voter still answers what it knows.
  const std::string& voter = voter_.empty() && !up.empty() ? up.front() : voter_;
  if (pending_.size() >= kPendingMax) return done(fail(Code::Busy, "too many reads wait"));
  if (voter.empty() || !uplinks_.send(voter, read)) return done(no_voter());
  add_pending(read.id, {.read = std::move(done)});
  pending_.at(read.id).voter = voter;
}

void Agent::take_forwarded(const wire::Forwarded& frame) {
  const auto found = pending_.find(frame.id);
  if (found == pending_.end() || !found->second.write) return;
  Result<core::ClientAnswer> answer = frame.answer;
  if (!frame.ok) answer = fail(frame.code, frame.text);
  to_work([done = std::move(found->second.write), answer = std::move(answer)] { done(answer); });
  pending_.erase(found);
}

void Agent::take_state(wire::StateRead read) {
  const auto found = pending_.find(read.id);
  if (found == pending_.end() || !found->second.read) return;
  const StateDone done = std::move(found->second.read);
  pending_.erase(found);
  if (!read.ok) return done(fail(read.code, read.text));
  done(std::move(read));
}

/// The voter is lost, or says nothing.
void Agent::give_up(Pending pending) {
  if (pending.read) return pending.read(fail(Code::NotLeader, "no voter answered in time"));
  to_work([done = std::move(pending.write), key = std::move(pending.key)] {
    done(fail(Code::InDoubt,
              "the voter did not answer: it may or may not have happened; ask again with "
              "Idempotency-Key " +
                  key));
  });
}

void Agent::sweep() {
  const core::Time now = io::Loop::now();
  std::vector<Pending> overdue;
  for (auto at = pending_.begin(); at != pending_.end();) {
    if (at->second.deadline > now) {
      ++at;
      continue;
    }
    overdue.push_back(std::move(at->second));
    at = pending_.erase(at);
  }
  for (Pending& one : overdue) give_up(std::move(one));
}

void Agent::write(core::Command command, std::string key, WriteDone done) {
  post<core::ClientAnswer>(
      [this, command, key, done] {
        ask_write([&](std::uint64_t id) { return wire::Forward{id, key, command}; }, key, done);
      },
      done);
}

void Agent::hand_over(std::function<void()> done) { done(); }

}  // namespace fettle::daemon
