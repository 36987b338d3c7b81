// RaftInvariants: what must hold of a Raft group after every event, whoever drives it. It is told
// what servers sent, made durable, became, committed and read; the first broken rule stays as a
// sentence. Owns its own record of votes, leaders, committed entries and read points; never changes
// a server.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "raft/messages.h"
#include "raft/raft.h"

namespace fettle::raft {

class RaftInvariants {
 public:
  /// True if this server holds this very entry durably, in its log or under its snapshot.
  using IsDurable = std::function<bool(const ServerId&, const Entry&)>;

  /// `first`: the configuration that the group began with.
  RaftInvariants(Configuration first, IsDurable durable)
      : first_(std::move(first)), durable_(std::move(durable)) {}

  /// Before a message leaves: nothing shows a term or a vote that is not durable at its sender.
  void sent(const Message& message, const HardState& durable);
  /// A server's hard state was replaced on its disk.
  void persisted(const ServerId& server, const HardState& before, const HardState& after);
  /// After every step. `led`: the term in which it led before or after the step, else 0.
  void stepped(const ServerId& name, const Raft& server, Term led, const Output& out);
  /// A server started again from what its disk holds; everything under its snapshot is applied.
  void restarted(const ServerId& name, const Raft& server);
  /// A leader was asked for a read point; its answers come with steps.
  void read_asked(const ServerId& name, std::uint64_t token) {
    asked_[{name, token}] = Index{record_.size()};
  }

  /// The first broken rule; empty: none.
  const std::string& violation() const { return violation_; }
  /// The group's committed entries so far, by position.
  const std::vector<Entry>& record() const { return record_; }
  /// The committed ones, by the index of their entry; the first is not among them.
  const std::map<Index, Configuration>& configurations() const { return configurations_; }
  /// The newest committed one.
  const Configuration& configuration() const {
    return configurations_.empty() ? first_ : configurations_.rbegin()->second;
  }
  /// By the term that each led.
  const std::map<Term, ServerId>& leaders() const { return leaders_; }

 private:
  void broken(std::string what);
  void leads(const ServerId& name, const Raft& server);
  void persists(const ServerId& name, const Raft& server, const Persist& persist);
  void logs_match(const ServerId& name, const Raft& server, const Persist& persist);
  void snapshot(const ServerId& name, const SnapshotMeta& meta);
  void committed(const ServerId& name, const Raft& server, Term led, const Output& out);
  void first_commit(const ServerId& name, const Raft& server, Term led, const Entry& entry);
  void reads(const ServerId& name, const Output& out);
  void in_force(const ServerId& name, const Raft& server);
  /// What any log ever held at a position of a term: the entry, and the term before it.
  struct Logged {
    std::uint64_t hash = 0;
    Term before;
    friend bool operator==(const Logged&, const Logged&) = default;
  };
  std::pair<Index, Configuration> configuration_as_of(Index index) const;

  Configuration first_;
  IsDurable durable_;
  std::map<std::pair<Term, Index>, Logged> logged_;
  std::vector<Entry> record_;
  std::vector<Term> committed_in_;  // the term of the leader that committed it, by position
  std::map<Index, Configuration> configurations_;  // committed ones, by the index of their entry
  std::map<ServerId, Index> applied_;
  std::map<ServerId, Configuration> in_force_;  // before this step
  std::map<Term, ServerId> leaders_;
  std::map<std::pair<ServerId, Term>, ServerId> votes_;
  std::map<std::pair<ServerId, std::uint64_t>, Index> asked_;  // what was committed by then
  std::string violation_;
};

}  // namespace fettle::raft
