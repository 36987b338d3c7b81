// RaftInvariants: what must hold of a Raft group after every event, whoever drives it. It is told
// what servers sent, made durable, became and committed; the first broken rule stays as a sentence.
// Owns its own record of votes, leaders and committed entries; never changes a server.
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
  /// How many servers hold this very entry durably.
  using CountDurable = std::function<std::size_t(const Entry&)>;

  explicit RaftInvariants(std::size_t voters) : voters_(voters) {}

  /// Before a message leaves: nothing shows a term or a vote that is not durable at its sender.
  void sent(const Message& message, const HardState& durable);
  /// A server's hard state was replaced on its disk.
  void persisted(const ServerId& server, const HardState& before, const HardState& after);
  /// After a step that changed the role: one leader a term, and it holds every entry that was
  /// committed in an older term (figure 3.2). Late votes may still make a leader of a term that is
  /// over: what newer terms committed is not its to hold.
  void leads(const Raft& server, const ServerId& name);
  /// A server handed these out as committed. `leader_term`: its term if it leads, else 0.
  void committed(const ServerId& server, Term leader_term, const std::vector<Entry>& entries,
                 const CountDurable& durable);
  /// A server started again and applies from the beginning.
  void restarted(const ServerId& server) { applied_[server] = Index{}; }

  /// The first broken rule; empty: none.
  const std::string& violation() const { return violation_; }
  /// The group's committed entries so far, by position.
  const std::vector<Entry>& record() const { return record_; }

 private:
  void broken(std::string what);
  void first_commit(const ServerId& server, Term leader_term, const Entry& entry,
                    const CountDurable& durable);

  std::size_t voters_;
  std::vector<Entry> record_;
  std::vector<Term> committed_in_;  // the term of the leader that committed it, by position
  std::map<ServerId, Index> applied_;
  std::map<Term, ServerId> leaders_;
  std::map<std::pair<ServerId, Term>, ServerId> votes_;
  std::string violation_;
};

}  // namespace fettle::raft
