#include "core/fields.h"

#include <algorithm>

namespace fettle::core {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

bool is_dotted_name(std::string_view name) {
  bool at_start = true;
  for (const char c : name) {
    if (at_start && !is_letter(c)) return false;
    if (!is_letter(c) && !(c >= '0' && c <= '9') && c != '.') return false;
    at_start = c == '.';
  }
  return !at_start;
}

FieldUse read_use(std::string_view text, std::size_t offset) {
  const std::size_t begin = offset + 2;
  const std::size_t end = text.find('}', begin);
  if (end == std::string_view::npos) {
    return {std::string(text.substr(begin)), offset, text.size() - offset,
            "a field reference is not closed: expected `}`"};
  }
  FieldUse use{std::string(text.substr(begin, end - begin)), offset, end + 1 - offset, ""};
  if (!is_dotted_name(use.name)) {
    use.problem = "`${" + use.name + "}` is not a field reference: expected names with dots, " +
                  "like `${node.name}`";
  }
  return use;
}

/// Walks `text` once: plain pieces go to `plain`, references to `reference`.
template <typename Plain, typename Reference>
void walk(std::string_view text, Plain plain, Reference reference) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t dollar = std::min(text.find('$', at), text.size());
    plain(text.substr(at, dollar - at));
    at = dollar;
    if (at == text.size()) return;
    const char after = at + 1 < text.size() ? text[at + 1] : '\0';
    if (after == '{') {
      const FieldUse use = read_use(text, at);
      at += use.size;
      reference(use);
    } else {
      plain("$");
      at += after == '$' ? 2 : 1;
    }
  }
}

}  // namespace

std::vector<FieldUse> uses(std::string_view text) {
  std::vector<FieldUse> found;
  walk(text, [](std::string_view) {}, [&](const FieldUse& use) { found.push_back(use); });
  return found;
}

Result<std::string> substitute(std::string_view text,
                               const std::map<std::string, std::string>& bound) {
  std::string filled;
  Status status;
  const auto fill = [&](const FieldUse& use) {
    if (!status) return;
    const auto value = bound.find(use.name);
    if (!use.problem.empty()) {
      status = fail(Code::Invalid, use.problem);
    } else if (value == bound.end()) {
      status = fail(Code::NotFound, "there is no field `" + use.name + "`");
    } else {
      filled += value->second;
    }
  };
  walk(text, [&](std::string_view piece) { filled += piece; }, fill);
  FETTLE_CHECK(status);
  return filled;
}

}  // namespace fettle::core
