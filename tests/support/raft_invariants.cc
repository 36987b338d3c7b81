#include "tests/support/raft_invariants.h"

#include "raft/quorum.h"

namespace fettle::raft {
namespace {

std::string text(const Entry& entry) {
  return std::to_string(entry.index.value) + "^" + std::to_string(entry.term.value);
}

}  // namespace

void RaftInvariants::broken(std::string what) {
  if (violation_.empty()) violation_ = std::move(what);
}

void RaftInvariants::sent(const Message& message, const HardState& durable) {
  const auto* reply = std::get_if<VoteReply>(&message.body);
  const auto* request = std::get_if<VoteRequest>(&message.body);
  const bool pre = (reply != nullptr && reply->pre) || (request != nullptr && request->pre);
  if (pre) return;
  if (message.term > durable.term) {
    broken("a message of " + message.from + " shows term " + std::to_string(message.term.value) +
           ", durable is only " + std::to_string(durable.term.value));
  }
  const bool votes_for_other = reply != nullptr && reply->granted;
  if (!votes_for_other && request == nullptr) return;
  const ServerId& candidate = votes_for_other ? message.to : message.from;
  const auto [vote, first] = votes_.try_emplace({message.from, message.term}, candidate);
  if (!first && vote->second != candidate) {
    broken("two votes: " + message.from + " gave its vote of term " +
           std::to_string(message.term.value) + " to " + vote->second + " and to " + candidate);
  }
}

void RaftInvariants::persisted(const ServerId& server, const HardState& before,
                               const HardState& after) {
  if (after.term < before.term) broken("the durable term of " + server + " went back");
  if (after.term == before.term && !before.vote.empty() && after.vote != before.vote) {
    broken(server + " replaced its durable vote for " + before.vote + " by " + after.vote);
  }
}

void RaftInvariants::leads(const Raft& server, const ServerId& name) {
  if (server.role() != Role::Leader) return;
  const Term term = server.term();
  const auto [leader, first] = leaders_.try_emplace(term, name);
  if (!first && leader->second != name) {
    broken("two leaders in term " + std::to_string(term.value) + ": " + leader->second + " and " +
           name);
  }
  if (!first) return;
  for (const Entry& entry : record_) {
    if (committed_in_[entry.index.value - 1] < term &&
        !server.log().matches(entry.index, entry.term)) {
      return broken("leader completeness: " + name + " leads term " + std::to_string(term.value) +
                    " without the committed entry " + text(entry));
    }
  }
}

void RaftInvariants::first_commit(const ServerId& server, Term leader_term, const Entry& entry,
                                  const CountDurable& durable) {
  const std::size_t holders = durable(entry);
  if (holders < majority_of(voters_)) {
    broken(server + " in term " + std::to_string(leader_term.value) + " commits " + text(entry) +
           ", which is durable on only " + std::to_string(holders) + " of " +
           std::to_string(voters_) + " voters");
  }
}

void RaftInvariants::committed(const ServerId& server, Term leader_term,
                               const std::vector<Entry>& entries, const CountDurable& durable) {
  if (entries.empty()) return;
  const bool news = entries.back().index.value > record_.size();
  if (news && leader_term.value != 0 && entries.back().term != leader_term) {
    broken("figure 8: " + server + " commits " + text(entries.back()) +
           " of an older term in term " + std::to_string(leader_term.value) + " by counting");
  }
  if (news && leader_term.value == 0) {
    broken(server + " commits " + text(entries.back()) + " before any leader did");
  }
  for (const Entry& entry : entries) {
    Index& applied = applied_[server];
    if (entry.index != next(applied)) broken(server + " applies " + text(entry) + " out of order");
    applied = entry.index;
    if (entry.index.value > record_.size()) {
      first_commit(server, leader_term, entry, durable);
      record_.push_back(entry);
      committed_in_.push_back(leader_term);
    } else if (!(record_[entry.index.value - 1] == entry)) {
      broken("a committed entry changed: " + server + " applies " + text(entry) +
             ", the group had " + text(record_[entry.index.value - 1]));
    }
  }
}

}  // namespace fettle::raft
