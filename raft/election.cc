// Elections: pre-vote (thesis 9.6), votes (3.4), check-quorum (6.2), and what is done about a
// leader that is known to be dead.
#include <algorithm>

#include "base/check.h"
#include "raft/quorum.h"
#include "raft/raft.h"

namespace fettle::raft {

/// A server that heard its leader within the base timeout gives no vote, so that neither a server
/// that was cut off or removed nor an impatient one deposes a healthy leader.
bool Raft::hears_a_leader() const {
  if (role_ == Role::Leader) return true;
  return leader_heard_ && now_ - *leader_heard_ < config_.election_timeout;
}

/// A message that only the leader of its term sends, of a term that is not over.
void Raft::heard_leader(const Message& message) {
  FETTLE_ASSERT_MSG(role_ != Role::Leader || message.term > hard_.term, "one leader a term");
  become_follower(message.term, message.from, message.from + " leads");
  leader_heard_ = now_;
  heard_term_ = message.term;
  heard_leader_ = message.from;
  leader_lost_in_.reset();
  reset_election_timer();
}

/// Who is not in its own newest configuration may still be needed to elect, until that is
/// committed: it may hold the newest log (4.2.2). It counts no vote of its own then.
bool Raft::may_campaign() const {
  if (is_self_voter()) return true;
  if (configuration_index() <= commit_) return false;
  const Index before{configuration_index().value - 1};
  return is_voter(history_.as_of(before).configuration, config_.self);
}

/// Without a configuration a server has forgotten what it voted and acknowledged, or has not begun:
/// its answer is no proof of anything.
bool Raft::may_vote() const {
  return snapshot_ != nullptr || FETTLE_MUTANT(raft_empty_server_votes);
}

/// True if it leads the term, or led it when last heard.
bool Raft::was_leader(const ServerId& server) const {
  return heard_term_ == hard_.term && heard_leader_ == server;
}

void Raft::on(const LeaderLost& input) {
  if (role_ != Role::Follower && role_ != Role::PreCandidate) return;
  if (!was_leader(input.server) || knows_leader_lost()) return;
  set_role(role_, "");
  leader_heard_.reset();
  leader_lost_in_ = hard_.term;
  refused_.insert(input.server);  // in case it asks already
  if (!may_campaign()) return say("its leader is dead");
  const std::size_t rank = rank_without(input.server);
  say("its leader is dead, its rank is " + std::to_string(rank));
  if (rank == 0) return start_pre_vote("the leader is dead");
  const auto wait = config_.evidence_stagger * static_cast<std::int64_t>(rank);
  election_deadline_ = std::min(election_deadline_, now_ + wait);
}

/// The place among the other voters, so that they do not all campaign at once. Those that died
/// before are counted: not all know of them, and two that count otherwise can have one place.
std::size_t Raft::rank_without(const ServerId& gone) const {
  std::size_t rank = 0;
  for (const ServerId& voter : voters_of(configuration())) {
    if (voter < config_.self && voter != gone) ++rank;
  }
  return rank;
}

void Raft::start_pre_vote(const std::string& why) {
  reset_election_timer();
  set_role(Role::PreCandidate, "");
  hold_pre_vote_for(config_.self);
  granted_ = {config_.self};
  refused_.clear();
  // Who led is dead or silent: of three one other is left to refuse.
  if (was_leader(heard_leader_)) refused_.insert(heard_leader_);
  say("asks for pre-votes: " + why);
  const std::vector<ServerId> voters = voters_of(configuration());
  if (votes_in(granted_) >= majority_of(voters.size())) return campaign(false);
  for (const ServerId& peer : voters) {
    if (peer == config_.self) continue;
    emit(peer, next(hard_.term), VoteRequest{true, log_.last_index(), log_.last_term()}, When::Now);
  }
}

void Raft::campaign(bool transfer) {
  set_hard({next(hard_.term), config_.self});
  set_role(Role::Candidate, "");
  out_.role_changed = true;
  granted_.clear();
  refused_.clear();
  reset_election_timer();
  say("campaigns in term " + std::to_string(hard_.term.value));
  for (const ServerId& peer : voters_of(configuration())) {
    if (peer == config_.self) continue;
    emit(peer, hard_.term, VoteRequest{false, log_.last_index(), log_.last_term(), transfer},
         When::Durable);
  }
  if (!dirty_ && batches_.empty()) count_vote(config_.self);  // only with a planted defect
}

/// A pre-vote binds nobody, and two servers that hold a majority of them at once split the votes
/// that follow. So each is held for one server, for about as long as its election takes; while a
/// server asks it holds its own. Another gets it only by coming first: by a newer log than this
/// server's, or else by its name. All order alike, so of those that ask together one gets them all;
/// that one may die or reach too few, which is why it ends.
void Raft::hold_pre_vote_for(const ServerId& server) {
  const Instant spread = config_.election_spread();
  pre_vote_holder_ = server;
  pre_vote_held_in_ = hard_.term;
  pre_vote_held_until_ =
      now_ + (knows_leader_lost() ? std::min(config_.evidence_stagger, spread) : spread);
}

bool Raft::holds_pre_vote() const {
  if (now_ >= pre_vote_held_until_ || pre_vote_held_in_ != hard_.term) return false;
  return pre_vote_holder_ != config_.self || role_ == Role::PreCandidate;
}

/// Empty: it is granted.
std::string Raft::why_no_pre_vote(const Message& message, const VoteRequest& request) const {
  if (!may_vote()) return "it knows no configuration";
  if (hears_a_leader()) return "it hears its leader";
  if (!log_.up_to_date(request.last_index, request.last_term)) return "its log is older";
  if (message.term <= hard_.term) return "its term is not newer";
  const bool newer_log =
      request.last_term != log_.last_term() || request.last_index != log_.last_index();
  if (!holds_pre_vote() || newer_log || message.from <= pre_vote_holder_) return "";
  return pre_vote_holder_ == config_.self ? "it asks itself, and comes first"
                                          : "it holds it for " + pre_vote_holder_;
}

void Raft::answer_pre_vote(const Message& message, const VoteRequest& request) {
  const std::string why_not = why_no_pre_vote(message, request);
  const bool grant = why_not.empty();
  say((grant ? "grants pre-vote to " : "refuses pre-vote to ") + message.from + ": " +
      (grant ? "its log is up to date" : why_not));
  // A refusal carries the true term, so that a candidate with the newest log learns it.
  Term shown = grant ? message.term : hard_.term;
  if (!grant && FETTLE_MUTANT(raft_prevote_true_term)) shown = Term{message.term.value - 1};
  // Who campaigns has a majority of those that began, and they do not forget it.
  const bool only_began = log_.last_index() == Index{};
  emit(message.from, shown, VoteReply{true, grant}, only_began ? When::Durable : When::Now);
  if (grant) return stand_back_for(message.from);
  const bool better = !log_.up_to_date(request.last_index, request.last_term) &&
                      knows_leader_lost() && role_ == Role::Follower && may_campaign();
  if (better) start_pre_vote("the leader is dead, and its own log is newer");
}

/// So that it does not ask itself while the other's election runs.
void Raft::stand_back_for(const ServerId& other) {
  if (holds_pre_vote() && pre_vote_holder_ == config_.self) {
    say("stands back for " + other);
    set_role(Role::Follower, "");
  }
  hold_pre_vote_for(other);
  election_deadline_ = std::max(election_deadline_, pre_vote_held_until_);
}

void Raft::receive(const Message& message, const VoteRequest& request) {
  if (FETTLE_MUTANT(raft_learner_refuses_votes) && !is_self_voter()) return;
  if (request.pre) return answer_pre_vote(message, request);
  const std::string who = "vote to " + message.from;
  if (message.term > hard_.term && hears_a_leader() && !request.transfer) {
    say("refuses " + who + ": it hears its leader");
    return emit(message.from, hard_.term, VoteReply{false, false}, When::Now);
  }
  if (message.term > hard_.term) become_follower(message.term, "", "asked for a vote");
  const bool fresh = log_.up_to_date(request.last_index, request.last_term);
  const bool free = hard_.vote.empty() || hard_.vote == message.from ||
                    FETTLE_MUTANT(raft_double_vote) ||
                    (FETTLE_MUTANT(raft_double_vote_transfer) && request.transfer);
  const bool waits = role_ == Role::Follower || role_ == Role::PreCandidate;
  const bool grant = may_vote() && message.term == hard_.term && waits && free && fresh;
  if (!grant) {
    say("refuses " + who +
        (!may_vote() ? ": it knows no configuration"
         : !fresh    ? ": its log is older"
         : !free     ? ": voted for " + hard_.vote
                     : ": older term"));
    return emit(message.from, hard_.term, VoteReply{false, false}, When::Now);
  }
  say("grants " + who + ": its log is up to date");
  set_hard({hard_.term, message.from});
  set_role(Role::Follower, leader_);
  reset_election_timer();
  emit(message.from, hard_.term, VoteReply{false, true}, When::Durable);
}

void Raft::receive(const Message& message, const VoteReply& reply) {
  const Role asked = reply.pre ? Role::PreCandidate : Role::Candidate;
  const Term expected = reply.pre ? next(hard_.term) : hard_.term;
  if (!reply.granted && message.term > hard_.term) {
    return become_follower(message.term, "", "a refusal shows a newer term");
  }
  if (role_ != asked) return;
  if (reply.granted) {
    if (message.term == expected) count_vote(message.from);
    return;
  }
  refused_.insert(message.from);
  const std::size_t voters = voters_of(configuration()).size();
  if (votes_in(refused_) < majority_of(voters)) return;
  say("gives up: no majority is left to grant it");
  set_role(Role::Follower, "");
  if (!reply.pre) return;  // a vote that is split waits for a random timer
  if (!asks_again_soon()) return;
  // Two that ask in step are out of step the next time, by their ranks.
  const auto turns = static_cast<std::int64_t>(voters + rank_without(heard_leader_));
  election_deadline_ = std::min(election_deadline_, now_ + config_.evidence_stagger * turns);
}

/// The others may know a little later that the leader is dead, or may have heard it a little later.
/// A server that alone does not hear it for long asks no more often than its timer says.
bool Raft::asks_again_soon() const {
  if (knows_leader_lost()) return true;
  return leader_heard_ && now_ - *leader_heard_ < 2 * config_.election_timeout;
}

std::size_t Raft::votes_in(const std::set<ServerId>& from) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      from, [this](const ServerId& id) { return is_voter(configuration(), id); }));
}

