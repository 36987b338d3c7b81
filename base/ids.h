// Id<Tag>: numbers that must not be mixed up. vote(Index, Term) does not compile.
#pragma once

#include <compare>
#include <cstdint>

namespace fettle {

template <typename Tag>
struct Id {
  std::uint64_t value = 0;

  constexpr Id() = default;
  constexpr explicit Id(std::uint64_t v) : value(v) {}
  friend constexpr auto operator<=>(const Id&, const Id&) = default;
};

/// The Raft log position of an entry; 0 is "before the first".
using Index = Id<struct IndexTag>;
/// A Raft term; 0 is "before the first election".
using Term = Id<struct TermTag>;
/// An incident, numbered in the order the engine opened them.
using IncidentId = Id<struct IncidentTag>;
/// A playbook run, numbered in the order the engine decided them.
using RunId = Id<struct RunTag>;

/// The id after this one.
template <typename Tag>
constexpr Id<Tag> next(Id<Tag> id) {
  return Id<Tag>{id.value + 1};
}

}  // namespace fettle
