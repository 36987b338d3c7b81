#include "spec/emit.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>

namespace fettle::spec {
namespace {

/// JSON's texts come quoted; those that no YAML reader takes for a number, a flag or markup go
/// plain.
bool plain(const std::string& text) {
  const auto harmless = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '/' || c == ' ' || c == ',' || c == '(' || c == ')';
  };
  if (text.empty() || !std::ranges::all_of(text, harmless) || text.back() == ' ') return false;
  if (!((text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z') ||
        text[0] == '/')) {
    return false;
  }
  constexpr std::array kWords{"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
  std::string lower = text;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return std::ranges::find(kWords, lower) == kWords.end();
}

void emit(YAML::Emitter& out, const YAML::Node& node) {
  if (node.IsMap()) {
    out << (node.size() == 0 ? YAML::Flow : YAML::Block) << YAML::BeginMap;
    for (const auto& entry : node) {
      out << YAML::Key << entry.first.Scalar() << YAML::Value;
      emit(out, entry.second);
    }
    out << YAML::EndMap;
  } else if (node.IsSequence()) {
    out << (node.size() == 0 ? YAML::Flow : YAML::Block) << YAML::BeginSeq;
    for (const auto& item : node) emit(out, item);
    out << YAML::EndSeq;
  } else if (node.IsNull()) {
    out << YAML::Null;
  } else if (node.Tag() == "!" && !plain(node.Scalar())) {
    out << YAML::DoubleQuoted << node.Scalar();
  } else {
    out << node.Scalar();
  }
}

}  // namespace

std::string yaml_of_json(const std::string& json) {
  try {
    YAML::Emitter out;
    emit(out, YAML::Load(json));
    // The one control character that the emitter leaves as it is; such a text is always quoted.
    std::string text;
    for (const char* c = out.c_str(); *c != 0; ++c) {
      if (*c == '\x7f') {
        text += "\\x7F";
      } else {
        text += *c;
      }
    }
    return text;
  } catch (const YAML::Exception&) {
    return json;
  }
}

}  // namespace fettle::spec
