#include "tests/support/raft_invariants.h"

#include <algorithm>
#include <optional>

#include "base/bytes.h"
#include "raft/quorum.h"

namespace fettle::raft {
namespace {

std::string text(const Entry& entry) {
  return std::to_string(entry.index.value) + "^" + std::to_string(entry.term.value);
}

std::string text(const Configuration& configuration) {
  std::string all;
  for (const Server& server : configuration.servers) {
    all += (all.empty() ? "" : " ") + server.id + (server.voter ? "" : "(learner)");
  }
  return "{" + all + "}";
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

void RaftInvariants::restarted(const ServerId& name, const Raft& server) {
  applied_[name] = server.commit_index();
  if (server.snapshot() != nullptr) snapshot(name, server.snapshot()->meta);
  in_force(name, server);
  in_force_[name] = server.configuration();
}

void RaftInvariants::stepped(const ServerId& name, const Raft& server, Term led,
                             const Output& out) {
  if (out.role_changed && server.role() == Role::Leader) leads(name, server);
  if (out.restore != nullptr) {
    if (out.restore->meta.index <= applied_[name]) {
      broken(name + " goes back from " + std::to_string(applied_[name].value) +
             " to the snapshot of " + std::to_string(out.restore->meta.index.value));
    }
    applied_[name] = out.restore->meta.index;
  }
  committed(name, server, led, out);
  if (out.persist) persists(name, server, *out.persist);
  reads(name, out);
  if (out.configuration_changed) in_force_[name] = server.configuration();
}

/// One leader a term, and it holds every entry that was committed in an older term (figure 3.2).
/// Late votes may still make a leader of a term that is over: what newer terms committed is not its
/// to hold.
void RaftInvariants::leads(const ServerId& name, const Raft& server) {
  const Term term = server.term();
  const auto [leader, first] = leaders_.try_emplace(term, name);
  if (!first && leader->second != name) {
    broken("two leaders in term " + std::to_string(term.value) + ": " + leader->second + " and " +
           name);
  }
  if (!first) return;
  for (const Entry& entry : record_) {
    if (committed_in_[entry.index.value - 1] < term && entry.index > server.log().base() &&
        !server.log().matches(entry.index, entry.term)) {
      return broken("leader completeness: " + name + " leads term " + std::to_string(term.value) +
                    " without the committed entry " + text(entry));
    }
  }
}

/// Log matching (figure 3.2): two logs with an entry of one index and term are the same up to
/// there. By induction, if that entry is the same one everywhere, and so is the term of the one
/// before it.
void RaftInvariants::logs_match(const ServerId& name, const Raft& server, const Persist& persist) {
  for (const Entry& entry : persist.entries) {
    const std::optional<Term> before = server.log().term_at(Index{entry.index.value - 1});
    if (!before) continue;
    const Logged logged{stable_hash(encode(entry)), *before};
    if (logged_.try_emplace({entry.term, entry.index}, logged).first->second == logged) continue;
    broken("log matching: the log of " + name + " up to " + text(entry) +
           " is another than one that was there before");
  }
}

void RaftInvariants::persists(const ServerId& name, const Raft& server, const Persist& persist) {
  logs_match(name, server, persist);
  if (persist.snapshot != nullptr) snapshot(name, persist.snapshot->meta);
  bool touched = persist.snapshot != nullptr || persist.truncate_from.has_value();
  std::size_t own = 0;
  for (const Entry& entry : persist.entries) {
    if (entry.kind != EntryKind::Configuration) continue;
    touched = true;
    if (server.role() == Role::Leader && entry.term == server.term()) ++own;
  }
  if (touched) in_force(name, server);
  if (own == 0) return;
  if (!server.leads_surely()) {
    broken(name + " changes the members before an entry of its own term is committed");
  }
  const Log& log = server.log();
  std::size_t open = 0;
  for (Index i = std::max(next(server.commit_index()), next(log.base())); i <= log.last_index();
       i = next(i)) {
    if (log.at(i).kind == EntryKind::Configuration) ++open;
  }
  if (open > 1) broken(name + " changes the members while another change is not committed");
}

/// A snapshot is of committed entries alone, and has the configuration as of its index.
void RaftInvariants::snapshot(const ServerId& name, const SnapshotMeta& meta) {
  const std::string what = "the snapshot of " + std::to_string(meta.index.value) + " at " + name;
  if (meta.index.value > record_.size()) return broken(what + " is of entries nobody committed");
  if (meta.index.value > 0 && record_[meta.index.value - 1].term != meta.term) {
    broken(what + " has another term than the committed entry");
  }
  const auto [index, configuration] = configuration_as_of(meta.index);
  if (meta.configuration == configuration && meta.configuration_index == index) return;
  broken(what + " has the configuration " + text(meta.configuration) + " of " +
         std::to_string(meta.configuration_index.value) + ", in force was " + text(configuration) +
         " of " + std::to_string(index.value));
}

std::pair<Index, Configuration> RaftInvariants::configuration_as_of(Index index) const {
  const auto after = configurations_.upper_bound(index);
  if (after == configurations_.begin()) return {Index{}, first_};
  return *std::prev(after);
}

/// The configuration in force is a function of the log: the newest in it, else the snapshot's.
void RaftInvariants::in_force(const ServerId& name, const Raft& server) {
  if (server.snapshot() == nullptr) return;
  const Log& log = server.log();
  const SnapshotMeta& meta = server.snapshot()->meta;
  std::pair<Index, Configuration> expected{meta.configuration_index, meta.configuration};
  for (Index i = log.last_index(); i > meta.index; --i.value) {
    if (log.at(i).kind != EntryKind::Configuration) continue;
    expected = {i, decode<Configuration>(log.at(i).data).value()};
    break;
  }
  if (server.configuration_index() == expected.first && server.configuration() == expected.second) {
    return;
  }
  broken(name + " goes by the configuration " + text(server.configuration()) + " of " +
         std::to_string(server.configuration_index().value) + ", its log says " +
         text(expected.second) + " of " + std::to_string(expected.first.value));
}

/// Counted by the configuration in force, which may have changed within this step: for what was in
/// the log before, both count.
void RaftInvariants::first_commit(const ServerId& name, const Raft& server, Term led,
                                  const Entry& entry) {
  std::string counted;
  const auto holds = [&](const Configuration& configuration) {
    const std::vector<ServerId> voters = voters_of(configuration);
    const auto holders = static_cast<std::size_t>(
        std::ranges::count_if(voters, [&](const ServerId& one) { return durable_(one, entry); }));
    counted = std::to_string(holders) + " of the voters of " + text(configuration);
    return holders >= majority_of(voters.size());
  };
  if (entry.index < server.configuration_index() && holds(in_force_[name])) return;
  if (holds(server.configuration())) return;
  broken(name + " in term " + std::to_string(led.value) + " commits " + text(entry) +
         ", which is durable on only " + counted);
}

void RaftInvariants::committed(const ServerId& name, const Raft& server, Term led,
                               const Output& out) {
  if (out.committed.empty()) return;
  const Entry& last = out.committed.back();
  const bool news = last.index.value > record_.size();
  if (news && led.value != 0 && last.term != led) {
    broken("figure 8: " + name + " commits " + text(last) + " of an older term in term " +
           std::to_string(led.value) + " by counting");
  }
  if (news && led.value == 0) {
    broken(name + " commits " + text(last) + " before any leader did");
  }
  for (const Entry& entry : out.committed) {
    Index& applied = applied_[name];
    if (entry.index != next(applied)) broken(name + " applies " + text(entry) + " out of order");
    applied = entry.index;
    if (entry.index.value > record_.size()) {
      first_commit(name, server, led, entry);
      record_.push_back(entry);
      committed_in_.push_back(led);
      if (entry.kind == EntryKind::Configuration) {
        configurations_[entry.index] = decode<Configuration>(entry.data).value();
      }
    } else if (!(record_[entry.index.value - 1] == entry)) {
      broken("a committed entry changed: " + name + " applies " + text(entry) + ", the group had " +
             text(record_[entry.index.value - 1]));
    }
  }
}

/// A read sees whatever was committed, by anybody, when it was asked for (6.4).
void RaftInvariants::reads(const ServerId& name, const Output& out) {
  for (const ReadDone& read : out.reads) {
    const auto asked = asked_.extract({name, read.token});
    if (asked.empty() || !read.ok || read.index >= asked.mapped()) continue;
    broken("a stale read: " + name + " reads at " + std::to_string(read.index.value) + ", but " +
           std::to_string(asked.mapped().value) + " was committed when it was asked");
  }
}

}  // namespace fettle::raft
