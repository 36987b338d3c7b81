// Configuration: who votes, and which configuration was in force where. The one in force is a
// function of the log (thesis 4.1): the newest in it, committed or not; what is cut off with the
// log is forgotten here. Owns no log; Raft tells it what the log gained and lost.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "raft/messages.h"

namespace fettle::raft {

/// Null: no such server.
inline const Server* find_server(const Configuration& configuration, const ServerId& id) {
  const auto found = std::ranges::find(configuration.servers, id, &Server::id);
  return found == configuration.servers.end() ? nullptr : &*found;
}

inline bool is_voter(const Configuration& configuration, const ServerId& id) {
  const Server* server = find_server(configuration, id);
  return server != nullptr && server->voter;
}

/// What a Configuration entry of the log holds; one that is not readable is a broken invariant.
inline Configuration configuration_in(const Entry& entry) {
  auto configuration = decode<Configuration>(entry.data);
  FETTLE_ASSERT_MSG(configuration.has_value(), "a configuration in the log is readable");
  return std::move(*configuration);
}

/// All of them, learners too; sorted, as the configuration is.
inline std::vector<ServerId> servers_of(const Configuration& configuration) {
  std::vector<ServerId> servers;
  for (const Server& server : configuration.servers) servers.push_back(server.id);
  return servers;
}

/// Sorted by id, as the configuration is.
inline std::vector<ServerId> voters_of(const Configuration& configuration) {
  std::vector<ServerId> voters;
  for (const Server& server : configuration.servers) {
    if (server.voter) voters.push_back(server.id);
  }
  return voters;
}

class ConfigurationHistory {
 public:
  struct At {
    Index index;
    Configuration configuration;
  };

  bool empty() const { return known_.empty(); }
  /// The one in force: of the newest entry. Without any: no servers, index 0.
  const At& newest() const { return known_.empty() ? nobody_ : known_.back(); }
  /// The one in force once everything up to `index`, and nothing else, is in the log.
  const At& as_of(Index index) const {
    const At* found = &nobody_;
    for (const At& at : known_) {
      if (at.index <= index) found = &at;
    }
    return *found;
  }
  void add(Index index, Configuration configuration) {
    FETTLE_ASSERT_MSG(known_.empty() || index > known_.back().index, "configurations are in order");
    known_.push_back({index, std::move(configuration)});
  }
  /// True if the one in force is another one now.
  bool truncate_from(Index index) {
    const std::size_t before = known_.size();
    while (known_.size() > 1 && known_.back().index >= index) known_.pop_back();
    return known_.size() != before;
  }
  /// A snapshot stands for everything up to `index`: what was in force before is not asked for.
  void compact_to(Index index) {
    while (known_.size() > 1 && known_[1].index <= index) known_.erase(known_.begin());
  }
  void reset(Index index, Configuration configuration) {
    known_.clear();
    add(index, std::move(configuration));
  }

 private:
  std::vector<At> known_;  // the first is the snapshot's
  At nobody_;
};

}  // namespace fettle::raft
