// Files, for start-up and the CLI: whole reads with a bound, atomic writes, simple globs. They
// block: never call them on a running loop.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fettle::io {

/// The whole file, refused if it is larger than `bytes_max`.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);
/// Writes beside `path`, fsyncs and renames over it.
Status write_file_atomic(const std::string& path, std::string_view bytes, mode_t mode);
/// The paths that match, sorted; `*` and `?` in the last part only. A path without them is itself.
std::vector<std::string> glob(const std::string& pattern);

}  // namespace fettle::io
