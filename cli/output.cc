#include "cli/output.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "spec/emit.h"

namespace fettle::cli {
namespace {

bool on_terminal() {
  static const bool yes = isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  return yes;
}

/// How many columns it takes: no escape sequences, a UTF-8 character as one.
std::size_t width(const std::string& text) {
  std::size_t columns = 0;
  bool escape = false;
  for (const char c : text) {
    if (c == '\033') escape = true;
    constexpr unsigned kContinuation = 0x80;
    constexpr unsigned kTopBits = 0xc0;
    const bool continues = (static_cast<unsigned char>(c) & kTopBits) == kContinuation;
    if (!escape && !continues) ++columns;
    if (escape && c == 'm') escape = false;
  }
  return columns;
}

}  // namespace

void print_document(Format format, const ordered_json& document) {
  // A file's name may be no UTF-8; what is not is shown as U+FFFD, not thrown about.
  constexpr auto kReplace = ordered_json::error_handler_t::replace;
  const std::string text = format == Format::Yaml
                               ? spec::yaml_of_json(document.dump(-1, ' ', false, kReplace))
                               : document.dump(2, ' ', false, kReplace);
  std::printf("%s\n", text.c_str());
}

void print_item(Format format, const std::string& json) {
  if (format == Format::Yaml) {
    std::printf("---\n%s\n", spec::yaml_of_json(json).c_str());
  } else {
    std::printf("%s\n", json.c_str());
  }
  std::fflush(stdout);
}

Table::Table(std::vector<std::string> heading) { rows_.push_back(std::move(heading)); }

void Table::row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

void Table::print() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    std::string line;
    for (std::size_t i = 0; i < rows_[r].size(); ++i) {
      line += rows_[r][i];
      if (i + 1 < rows_[r].size()) line.append(widths[i] - width(rows_[r][i]) + 2, ' ');
    }
    while (line.ends_with(' ')) line.pop_back();
    std::printf("%s\n", r == 0 ? bold(line).c_str() : line.c_str());
  }
}

std::string bold(const std::string& text) {
  return on_terminal() ? "\033[1m" + text + "\033[0m" : text;
}

std::string coloured(const std::string& word) {
  static const std::map<std::string, int> colours{
      {"healthy", 32}, {"in_service", 32},  {"succeeded", 32}, {"leader", 32},   {"degraded", 33},
      {"running", 33}, {"waiting", 33},     {"draining", 33},  {"down", 31},     {"isolated", 31},
      {"failed", 31},  {"unreachable", 31}, {"unknown", 90},   {"cancelled", 90}};
  const auto found = colours.find(word);
  if (!on_terminal() || found == colours.end()) return word;
  return "\033[" + std::to_string(found->second) + "m" + word + "\033[0m";
}

std::string cell(const ordered_json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    return text.empty() ? "-" : text;
  }
  return value.dump();
}

std::string time_cell(const ordered_json& value) {
  constexpr std::size_t kDay = 10;
  constexpr std::size_t kSecond = 19;
  if (!value.is_string()) return "-";
  std::string text = value.get<std::string>().substr(0, kSecond);
  if (text.size() > kDay) text[kDay] = ' ';
  return text;
}

}  // namespace fettle::cli
