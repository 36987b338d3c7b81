// ClientTable: what the same key asked again is answered, and for how long (DESIGN §4 "Proposals").
// A key that a client chose is remembered for a time; more of them than fit into it are refused. A
// key that a member made for a write without one is only ever sent by a client to ask again, and
// carries when it was made: once its answer may have been forgotten it is refused, never carried
// out a second time. So these displace none that clients chose, at any rate of writes. Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "core/state.h"

namespace fettle::core {

/// The newest answers of either kind, kept however old they are.
inline constexpr std::size_t kClientsKept = 4096;
/// Answers to keys that clients chose are kept for this long, in engine time, at least ...
inline constexpr Duration kAnswerKept = std::chrono::minutes(1);
/// ... and if that makes as many as this, further keys are Busy.
inline constexpr std::size_t kClientsMax = 65'536;

/// The key of a write that came without one, at a member that knew engine time `known` then.
std::string made_client_key(Time known, std::string_view random);
/// What the member proposes for `key` that a client sent: itself, or of a made one that it is asked
/// again.
std::string asked_client_key(std::string key);

class ClientTable {
 public:
  /// Reads what the state, which was taken over, holds.
  void load(const State& state);
  /// The answer that the key is given instead of being carried out; nullopt: carry it out.
  std::optional<ClientAnswer> answered(const State& state, const std::string& key) const;
  /// Keeps the answer to what was carried out now.
  void keep(State& state, const std::string& key, ClientAnswer answer);

 private:
  using Ages = std::set<std::pair<Time, std::string>>;

  Ages& ages_of(const std::string& name);
  static void forget_oldest(State& state, Ages& ages);

  Ages chosen_, made_;  // of state.clients, the oldest first, then by name
};

}  // namespace fettle::core
