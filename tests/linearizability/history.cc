#include "tests/linearizability/history.h"

#include <map>
#include <nlohmann/json.hpp>

namespace fettle::linearizability {
namespace {

using nlohmann::json;

std::optional<std::uint64_t> revision_of(const json& object) {
  const auto found = object.find("revision");
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

bool says(const json& output, const char* word) {
  const auto found = output.find(word);
  return found != output.end() && *found == true;
}

Status take_input(const json& input, Operation& one) {
  if (one.kind == Kind::Read) return {};
  if (!input.is_object()) return fail(Code::Invalid, "'input' is not an object");
  const bool writes = one.kind == Kind::Write || one.kind == Kind::Cas;
  if (writes && !input.contains("value")) return fail(Code::Invalid, "'input' has no 'value'");
  if (writes) one.value = input["value"].dump();
  if (one.kind != Kind::Write) one.expected = revision_of(input);
  if (one.kind == Kind::Cas && !one.expected)
    return fail(Code::Invalid, "'input' of a cas has no 'revision'");
  return {};
}

/// The outcomes that an operation of this kind can have.
bool can_be(Kind kind, Outcome outcome) {
  if (outcome == Outcome::Absent) return kind != Kind::Write;
  if (outcome == Outcome::Mismatch) return kind == Kind::Cas || kind == Kind::Delete;
  return true;
}

Status take_output(const json& output, Operation& one) {
  if (!output.is_object()) return fail(Code::Invalid, "'output' is not an object");
  one.outcome = says(output, "absent")     ? Outcome::Absent
                : says(output, "mismatch") ? Outcome::Mismatch
                                           : Outcome::Done;
  if (!can_be(one.kind, one.outcome))
    return fail(Code::Invalid, "an 'output' that this 'op' cannot have");
  if (one.outcome != Outcome::Done) return {};
  one.revision = revision_of(output);
  if (one.kind == Kind::Read) {
    if (!output.contains("value")) return fail(Code::Invalid, "'output' has no 'value'");
    one.value = output["value"].dump();
  } else if (one.kind != Kind::Delete && !one.revision) {
    return fail(Code::Invalid, "'output' has no 'revision'");
  }
  return {};
}

Result<Line> parsed(const json& all) {
  static const std::map<std::string, Kind> kKinds{
      {"read", Kind::Read}, {"write", Kind::Write}, {"cas", Kind::Cas}, {"delete", Kind::Delete}};
  for (const char* name : {"client", "key", "op", "input", "output", "begin_ns", "end_ns"}) {
    if (!all.is_object() || !all.contains(name))
      return fail(Code::Invalid, std::string("'") + name + "' is missing");
  }
  if (!all["client"].is_string() || !all["key"].is_string() || !all["op"].is_string())
    return fail(Code::Invalid, "'client', 'key' and 'op' are texts");
  const auto kind = kKinds.find(all["op"].get<std::string>());
  if (kind == kKinds.end()) return fail(Code::Invalid, "'op' is read, write, cas or delete");
  const json &begin = all["begin_ns"], &end = all["end_ns"], &output = all["output"];
  if (!begin.is_number_integer() || !(end.is_number_integer() || end.is_null()))
    return fail(Code::Invalid, "'begin_ns' and 'end_ns' are numbers; 'end_ns' may be null");

  Line line{.key = all["key"].get<std::string>()};
  Operation& one = line.operation;
  one.client = all["client"].get<std::string>();
  one.kind = kind->second;
  one.begin_ns = begin.get<std::int64_t>();
  if (const Status input = take_input(all["input"], one); !input)
    return std::unexpected(input.error());
  if (end.is_null()) return line;
  one.end_ns = end.get<std::int64_t>();
  if (one.end_ns < one.begin_ns) return fail(Code::Invalid, "'end_ns' is before 'begin_ns'");
  line.failed = output.is_object() && output.contains("failed");
  if (line.failed) return line;
  if (const Status told = take_output(output, one); !told) return std::unexpected(told.error());
  return line;
}

}  // namespace

Result<Line> parse_line(std::string_view text) {
  const json all = json::parse(text, nullptr, false);
  if (all.is_discarded()) return fail(Code::Invalid, "no JSON");
  return parsed(all);
}

}  // namespace fettle::linearizability
