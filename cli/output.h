// Output: how answers look: a table for people, JSON or YAML for programs; colour only on a
// terminal.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace fettle::cli {

using nlohmann::ordered_json;

enum class Format { Table, Json, Yaml };

/// Prints `document` as JSON or YAML.
void print_document(Format format, const ordered_json& document);

/// Prints one of many, as they come: JSON on a line of its own, or a YAML document of a stream.
void print_item(Format format, const std::string& json);

/// Columns padded to their widest cell; the first row is the heading.
class Table {
 public:
  explicit Table(std::vector<std::string> heading);
  void row(std::vector<std::string> cells);
  void print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// `word` in the colour of its meaning: green for healthy, red for down, ….
std::string coloured(const std::string& word);
std::string bold(const std::string& text);

/// A value as a cell: text as it is, null as `-`.
std::string cell(const ordered_json& value);
/// An API time as `2026-01-01 00:00:00`, or `-`.
std::string time_cell(const ordered_json& value);

}  // namespace fettle::cli