void Raft::count_vote(const ServerId& voter) {
  granted_.insert(voter);
  refused_.erase(voter);
  if (votes_in(granted_) < majority_of(voters_of(configuration()).size())) return;
  if (role_ == Role::PreCandidate) return campaign(false);
  // Its own vote counts once it is durable; without it the majority stands on the others.
  if (role_ == Role::Candidate) become_leader();
}

void Raft::become_leader() {
  set_role(Role::Leader, config_.self);
  say("leads term " + std::to_string(hard_.term.value));
  leader_lost_in_.reset();
  incoming_.reset();
  progress_.clear();
  uncommitted_bytes_ = 0;
  round_ = 0;
  quorum_check_due_ = now_ + config_.election_timeout;
  follow_configuration();
  append_own(EntryKind::Noop, "");
  own_term_start_ = log_.last_index();
  heartbeat_due_ = now_ + config_.heartbeat;
  replicate();
}

void Raft::check_quorum() {
  const std::vector<ServerId> voters = voters_of(configuration());
  const auto active = std::ranges::count_if(voters, [this](const ServerId& voter) {
    return voter == config_.self ||
           now_ - progress_.at(voter).last_contact < config_.election_timeout;
  });
  if (static_cast<std::size_t>(active) < majority_of(voters.size())) {
    return become_follower(hard_.term, "", "no majority answered within an election timeout");
  }
  quorum_check_due_ = now_ + config_.election_timeout;
}

}  // namespace fettle::raft
