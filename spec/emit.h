// Emit: JSON → YAML, for people who like it better. Pure.
#pragma once

#include <string>

namespace fettle::spec {

/// The same document as block-style YAML; texts that would read as something else are quoted.
/// `json` must be valid JSON.
std::string yaml_of_json(const std::string& json);

}  // namespace fettle::spec
