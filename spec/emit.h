// Emit: JSON → YAML, for people who like it better. Pure.
#pragma once

#include <string>

namespace fettle::spec {

/// The same document as block-style YAML; texts that would read as something else are quoted.
/// What this reader of YAML cannot take (a key of more than 1024 bytes) stays the JSON it is, which
/// is YAML too. `json` must be valid JSON.
std::string yaml_of_json(const std::string& json);

}  // namespace fettle::spec
