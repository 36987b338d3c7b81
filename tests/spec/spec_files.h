// What the stories of the YAML language share: the files they read, and short ways to parse.
#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "spec/member_file.h"
#include "spec/parse.h"

namespace fettle::spec {

inline const std::string kTestFolder = FETTLE_SOURCE_DIR "/tests/spec/";

inline std::string read_whole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// tests/spec/data/NAME, named NAME.
inline core::SourceFile data_file(const std::string& name) {
  return {name, read_whole(kTestFolder + "data/" + name)};
}

inline Parsed parse_text(const std::string& text, Strictness strictness = Strictness::Apply) {
  return parse({{"a.yaml", text}}, strictness);
}

/// All diagnostics, one a line.
inline std::string told(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& one : diagnostics) text += to_string(one) + "\n";
  return text;
}

}  // namespace fettle::spec
