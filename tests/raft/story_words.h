// The words of a story: short, readable forms of what Raft says, keeps and sends. An entry is
// `index^term`, as in Raft's own trace.
#pragma once

#include <string>
#include <vector>

#include "raft/raft.h"

namespace fettle::raft::story {

/// `4^2`
std::string position(Index index, Term term);
/// `[4^2 x=1]`, `[1^1 no-op]`, `[5^2 {a b c d(learner)}]`
std::string words(const Entry& entry);
std::string words(const std::vector<Entry>& entries);
/// `{a b c d(learner) e(joining)}`; who joins is a learner that is to be promoted.
std::string words(const Configuration& configuration);
/// `term 2: append after 3^2 [4^2 x=1] commit 3 round 7`; without its sender and receiver.
std::string words(const Message& message);
/// `term 2 vote a, [4^2 x=1]`, in the order in which a store carries it out.
std::string words(const Persist& persist);
std::string words(const Progress& progress);

}  // namespace fettle::raft::story
