#include "core/codec.h"

namespace fettle::core {

std::string encode_entry(const LogEntry& entry) { return encode(entry); }

Result<LogEntry> decode_entry(std::string_view bytes) { return decode<LogEntry>(bytes); }

}  // namespace fettle::core
