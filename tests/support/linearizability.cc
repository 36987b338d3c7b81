#include "tests/support/linearizability.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/check.h"

namespace fettle::linearizability {
namespace {

using Place = std::uint32_t;        // of an operation in the history
using Places = std::vector<Place>;  // sorted

constexpr std::size_t kTextOperationsMax = 24;
constexpr std::size_t kTextRegistersMax = 8;
constexpr std::size_t kTextValueHead = 32;
constexpr std::size_t kTextValueTail = 40;

Places with(Places places, Place one) {
  places.insert(std::ranges::lower_bound(places, one), one);
  return places;
}

Places without(Places places, Place one) {
  std::erase(places, one);
  return places;
}

bool holds(const Places& places, Place one) { return std::ranges::binary_search(places, one); }

/// What the register holds after some order of the answered operations, and which of the open ones
/// are part of that order.
struct Configuration {
  Register now;
  Places early;            // took effect, the answer comes later
  Places lost;             // took effect, the outcome stays unknown
  bool lost_last = false;  // one of `lost` took effect just now: what comes next must tell
};

/// Every revision that `few` may have, `many` may have too, or one that allows as much.
bool allows_as_much(const Register& many, const Register& few) {
  if (many.present && many.exact) return few.exact && few.revision == many.revision;
  return many.revision <= few.revision;
}

/// Configurations, without those that another one makes superfluous: it holds the same, spent no
/// unknown outcome besides, and its revision is no less free.
class Configurations {
 public:
  /// False: it is superfluous.
  bool add(const Configuration& one) {
    const auto better = [](const Configuration& many, const Configuration& few) {
      return allows_as_much(many.now, few.now) && std::ranges::includes(few.lost, many.lost);
    };
    std::vector<Configuration>& others =
        alike_[{one.now.present, one.now.value, one.early, one.lost_last}];
    const auto makes_superfluous = [&](const Configuration& other) { return better(other, one); };
    if (std::ranges::any_of(others, makes_superfluous)) return false;
    std::erase_if(others, [&](const Configuration& other) { return better(one, other); });
    others.push_back(one);
    return true;
  }
  bool empty() const { return alike_.empty(); }

  std::vector<Configuration> all() const {
    std::vector<Configuration> list;
    for (const auto& [key, some] : alike_) list.insert(list.end(), some.begin(), some.end());
    return list;
  }

 private:
  using Key = std::tuple<bool, std::string_view, Places, bool>;
  std::map<Key, std::vector<Configuration>> alike_;
};

/// Takes effect whatever the register holds, so it hides what took effect right before it.
bool is_blind(const Operation& operation) {
  if (operation.kind == Kind::Write) return true;
  return operation.kind == Kind::Delete && !operation.expected &&
         operation.outcome == Outcome::Unknown;
}

/// Stands for each value of an unknown outcome that no read ever saw: which it is cannot matter.
constexpr std::string_view kUnread = "(a value without an answer that no read saw)";

/// Operations of unknown outcome that are as good as each other, wherever both are open.
struct Lost {
  Kind kind;
  std::optional<std::uint64_t> expected;
  std::string_view value;
  auto operator<=>(const Lost&) const = default;
};

std::vector<Lost> lost_of(const std::vector<Operation>& history) {
  std::set<std::string_view> read;
  for (const Operation& one : history) {
    if (one.kind == Kind::Read && one.outcome == Outcome::Done) read.insert(one.value);
  }
  std::vector<Lost> all;
  for (const Operation& one : history) {
    const bool seen = one.kind == Kind::Delete || read.contains(one.value);
    all.push_back({one.kind, one.expected, seen ? std::string_view(one.value) : kUnread});
  }
  return all;
}

struct Event {
  std::int64_t at = 0;
  bool answer = false;  // questions first: what touches in one instant is concurrent
  Place place = 0;
  auto operator<=>(const Event&) const = default;
};

std::vector<Event> events_of(const std::vector<Operation>& history) {
  std::vector<Event> events;
  for (std::size_t i = 0; i < history.size(); ++i) {
    const Operation& one = history[i];
    const auto place = static_cast<Place>(i);
    const bool unknown = one.outcome == Outcome::Unknown;
    if (unknown && one.kind == Kind::Read) continue;
    events.push_back({one.begin_ns, false, place});
    if (unknown) continue;
    FETTLE_ASSERT_MSG(one.begin_ns <= one.end_ns, "an answer before its question");
    events.push_back({one.end_ns, true, place});
  }
  std::ranges::sort(events);
  return events;
}

class Search {
 public:
  Search(const std::vector<Operation>& history, std::size_t configurations_max)
      : history_(history), lost_(lost_of(history)), configurations_max_(configurations_max) {
    frontier_.add({});
  }

  Verdict run() {
    for (const Event& event : events_of(history_)) {
      if (!event.answer) {
        open_.push_back(event.place);
        continue;
      }
      ++answers_;
      Configurations next = survivors(event.place);
      if (configurations_ >= configurations_max_) return gave_up(event);
      if (next.empty()) return violated(event);
      frontier_ = std::move(next);
      std::erase(open_, event.place);
    }
    return {Answer::Linearizable, 0, configurations_, ""};
  }

