// SpecFiles: the YAML files that -f names, read for apply, diff and validate.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "core/model.h"

namespace fettle::cli {

/// Each path is a file, or a folder whose *.yaml and *.yml are taken by name.
Result<std::vector<core::SourceFile>> read_spec_files(const std::vector<std::string>& paths);

}  // namespace fettle::cli
