// Errors are values: Result<T> is std::expected<T, Error>. Nothing of ours throws.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace fettle {

/// What the caller can do about an error; the text says the object and the number.
enum class Code : std::uint8_t {
  Invalid,      // bad input: fix it, nothing changed
  NotFound,     // no such thing
  Conflict,     // the state moved or forbids it
  Timeout,      // no answer in time; the outcome may be unknown
  Refused,      // connection refused, or an act refused by a rule
  Unreachable,  // no route, reset, name not resolved
  NotLeader,    // ask the leader
  Busy,         // a bound was reached; try again later
  Cancelled,    // the caller, or a person, took it back
  Corrupt,      // bytes that cannot be ours
  Io,           // the system said no
  InDoubt,      // may or may not have happened; ask again with the same key
};

constexpr Code enum_last(Code) { return Code::InDoubt; }

/// The field's short name of a code, as the API shows it (`in_doubt`, `not_leader`).
constexpr std::string_view to_string(Code code) {
  switch (code) {
    case Code::Invalid:
      return "invalid";
    case Code::NotFound:
      return "not_found";
    case Code::Conflict:
      return "conflict";
    case Code::Timeout:
      return "timeout";
    case Code::Refused:
      return "refused";
    case Code::Unreachable:
      return "unreachable";
    case Code::NotLeader:
      return "not_leader";
    case Code::Busy:
      return "busy";
    case Code::Cancelled:
      return "cancelled";
    case Code::Corrupt:
      return "corrupt";
    case Code::Io:
      return "io";
    case Code::InDoubt:
      return "in_doubt";
  }
  return "unknown";
}

struct Error {
  Code code = Code::Invalid;
  std::string what;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

/// Builds the error side of any Result: `return fail(Code::Io, "write group.db: disk full");`
inline std::unexpected<Error> fail(Code code, std::string what) {
  return std::unexpected(Error{code, std::move(what)});
}

}  // namespace fettle

#define FETTLE_CONCAT_(a, b) a##b
#define FETTLE_CONCAT(a, b) FETTLE_CONCAT_(a, b)
/// Evaluates a Result; on error returns it from this function, else binds the value to `name`.
// NOLINTNEXTLINE(bugprone-macro-parentheses): `name` is a declaration
#define FETTLE_TRY(name, expression)                                             \
  auto FETTLE_CONCAT(result_, __LINE__) = (expression);                          \
  if (!FETTLE_CONCAT(result_, __LINE__)) {                                       \
    return std::unexpected(std::move(FETTLE_CONCAT(result_, __LINE__)).error()); \
  }                                                                              \
  name = *std::move(FETTLE_CONCAT(result_, __LINE__))
/// The same for a Status: no value to bind.
#define FETTLE_CHECK(expression)                                \
  do {                                                          \
    if (auto fettle_status = (expression); !fettle_status) {    \
      return std::unexpected(std::move(fettle_status).error()); \
    }                                                           \
  } while (false)