 private:
  /// From each configuration every chain of open operations that ends with the one now answered.
  Configurations survivors(Place answered) {
    Configurations next, seen;
    std::vector<Configuration> waiting;
    const auto reach = [&](Configuration one) {
      ++configurations_;
      if (seen.add(one)) waiting.push_back(std::move(one));
    };
    for (const Configuration& one : frontier_.all()) {
      if (!holds(one.early, answered)) {
        reach(one);
      } else {
        next.add({one.now, without(one.early, answered), one.lost});
      }
    }
    while (!waiting.empty() && configurations_ < configurations_max_) {
      const Configuration from = std::move(waiting.back());
      waiting.pop_back();
      for (const Place place : open_) {
        const auto now = taken_by(place, from);
        if (!now) continue;
        if (place == answered) {
          next.add({*now, from.early, from.lost});
        } else if (history_[place].outcome == Outcome::Unknown) {
          reach({*now, from.early, with(from.lost, place), true});
        } else {
          reach({*now, with(from.early, place), from.lost});
        }
      }
    }
    return next;
  }

  /// The register after the operation took effect next; nothing if it cannot, or need not.
  std::optional<Register> taken_by(Place place, const Configuration& from) const {
    if (holds(from.early, place) || holds(from.lost, place)) return std::nullopt;
    if (from.lost_last && is_blind(history_[place])) return std::nullopt;
    if (history_[place].outcome != Outcome::Unknown) return after(from.now, history_[place]);
    for (const Place other : open_) {  // the first of those that are alike
      if (other == place) break;
      const bool unknown = history_[other].outcome == Outcome::Unknown;
      if (unknown && lost_[other] == lost_[place] && !holds(from.lost, other)) return std::nullopt;
    }
    std::optional<Register> now = after(from.now, history_[place]);
    if (now) now->value = now->present ? lost_[place].value : now->value;
    return now;
  }

  Verdict gave_up(const Event& event) const {
    return {Answer::GaveUp, answers_, configurations_,
            "gave up after " + std::to_string(configurations_) + " configurations, at answer " +
                std::to_string(answers_) + ": " + to_string(history_[event.place], origin())};
  }

  Verdict violated(const Event& event) const {
    std::string text = "no order of the first " + std::to_string(answers_) +
                       " answers explains the last of them:\n  " +
                       to_string(history_[event.place], origin()) + "\n" + source_of(event.place) +
                       "before it took effect the key could only have been (or what operations "
                       "still open make of it):\n" +
                       registers() + "what the clients were told until then:\n" + told(event.at);
    return {Answer::Violated, answers_, configurations_, std::move(text)};
  }

  std::int64_t origin() const {
    return std::ranges::min_element(history_, {}, &Operation::begin_ns)->begin_ns;
  }

  /// Who wrote what a read has seen.
  std::string source_of(Place place) const;
  std::string registers() const;
  std::string told(std::int64_t until) const;

