// Reach: the leader's table of which voters have a link to which agent, and what each agent says of
// itself, as the voters tell it. Holds for one term: a leader begins with an empty one. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "core/state.h"

namespace fettle::daemon {

class Reach {
 public:
  /// What a voter's word changed.
  struct News {
    std::vector<std::string> up;     // reached by somebody now, and by nobody before
    std::vector<std::string> down;   // reached by nobody any more
    std::vector<std::string> moved;  // reached before and now, by others
  };

  /// Forgets what was told for another term.
  void begin(Term term);
  Term term() const { return term_; }

  /// `voter` has links to these agents; `whole`: and to no others.
  News linked(const std::string& voter, const std::vector<core::MemberFacts>& agents, bool whole);
  News unlinked(const std::string& voter, const std::vector<std::string>& agents);
  /// The voter itself is out of reach.
  News lost(const std::string& voter);

  bool has(const std::string& voter, const std::string& agent) const;
  /// A voter with a link to the agent; empty: there is none.
  std::string via(const std::string& agent) const;
  /// By name, of the agents that are reached.
  const std::map<std::string, core::MemberFacts>& facts() const { return facts_; }

 private:
  void unlink(const std::string& voter, const std::string& agent, News& news);

  Term term_;
  std::map<std::string, std::set<std::string>> voters_;  // by agent; none is empty
  std::map<std::string, core::MemberFacts> facts_;       // by agent, of those in voters_
};

}  // namespace fettle::daemon
