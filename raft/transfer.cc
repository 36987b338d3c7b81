// Leadership transfer (thesis 3.10): no new proposals, the target's log is brought up to date, then
// it is told to campaign at once. Given up after an election timeout; whatever the target does
// later is an election like any other.
#include <utility>

#include "raft/raft.h"

namespace fettle::raft {

/// Empty: there is no other voter.
ServerId Raft::newest_voter() const {
  ServerId newest;
  for (const ServerId& voter : voters_of(configuration())) {
    if (voter == config_.self) continue;
    if (newest.empty() || progress_.at(voter).match > progress_.at(newest).match) newest = voter;
  }
  return newest;
}

void Raft::on(const Transfer& input) {
  const auto refuse = [&](Code code, std::string why) {
    out_.transfers.push_back({input.token, false, code, std::move(why)});
  };
  if (role_ != Role::Leader) return refuse(Code::NotLeader, "it does not lead");
  if (transferring_) return refuse(Code::Busy, "the leadership is being transferred already");
  const ServerId target = input.target.empty() ? newest_voter() : input.target;
  if (target.empty()) return refuse(Code::Conflict, "there is no other voter");
  if (target == config_.self) return refuse(Code::Conflict, target + " leads already");
  if (!is_voter(configuration(), target)) return refuse(Code::NotFound, "no voter " + target);
  transferring_ = Transferring{input.token, target, now_ + config_.election_timeout, false};
  say("transfers the leadership to " + target);
  tell_target();
}

void Raft::tell_target() {
  const ServerId& target = transferring_->target;
  const auto peer = progress_.find(target);
  if (peer == progress_.end()) return;
  if (peer->second.match < log_.last_index()) return send_append(target, false);
  transferring_->told = true;
  emit(target, hard_.term, TimeoutNow{}, When::Now);
}

void Raft::give_up_transfer() {
  say("gives up the transfer to " + transferring_->target);
  out_.transfers.push_back({transferring_->token, false, Code::Timeout,
                            transferring_->target + " did not take over in time"});
  transferring_.reset();
}

void Raft::receive(const Message& message, const TimeoutNow&) {
  const std::string ignores = "ignores that " + message.from + " asks it to take over";
  if (message.term < hard_.term) return say_term_over(ignores, message);
  if (role_ == Role::Leader) return say(ignores + ": it leads already");
  if (message.term > hard_.term) become_follower(message.term, message.from, "its leader asks");
  if (!may_campaign()) return say(ignores + ": it is no voter");
  say(message.from + " asks it to take over");
  campaign(true);
}

}  // namespace fettle::raft
