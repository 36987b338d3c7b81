// Parse: the files of a spec → core::Spec, every default filled in, or every error of every file.
// Touches no file: callers read them. Pure.
#pragma once

#include <optional>
#include <vector>

#include "core/kind.h"
#include "core/model.h"
#include "spec/diagnostic.h"
#include "spec/reader.h"

namespace fettle::spec {

struct Parsed {
  std::optional<core::Spec> spec;  // absent if there is any diagnostic
  std::vector<Diagnostic> diagnostics;
};

Parsed parse(const std::vector<core::SourceFile>& files, Strictness strictness);

/// The kinds that this version knows, by what they are.
const std::vector<core::KindSpec>& probe_kinds();
const std::vector<core::KindSpec>& action_kinds();
const std::vector<core::KindSpec>& director_kinds();
const std::vector<core::KindSpec>& receiver_kinds();

/// What a service's profile looks at when the spec gives no probes.
std::vector<core::ProbeSpec> profile_probes(const std::string& engine);

}  // namespace fettle::spec