  const std::vector<Operation>& history_;
  const std::vector<Lost> lost_;
  std::size_t configurations_max_;
  Configurations frontier_;
  Places open_;
  std::size_t answers_ = 0;
  std::size_t configurations_ = 0;
};

std::string shown(std::string_view value) {
  if (value.size() <= kTextValueHead + kTextValueTail) return std::string(value);
  return std::string(value.substr(0, kTextValueHead)) + " … " +
         std::string(value.substr(value.size() - kTextValueTail));
}

std::string Search::source_of(Place place) const {
  const Operation& read = history_[place];
  if (read.kind != Kind::Read || read.outcome != Outcome::Done) return "";
  std::string text;
  for (const Operation& one : history_) {
    const bool writes = one.kind == Kind::Write || one.kind == Kind::Cas;
    const bool may = one.outcome == Outcome::Done || one.outcome == Outcome::Unknown;
    if (writes && may && one.value == read.value)
      text += "which was written by:\n  " + to_string(one, origin()) + "\n";
  }
  return text.empty() ? "which nobody ever wrote\n" : text;
}

std::string Search::registers() const {
  std::string text;
  std::set<Register> all;
  for (const Configuration& one : frontier_.all()) all.insert(one.now);
  std::size_t told = 0;
  for (const Register& one : all) {
    if (++told > kTextRegistersMax) {
      return text + "  … " + std::to_string(all.size() - kTextRegistersMax) + " more\n";
    }
    const std::string revision = std::to_string(one.revision);
    text += one.present ? "  " + shown(one.value) +
                              (one.exact ? " at revision " : " at a revision from ") + revision
                        : "  absent, after revision " + revision;
    text += "\n";
  }
  return text;
}

std::string Search::told(std::int64_t until) const {
  std::vector<const Operation*> begun;
  for (const Operation& one : history_) {
    if (one.begin_ns <= until) begun.push_back(&one);
  }
  std::ranges::stable_sort(begun, {}, &Operation::begin_ns);
  const std::size_t skipped =
      begun.size() > kTextOperationsMax ? begun.size() - kTextOperationsMax : 0;
  std::string text = skipped == 0 ? "" : "  … " + std::to_string(skipped) + " earlier\n";
  for (std::size_t i = skipped; i < begun.size(); ++i)
    text += "  " + to_string(*begun[i], origin()) + "\n";
  return text;
}

bool has_revision(const Register& now, std::uint64_t revision) {
  return now.exact ? now.revision == revision : now.revision <= revision;
}

std::optional<Register> read(const Register& before, const Operation& operation) {
  if (operation.outcome == Outcome::Absent)
    return before.present ? std::nullopt : std::optional(before);
  if (operation.outcome != Outcome::Done || !before.present || before.value != operation.value)
    return std::nullopt;
  if (!operation.revision) return before;
  if (!has_revision(before, *operation.revision)) return std::nullopt;
  return Register{true, true, *operation.revision, before.value};
}

std::optional<Register> written(const Register& before, const Operation& operation) {
  const bool told = operation.outcome == Outcome::Done && operation.revision;
  if (!told) return Register{true, false, before.revision + 1, operation.value};
  if (*operation.revision <= before.revision) return std::nullopt;
  return Register{true, true, *operation.revision, operation.value};
}

/// The register of which the client was told that it has not the expected revision.
std::optional<Register> other_than(const Register& before, std::uint64_t expected) {
  if (expected == 0) return before.present ? std::optional(before) : std::nullopt;
  if (!before.present || before.revision != expected) return before;
  if (before.exact) return std::nullopt;
  Register now = before;
  ++now.revision;
  return now;
}

bool is_as_expected(const Register& before, std::uint64_t expected) {
  return expected == 0 ? !before.present : before.present && has_revision(before, expected);
}

std::optional<Register> swapped(const Register& before, const Operation& operation) {
  const std::uint64_t expected = operation.expected.value_or(0);
  if (operation.outcome == Outcome::Mismatch) return other_than(before, expected);
  if (operation.outcome == Outcome::Absent)
    return before.present || expected == 0 ? std::nullopt : std::optional(before);
  if (!is_as_expected(before, expected)) return std::nullopt;
  Register found = before;
  found.revision = std::max(before.revision, expected);
  return written(found, operation);
}

std::optional<Register> deleted(const Register& before, const Operation& operation) {
  const auto& [expected, revision] = std::pair(operation.expected, operation.revision);
  if (operation.outcome == Outcome::Mismatch) return other_than(before, expected.value_or(0));
  if (operation.outcome == Outcome::Absent)
    return before.present ? std::nullopt : std::optional(before);
  if (!before.present || (expected && !is_as_expected(before, *expected))) return std::nullopt;
  const std::uint64_t found = std::max(before.revision, expected.value_or(0));
  if (revision && *revision <= found) return std::nullopt;
  return Register{false, true, revision.value_or(found), ""};
}

std::string question(const Operation& operation) {
  const auto condition = [&] {
    if (!operation.expected) return std::string();
    return *operation.expected == 0 ? std::string(" if absent")
                                    : " if revision " + std::to_string(*operation.expected);
  };
  switch (operation.kind) {
    case Kind::Read:
      return "read";
    case Kind::Write:
      return "write " + shown(operation.value);
    case Kind::Cas:
      return "cas " + shown(operation.value) + condition();
    case Kind::Delete:
      return "delete" + condition();
  }
  return "";
}

std::string told_of(const Operation& operation) {
  const std::string at =
      operation.revision ? "revision " + std::to_string(*operation.revision) : "";
  switch (operation.outcome) {
    case Outcome::Unknown:
      return "no answer";
    case Outcome::Absent:
      return "absent";
    case Outcome::Mismatch:
      return "mismatch";
    case Outcome::Done:
      if (operation.kind == Kind::Read)
        return shown(operation.value) + (at.empty() ? "" : " at ") + at;
      return at.empty() ? "done" : at;
  }
  return "";
}

std::string milliseconds(std::int64_t ns) {
  const std::string micros = std::to_string(ns / 1000 % 1000);
  return std::to_string(ns / 1'000'000) + "." + std::string(3 - micros.size(), '0') + micros;
}

}  // namespace

std::optional<Register> after(const Register& before, const Operation& operation) {
  switch (operation.kind) {
    case Kind::Read:
      return read(before, operation);
    case Kind::Write:
      return written(before, operation);
    case Kind::Cas:
      return swapped(before, operation);
    case Kind::Delete:
      return deleted(before, operation);
  }
  return std::nullopt;
}

Verdict check(const std::vector<Operation>& history, std::size_t configurations_max) {
  return Search(history, configurations_max).run();
}

std::string to_string(const Operation& operation, std::int64_t origin_ns) {
  const bool open = operation.outcome == Outcome::Unknown;
  return operation.client + " " + question(operation) + " → " + told_of(operation) + " (" +
         milliseconds(operation.begin_ns - origin_ns) + " ms to " +
         (open ? "never" : milliseconds(operation.end_ns - origin_ns) + " ms") + ")";
}

}  // namespace fettle::linearizability
