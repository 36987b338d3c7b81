#include "core/kv.h"

#include <algorithm>
#include <string>

#include "base/check.h"

namespace fettle::core {
namespace {

ClientAnswer refused(Code code, std::string text) {
  return {.ok = false, .code = code, .text = std::move(text)};
}

bool is_plain(char c) {
  constexpr std::string_view kOthers = "-_.~:@";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         kOthers.find(c) != std::string_view::npos;
}

bool is_part(std::string_view part) {
  return !part.empty() && part != "." && part != ".." && std::ranges::all_of(part, is_plain);
}

/// Why the change may not be made, if the caller expects another revision than the key has.
std::optional<ClientAnswer> mismatch(const std::string& key, std::uint64_t revision,
                                     std::optional<std::uint64_t> expect) {
  if (!expect || *expect == revision || FETTLE_MUTANT(core_kv_expect_ignored)) return std::nullopt;
  if (revision == 0) {
    return refused(Code::Conflict,
                   key + " does not exist; revision " + std::to_string(*expect) + " was expected");
  }
  return refused(Code::Conflict,
                 key + " is at revision " + std::to_string(revision) + "; " +
                     (*expect == 0 ? "it was expected not to exist"
                                   : "revision " + std::to_string(*expect) + " was expected"));
}

}  // namespace

Status check_kv_key(std::string_view key) {
  bool good = !key.empty() && key.size() <= kKvKeyBytesMax;
  for (std::size_t at = 0; good && at <= key.size();) {
    const std::size_t slash = std::min(key.find('/', at), key.size());
    good = is_part(key.substr(at, slash - at));
    at = slash + 1;
  }
  if (good) return {};
  return fail(Code::Invalid, "a key is 1 to " + std::to_string(kKvKeyBytesMax) +
                                 " bytes: letters, digits and -_.~:@ in parts divided by /");
}

ClientAnswer kv_put(Applying& ap, const command::KvPut& command) {
  if (const Status good = check_kv_key(command.key); !good) {
    return refused(good.error().code, good.error().what);
  }
  if (command.value.size() > kKvValueBytesMax) {
    return refused(Code::Invalid,
                   "a value is at most " + std::to_string(kKvValueBytesMax) + " bytes");
  }
  KvStore& kv = ap.state.kv;
  const auto found = kv.values.find(command.key);
  const bool known = found != kv.values.end();
  if (auto no = mismatch(command.key, known ? found->second.revision : 0, command.expect)) {
    return *no;
  }
  if (!known && kv.values.size() >= kKvKeysMax) {
    return refused(Code::Refused,
                   "the store is full: it holds " + std::to_string(kKvKeysMax) + " keys");
  }
  const std::size_t gone = known ? command.key.size() + found->second.value.size() : 0;
  const std::size_t bytes = kv.bytes - gone + command.key.size() + command.value.size();
  if (bytes > kKvBytesMax) {
    return refused(Code::Refused, "the store is full: keys and values are at most " +
                                      std::to_string(kKvBytesMax) + " bytes");
  }
  kv.bytes = bytes;
  ++kv.revision;
  kv.values.insert_or_assign(command.key, KvValue{command.value, kv.revision});
  ap.effects.emplace_back(effect::KvChanged{command.key, kv.revision, command.value});
  return {.text = "revision " + std::to_string(kv.revision), .number = kv.revision};
}

ClientAnswer kv_delete(Applying& ap, const command::KvDelete& command) {
  if (const Status good = check_kv_key(command.key); !good) {
    return refused(good.error().code, good.error().what);
  }
  KvStore& kv = ap.state.kv;
  const auto found = kv.values.find(command.key);
  const bool known = found != kv.values.end();
  if (auto no = mismatch(command.key, known ? found->second.revision : 0, command.expect)) {
    return *no;
  }
  if (!known) return refused(Code::NotFound, "no key " + command.key);
  kv.bytes -= command.key.size() + found->second.value.size();
  kv.values.erase(found);
  if (!FETTLE_MUTANT(core_kv_delete_keeps_revision)) ++kv.revision;
  ap.effects.emplace_back(effect::KvChanged{command.key, kv.revision, std::nullopt});
  return {.text = "revision " + std::to_string(kv.revision), .number = kv.revision};
}

}  // namespace fettle::core
