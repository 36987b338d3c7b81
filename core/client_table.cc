#include "core/client_table.h"

#include <charconv>

#include "base/check.h"
#include "core/level.h"

namespace fettle::core {
namespace {

constexpr std::string_view kMade = "made:";
constexpr std::string_view kAgain = "again:";

struct Key {
  std::string name;  // in the table
  bool again = false;
  std::optional<Time> made;  // nullopt: a client chose it
};

/// When a made key was made; nullopt: it is none.
std::optional<Time> made_at(std::string_view name) {
  if (!name.starts_with(kMade)) return std::nullopt;
  name.remove_prefix(kMade.size());
  Time time;
  const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), time.ns);
  const bool whole = failed == std::errc() && end != name.data() + name.size() && *end == '-';
  return whole ? std::optional(time) : std::nullopt;
}

Key read(std::string_view text) {
  if (text.starts_with(kAgain)) {
    const std::string_view name = text.substr(kAgain.size());
    if (const auto made = made_at(name)) return {std::string(name), true, made};
  }
  return {std::string(text), false, made_at(text)};
}

}  // namespace

std::string made_client_key(Time known, std::string_view random) {
  return std::string(kMade) + std::to_string(known.ns) + "-" + std::string(random);
}

std::string asked_client_key(std::string key) {
  if (!made_at(key)) return key;
  return std::string(kAgain) + key;
}

ClientTable::Ages& ClientTable::ages_of(const std::string& name) {
  return made_at(name) ? made_ : chosen_;
}

void ClientTable::load(const State& state) {
  chosen_.clear();
  made_.clear();
  for (const auto& [name, answer] : state.clients) ages_of(name).emplace(answer.at, name);
}

std::optional<ClientAnswer> ClientTable::answered(const State& state,
                                                  const std::string& text) const {
  if (text.empty()) return std::nullopt;
  const Key key = read(text);
  const auto kept = state.clients.find(key.name);
  if (kept != state.clients.end() && !FETTLE_MUTANT(core_client_key_ignored)) return kept->second;
  if (state.level < kLevel2) return std::nullopt;
  if (!key.made) {
    const bool full = chosen_.size() >= kClientsMax;
    if (!full || state.now - chosen_.begin()->first >= kAnswerKept) return std::nullopt;
    return ClientAnswer{.ok = false,
                        .code = Code::Busy,
                        .text = std::to_string(kClientsMax) +
                                " idempotency keys within a minute: no more can be kept"};
  }
  // Whatever was forgotten is no newer than the oldest that is kept.
  const bool forgot = made_.size() >= kClientsKept && *key.made <= made_.begin()->first;
  if (!key.again || !forgot || FETTLE_MUTANT(core_client_key_ignored)) return std::nullopt;
  return ClientAnswer{.ok = false,
                      .code = Code::Conflict,
                      .text =
                          "what became of this key is not kept any more: look at the state "
                          "before you ask anew, under a key of your own"};
}

void ClientTable::forget_oldest(State& state, Ages& ages) {
  state.clients.erase(ages.begin()->second);
  ages.erase(ages.begin());
}

void ClientTable::keep(State& state, const std::string& text, ClientAnswer answer) {
  if (text.empty()) return;
  const Key key = read(text);
  if (state.level < kLevel2) {  // the oldest goes first; of equally old ones the first by name
    const bool made_first =
        chosen_.empty() || (!made_.empty() && *made_.begin() < *chosen_.begin());
    if (state.clients.size() >= kClientsKept) forget_oldest(state, made_first ? made_ : chosen_);
  } else if (key.made) {
    while (made_.size() >= kClientsKept) forget_oldest(state, made_);
  } else {
    while (chosen_.size() >= kClientsKept && state.now - chosen_.begin()->first >= kAnswerKept) {
      forget_oldest(state, chosen_);
    }
  }
  answer.at = state.now;
  ages_of(key.name).emplace(answer.at, key.name);
  state.clients.insert_or_assign(key.name, std::move(answer));
}

}  // namespace fettle::core
