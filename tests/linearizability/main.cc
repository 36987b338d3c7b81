// fettle-linearizability: reads a history as JSON lines (docs/nemesis.md), judges it key by key.
// Exit codes: 0 linearizable, 1 not, or not decided within the bound, 2 bad usage or no history.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/linearizability/history.h"

namespace fettle::linearizability {
namespace {

struct Options {
  std::string file = "-";
  std::string output;
  std::size_t configurations_max = kConfigurationsMax;
};

struct Summary {
  std::size_t operations = 0, unknown = 0, failed = 0, keys = 0, gave_up = 0;
  std::size_t configurations_max = 0;  // of one key
  std::map<std::string, Verdict> wrong;
};

using Histories = std::map<std::string, std::vector<Operation>>;

/// False: a line is not good, and was named on stderr.
bool read_all(std::istream& in, const std::string& name, Histories& histories, Summary& summary) {
  std::size_t number = 0;
  for (std::string text; std::getline(in, text);) {
    ++number;
    if (text.empty()) continue;
    Result<Line> line = parse_line(text);
    if (!line) {
      std::fprintf(stderr, "%s:%zu: %s\n", name.c_str(), number, line.error().what.c_str());
      return false;
    }
    if (line->failed) {
      ++summary.failed;
      continue;
    }
    ++summary.operations;
    summary.unknown += line->operation.outcome == Outcome::Unknown ? 1U : 0U;
    histories[line->key].push_back(std::move(line->operation));
  }
  return true;
}

void judge(const Histories& histories, std::size_t configurations_max, Summary& summary) {
  summary.keys = histories.size();
  for (const auto& [key, history] : histories) {
    Verdict verdict = check(history, configurations_max);
    summary.configurations_max = std::max(summary.configurations_max, verdict.configurations);
    if (verdict.answer == Answer::Linearizable) continue;
    summary.gave_up += verdict.answer == Answer::GaveUp ? 1U : 0U;
    summary.wrong.emplace(key, std::move(verdict));
  }
}

void print(const Summary& summary) {
  for (const auto& [key, verdict] : summary.wrong)
    std::printf("key %s: %s\n", key.c_str(), verdict.text.c_str());
  std::printf(
      "%zu operations (%zu of unknown outcome) on %zu keys: %zu not linearizable, %zu not "
      "decided\n",
      summary.operations, summary.unknown, summary.keys, summary.wrong.size() - summary.gave_up,
      summary.gave_up);
}

void print_json(const Summary& summary) {
  nlohmann::json wrong = nlohmann::json::array();
  for (const auto& [key, verdict] : summary.wrong) {
    wrong.push_back({{"key", key},
                     {"answer", verdict.answer == Answer::GaveUp ? "gave_up" : "violated"},
                     {"text", verdict.text}});
  }
  const nlohmann::json out{{"ok", summary.wrong.empty()},
                           {"keys", summary.keys},
                           {"operations", summary.operations},
                           {"unknown", summary.unknown},
                           {"failed", summary.failed},
                           {"configurations_max", summary.configurations_max},
                           {"violations", summary.wrong.size() - summary.gave_up},
                           {"gave_up", summary.gave_up},
                           {"wrong", wrong}};
  // A value may have been cut within a character.
  std::printf("%s\n", out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

int run(int argc, char** argv) {
  Options order;
  CLI::App app{"Is this history of keys linearizable?", "fettle-linearizability"};
  app.add_option("FILE", order.file, "JSON lines; -: standard input");
  app.add_option("--output", order.output, "json")->check(CLI::IsMember({"json"}));
  app.add_option("--configurations-max", order.configurations_max, "a key, before it gives up");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  Summary summary;
  Histories histories;
  std::ifstream file;
  if (order.file != "-") file.open(order.file);
  if (!file) {
    std::fprintf(stderr, "%s: cannot be read\n", order.file.c_str());
    return 2;
  }
  if (!read_all(order.file == "-" ? std::cin : file, order.file, histories, summary)) return 2;
  judge(histories, order.configurations_max, summary);
  order.output == "json" ? print_json(summary) : print(summary);
  return summary.wrong.empty() ? 0 : 1;
}

}  // namespace
}  // namespace fettle::linearizability

int main(int argc, char** argv) { return fettle::linearizability::run(argc, argv); }
