// Kv: the replicated key-value store of the API's /v1/kv. Each change takes the next revision of
// the whole store; a key's revision is the store's at its last change, so a revision names one
// change and a watcher can go on after it. Values are canonical JSON text: api/ makes and reads it,
// the engine parses none. One step of apply().
#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.h"
#include "core/applying.h"
#include "core/command.h"

namespace fettle::core {

inline constexpr std::size_t kKvKeyBytesMax = 512;
inline constexpr std::size_t kKvValueBytesMax = 256U * 1024;
inline constexpr std::size_t kKvKeysMax = 65'536;
/// Keys and values together: the store is part of every snapshot.
inline constexpr std::size_t kKvBytesMax = 16U * 1024 * 1024;

/// Invalid unless `key` is 1 to kKvKeyBytesMax bytes of letters, digits and `-_.~:@`, in parts
/// divided by single slashes, none of them `.` or `..` (what every HTTP client leaves as it is).
Status check_kv_key(std::string_view key);

/// Answers the change's revision. Conflict: `expect` does not hold. Refused: a bound of the store.
ClientAnswer kv_put(Applying& ap, const command::KvPut& command);
/// Answers the change's revision. NotFound: there is no such key. Conflict: `expect` does not hold.
ClientAnswer kv_delete(Applying& ap, const command::KvDelete& command);

}  // namespace fettle::core
