#include "core/level.h"

#include <algorithm>
#include <type_traits>

#include "base/check.h"

namespace fettle::core {
namespace {

template <typename T, typename... Of>
constexpr bool is_one_of = (std::is_same_v<T, Of> || ...);

template <typename T>
constexpr bool is_of_level2 =
    is_one_of<T, command::KvPut, command::KvDelete, command::LeaseGrant, command::LeaseRenew,
              command::LeaseRelease, command::MemberLost, command::MemberBack, command::StateHash,
              command::UpdateMembers, command::RemoveAgent>;

}  // namespace

std::uint32_t level_of(const Command& command) {
  if (const auto* raise = std::get_if<command::RaiseLevel>(&command)) return raise->level;
  const auto* apply = std::get_if<command::ApplySpec>(&command);
  if (apply != nullptr && apply->removal == command::Removal::Abandon) return kLevel2;
  return std::visit([]<typename T>(const T&) { return is_of_level2<T> ? kLevel2 : 1U; }, command);
}

std::optional<std::string> why_not_level(const State& state, std::uint32_t level) {
  const std::string needs = "needs engine level " + std::to_string(level) + "; ";
  if (state.members.empty()) return needs + "the group is not founded yet";
  for (const auto& [name, facts] : state.members) {
    if (facts.role != MemberRole::Voter) continue;
    if (facts.incarnation.empty()) return needs + name + " has not said yet what it supports";
    if (FETTLE_MUTANT(core_level_raised_early)) continue;
    if (facts.level < level) return needs + name + " supports " + std::to_string(facts.level);
  }
  return std::nullopt;
}

std::optional<std::string> why_not_command(const State& state, const Command& command) {
  if (std::holds_alternative<command::RaiseLevel>(command)) return std::nullopt;
  return why_below(state, level_of(command));
}

std::optional<std::string> why_below(const State& state, std::uint32_t level) {
  if (level <= state.level) return std::nullopt;
  if (auto why = why_not_level(state, level)) return why;
  return "needs engine level " + std::to_string(level) + "; the group is being raised to it";
}

std::optional<std::uint32_t> level_to_raise(const State& state, std::uint32_t known) {
  for (std::uint32_t level = known; level > state.level; --level) {
    if (!why_not_level(state, level)) return level;
  }
  return std::nullopt;
}

ClientAnswer raise_level(Applying& ap, const command::RaiseLevel& command) {
  if (command.level <= ap.state.level) return {.text = "already there", .number = ap.state.level};
  if (auto why = why_not_level(ap.state, command.level)) {
    return {.ok = false, .code = Code::Refused, .text = std::move(*why)};
  }
  ap.state.level = command.level;
  ap.happened({.kind = "level.raised",
               .value = std::to_string(command.level),
               .reason = "every voter supports engine level " + std::to_string(command.level)});
  return {.text = "level " + std::to_string(command.level), .number = command.level};
}

}  // namespace fettle::core
