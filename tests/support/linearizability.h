// Linearizability of a compare-and-swap register: is there one order of what clients did to one
// key, true to real time, that explains every answer? Pure: a history in, a verdict out. Owns
// nothing, keeps nothing between calls. The simulator and fettle-linearizability drive it, a key at
// a time.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fettle::linearizability {

enum class Kind : std::uint8_t { Read, Write, Cas, Delete };

/// What the client was told.
enum class Outcome : std::uint8_t {
  Unknown,   // nothing that says whether it took effect: it may at any later time, or never
  Done,      // read a value; wrote; swapped; deleted what was there
  Absent,    // there was nothing to read, swap or delete
  Mismatch,  // the revision was another than the expected one; nothing changed
};

/// The end of an operation without an answer.
constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

/// One operation of one client. Definite failures, which changed nothing and told nothing, are left
/// out of a history.
struct Operation {
  std::string client;
  Kind kind = Kind::Read;
  std::string value;                      // to be written; what a read that is Done has seen
  std::optional<std::uint64_t> expected;  // Cas: always, 0 means "must not exist"; Delete: maybe
  Outcome outcome = Outcome::Unknown;
  std::optional<std::uint64_t> revision;  // as answered
  std::int64_t begin_ns = 0;              // when it was asked, on one clock for all clients
  std::int64_t end_ns = kNever;           // when it was answered; Unknown: not looked at
};

/// What one key holds. Revisions of a key only grow, also over a deletion; one that no client was
/// told of is bounded from below alone. `value` points into the history.
struct Register {
  bool present = false;
  bool exact = true;           // `revision` is the revision, else it is at least that
  std::uint64_t revision = 0;  // absent: the newest that the key ever had
  std::string_view value;      // absent: empty
  auto operator<=>(const Register&) const = default;
};

/// The register after `operation` took effect with the outcome that it has (Unknown: with success);
/// nothing if it cannot take effect on `before`, or would change nothing and its outcome is
/// Unknown.
std::optional<Register> after(const Register& before, const Operation& operation);

enum class Answer : std::uint8_t {
  Linearizable,
  Violated,
  GaveUp,  // the bound on configurations was reached: neither proven nor refuted, so not passed
};

struct Verdict {
  Answer answer = Answer::Linearizable;
  std::size_t prefix = 0;          // Violated: so many answers, in the order they came, suffice
  std::size_t configurations = 0;  // looked at
  std::string text;                // for people; empty if linearizable
};

/// A history of 200 operations by five clients takes some ten thousand, also if the outcome of
/// every tenth is unknown.
constexpr std::size_t kConfigurationsMax = 1'000'000;

/// Decides for the history of one key that begins absent, in any order of `history`; an answer must
/// not come before its question. Memory and time grow with the configurations looked at.
///
/// The search of Wing & Gong (Testing and Verifying Concurrent Objects, 1993) as just-in-time
/// linearization (Lowe, Testing for Linearizability, 2017, section 5): answers are gone through in
/// order, an operation takes effect only when an answer needs it, and configurations (what the
/// register holds, which open operations took effect) are kept once. Breadth first, so the first
/// answer that no configuration survives ends the smallest prefix that is wrong. Besides, of
/// unknown outcomes: a configuration that spent more of them for the same end is dropped; one takes
/// effect only right before an operation that could tell; of those that are alike the first goes
/// first.
Verdict check(const std::vector<Operation>& history,
              std::size_t configurations_max = kConfigurationsMax);

/// `c3 cas "b" if revision 4 → revision 5 (1.250 to 2.000 ms)`; times since `origin_ns`.
std::string to_string(const Operation& operation, std::int64_t origin_ns);

}  // namespace fettle::linearizability
