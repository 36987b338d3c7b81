#include "daemon/reach.h"

namespace fettle::daemon {

void Reach::begin(Term term) {
  if (term == term_) return;
  term_ = term;
  voters_.clear();
  facts_.clear();
}

Reach::News Reach::linked(const std::string& voter, const std::vector<core::MemberFacts>& agents,
                          bool whole) {
  News news;
  std::set<std::string> named;
  for (const core::MemberFacts& facts : agents) {
    named.insert(facts.name);
    facts_[facts.name] = facts;
    auto& voters = voters_[facts.name];
    const bool first = voters.empty();
    if (!voters.insert(voter).second) continue;
    (first ? news.up : news.moved).push_back(facts.name);
  }
  if (!whole) return news;
  std::vector<std::string> gone;
  for (const auto& [agent, voters] : voters_) {
    if (voters.contains(voter) && !named.contains(agent)) gone.push_back(agent);
  }
  for (const std::string& agent : gone) unlink(voter, agent, news);
  return news;
}

Reach::News Reach::unlinked(const std::string& voter, const std::vector<std::string>& agents) {
  News news;
  for (const std::string& agent : agents) unlink(voter, agent, news);
  return news;
}

Reach::News Reach::lost(const std::string& voter) { return linked(voter, {}, true); }

void Reach::unlink(const std::string& voter, const std::string& agent, News& news) {
  const auto found = voters_.find(agent);
  if (found == voters_.end() || found->second.erase(voter) == 0) return;
  if (!found->second.empty()) return news.moved.push_back(agent);
  voters_.erase(found);
  facts_.erase(agent);
  news.down.push_back(agent);
}

bool Reach::has(const std::string& voter, const std::string& agent) const {
  const auto found = voters_.find(agent);
  return found != voters_.end() && found->second.contains(voter);
}

std::string Reach::via(const std::string& agent) const {
  const auto found = voters_.find(agent);
  return found == voters_.end() ? "" : *found->second.begin();
}

}  // namespace fettle::daemon
