#include "core/codec.h"

#include "base/check.h"

namespace fettle::core {

std::string encode_entry(const LogEntry& entry) { return encode(entry); }

Result<LogEntry> decode_entry(std::string_view bytes, std::uint32_t supported) {
  Reader head(bytes);  // what follows the level may be of a kind that this version does not know
  std::uint32_t level = 0;
  head(level);
  if (head.ok() && level > supported && !FETTLE_MUTANT(core_level_beyond_applied)) {
    return fail(Code::Refused, beyond_level(level, supported));
  }
  return decode<LogEntry>(bytes);
}

std::string beyond_level(std::uint32_t level, std::uint32_t supported) {
  return "an entry needs engine level " + std::to_string(level) + "; this version supports up to " +
         std::to_string(supported);
}

}  // namespace fettle::core
