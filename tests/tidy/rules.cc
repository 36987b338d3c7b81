#include "tidy/rules.h"

#include <algorithm>
#include <sstream>
#include <string_view>

namespace fettle::tidy {
namespace {

constexpr std::size_t kLinesMax = 500;
constexpr std::size_t kColumnsMax = 100;

std::string folder_of(const std::string& path) { return path.substr(0, path.find('/')); }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string at(const File& file, std::size_t line, const std::string& what) {
  return file.path + ":" + std::to_string(line + 1) + ": " + what;
}

/// The text between the marks of an #include line; empty: none.
std::string included(const std::string& line, char open, char close) {
  if (!line.starts_with("#include")) return "";
  const std::size_t from = line.find(open);
  const std::size_t to = line.find(close, from + 1);
  return from == std::string::npos || to == std::string::npos
             ? ""
             : line.substr(from + 1, to - from - 1);
}

/// Columns as a person sees them: a UTF-8 character counts once.
std::size_t columns(const std::string& line) {
  return static_cast<std::size_t>(std::ranges::count_if(
      line, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

}  // namespace

Arrows arrows_of(const std::string& architecture) {
  Arrows arrows;
  for (const std::string& line : lines_of(architecture)) {
    if (!line.starts_with("| `")) continue;
    const std::size_t slash = line.find("/`");
    const std::size_t last = line.rfind('|', line.size() - 2);
    if (slash == std::string::npos) continue;
    const std::string folder = line.substr(3, slash - 3);
    std::set<std::string>& may = arrows[folder];
    std::istringstream words(line.substr(last + 1));
    for (std::string word; words >> word;) {
      while (!word.empty() && (word.back() == ',' || word.back() == '|')) word.pop_back();
      if (!word.empty()) may.insert(word);
    }
  }
  return arrows;
}

Findings check_includes(const File& file, const Arrows& arrows) {
  Findings wrong;
  const std::string folder = folder_of(file.path);
  const auto known = arrows.find(folder);
  if (known == arrows.end()) return {file.path + ": the folder is not in the table"};
  const bool all = known->second.contains("all");
  const auto lines = lines_of(file.text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string header = included(lines[i], '"', '"');
    if (header.empty() || header.find('/') == std::string::npos) continue;
    const std::string other = folder_of(header);
    const bool of_kinds = folder == "spec" && header.ends_with("/kinds.inc");
    const bool fine =
        other == folder || other == "base" || all || of_kinds || known->second.contains(other);
    if (!fine) wrong.push_back(at(file, i, folder + " must not include " + header));
  }
  return wrong;
}

Findings check_foreign_headers(const File& file) {
  static const std::map<std::string, std::set<std::string>> kHomes{
      {"uv.h", {"io"}},
      {"sqlite3.h", {"store"}},
      {"yaml-cpp/", {"spec"}},
      {"libwebsockets.h", {"api"}},
      {"curl/", {"io"}},
      {"llhttp.h", {"io"}},
      {"systemd/", {"io"}},
      {"spdlog/", {"daemon"}},
      {"CLI/", {"cli", "daemon", "bench"}},
      {"openssl/", {"io", "alerts", "daemon"}},
      {"nlohmann/", {"api", "cli", "bench"}},
      {"nghttp2/", {"bench"}}};
  Findings wrong;
  const auto lines = lines_of(file.text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string header = included(lines[i], '<', '>');
    for (const auto& [prefix, homes] : kHomes) {
      if (header.starts_with(prefix) && !homes.contains(folder_of(file.path))) {
        wrong.push_back(at(file, i, "<" + header + "> does not belong here"));
      }
    }
  }
  return wrong;
}

Findings check_pure(const File& file) {
  static const std::set<std::string> kPure{"base", "core", "raft"};
  if (!kPure.contains(folder_of(file.path))) return {};
  static const std::set<std::string> kHeaders{
      "thread",       "mutex",   "atomic",     "condition_variable",
      "future",       "fstream", "iostream",   "random",
      "ctime",        "time.h",  "unistd.h",   "filesystem",
      "sys/socket.h", "fcntl.h", "sys/time.h", "signal.h",
      "csignal"};
  static const std::vector<std::string> kCalls{"::now()",       "random_device", "getenv(",
                                               "fopen(",        "rand()",        "gettimeofday",
                                               "clock_gettime", "std::hash",     "setlocale"};
  Findings wrong;
  const auto lines = lines_of(file.text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (kHeaders.contains(included(lines[i], '<', '>')))
      wrong.push_back(at(file, i, "not pure: " + lines[i]));
    const std::string code = lines[i].substr(0, lines[i].find("//"));
    for (const std::string& call : kCalls) {
      if (code.find(call) != std::string::npos) wrong.push_back(at(file, i, "not pure: " + call));
    }
  }
  return wrong;
}

Findings check_header(const File& file) {
  if (!file.path.ends_with(".h")) return {};
  Findings wrong;
  if (!file.text.starts_with("// "))
    wrong.push_back(file.path + ": a header says first what it is");
  if (file.text.find("#pragma once\n") == std::string::npos)
    wrong.push_back(file.path + ": no #pragma once");
  return wrong;
}

Findings check_size(const File& file) {
  Findings wrong;
  const auto lines = lines_of(file.text);
  if (lines.size() > kLinesMax) {
    wrong.push_back(file.path + ": " + std::to_string(lines.size()) + " lines, more than 500");
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (columns(lines[i]) > kColumnsMax) wrong.push_back(at(file, i, "longer than 100 columns"));
  }
  return wrong;
}

Findings check_words(const File& file) {
  // Written in halves, so that this file holds none of them.
  static const std::vector<std::string> kBanned{
      "TO"
      "DO",
      "FIX"
      "ME",
      "/wo"
      "rk/",
      "/ho"
      "me/",
      "sh"
      "ared/DESIGN",
      "sh"
      "ared/CONTRACT"};
  Findings wrong;
  const auto lines = lines_of(file.text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    for (const std::string& word : kBanned) {
      if (lines[i].find(word) != std::string::npos) wrong.push_back(at(file, i, "holds " + word));
    }
  }
  return wrong;
}

}  // namespace fettle::tidy
