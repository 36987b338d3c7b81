// Stories of the scrape's text: the format's own rules, and that the documentation tells of every
// family and of no other.
#include "api/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "api/exposition.h"
#include "tests/api/example_state.h"

namespace fettle::api {
namespace {

using std::chrono::milliseconds;

/// Everything has a value, so that every family has a series.
Metrics example_metrics() {
  Metrics metrics{.version = "0.1.0"};
  metrics.group.cluster = "llm-prod";
  metrics.group.self = "gpu1";
  metrics.group.state = state_metrics(example_state());
  metrics.group.peers = {{"gpu2", true, 0.5}, {"gpu3", false, std::nullopt}};
  metrics.group.raft.term = 7;
  metrics.work.looks.kinds["tcp"].count(core::Outcome::Pass, milliseconds(3));
  metrics.work.looks.kinds["http"].count(core::Outcome::Refused, milliseconds(1));
  metrics.process = io::ProcessUsage{.cpu_seconds = 1.5, .start_time = 1767225600.25};
  return metrics;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool has_line(const std::string& text, const std::string& line) {
  const auto lines = lines_of(text);
  return std::ranges::find(lines, line) != lines.end();
}

struct Family {
  std::string type;
  std::set<std::string> labels;
  friend bool operator==(const Family&, const Family&) = default;
};

/// The family of a series: a histogram's series have a suffix.
std::string family_of(std::string name, const std::map<std::string, Family>& families) {
  for (const char* suffix : {"_bucket", "_sum", "_count"}) {
    const std::string_view end(suffix);
    if (!families.contains(name) && name.ends_with(end)) name.resize(name.size() - end.size());
  }
  return name;
}

/// The families that a text tells, with the labels of their series (`le` apart).
std::map<std::string, Family> families_in(const std::string& text) {
  std::map<std::string, Family> families;
  for (const std::string& line : lines_of(text)) {
    std::istringstream words(line);
    std::string mark;
    std::string name;
    if (line.starts_with("# TYPE ")) {
      std::string what;
      Family family;
      words >> mark >> what >> name >> family.type;
      EXPECT_TRUE(families.emplace(name, family).second) << name << " is told twice";
    } else if (!line.starts_with("#")) {
      const std::string series = line.substr(0, line.find(' '));
      const std::size_t open = series.find('{');
      Family& family = families[family_of(series.substr(0, open), families)];
      for (std::size_t at = open; at < series.size();) {
        const std::size_t equals = series.find('=', at);
        if (equals == std::string::npos) break;
        const std::string label = series.substr(at + 1, equals - at - 1);
        if (label != "le") family.labels.insert(label);
        at = series.find(',', equals);
      }
    }
  }
  return families;
}

std::vector<std::string> cells_of(const std::string& row) {
  std::vector<std::string> cells;
  std::istringstream in(row.substr(1));
  for (std::string cell; std::getline(in, cell, '|');) cells.push_back(cell);
  return cells;
}

/// What stands between backticks.
std::vector<std::string> quoted_in(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t at = text.find('`'); at != std::string::npos;) {
    const std::size_t end = text.find('`', at + 1);
    words.push_back(text.substr(at + 1, end - at - 1));
    at = text.find('`', end + 1);
  }
  return words;
}

std::map<std::string, Family> families_of_the_documentation() {
  std::ifstream in(std::string(FETTLE_SOURCE_DIR) + "/docs/metrics.md");
  std::map<std::string, Family> families;
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("| `")) continue;
    const auto cells = cells_of(line);
    Family family;
    std::istringstream(cells.at(1)) >> family.type;
    for (const std::string& label : quoted_in(cells.at(2))) family.labels.insert(label);
    families[quoted_in(cells.at(0)).at(0)] = family;
  }
  return families;
}

TEST(Metrics, TheDocumentationTellsOfEveryFamilyWithItsTypeAndLabelsAndOfNoOther) {
  const auto told = families_in(metrics_text(example_metrics()));
  const auto documented = families_of_the_documentation();
  ASSERT_FALSE(documented.empty());
  for (const auto& [name, family] : told) {
    ASSERT_TRUE(documented.contains(name)) << name << " is not in docs/metrics.md";
    EXPECT_EQ(documented.at(name).type, family.type) << name;
    EXPECT_EQ(documented.at(name).labels, family.labels) << name;
  }
  for (const auto& [name, family] : documented) {
    EXPECT_TRUE(told.contains(name)) << name << " is documented, and nobody tells it";
  }
}

TEST(Metrics, EveryFamilyHasOneHelpThenOneTypeThenItsSeries) {
  std::string last;
  std::string helped;
  const std::string text = metrics_text(example_metrics());
  const auto families = families_in(text);
  for (const std::string& line : lines_of(text)) {
    std::istringstream words(line);
    std::string mark;
    std::string what;
    std::string name;
    words >> mark >> what >> name;
    if (what == "HELP") {
      helped = name;
    } else if (what == "TYPE") {
      EXPECT_EQ(name, helped);
      last = name;
    } else {
      EXPECT_EQ(family_of(line.substr(0, line.find_first_of("{ ")), families), last) << line;
    }
  }
}

TEST(Metrics, TheSameNumbersGiveTheSameText) {
  EXPECT_EQ(metrics_text(example_metrics()), metrics_text(example_metrics()));
}

TEST(Metrics, AStateIsOneSeriesForEachWord) {
  const std::string text = metrics_text(example_metrics());
  const std::string node = R"({service="chat",node="chat-a",)";
  EXPECT_TRUE(has_line(text, "fettle_node_verdict" + node + R"(verdict="down"} 1)"));
  EXPECT_TRUE(has_line(text, "fettle_node_verdict" + node + R"(verdict="healthy"} 0)"));
  EXPECT_TRUE(has_line(text, "fettle_node_admin" + node + R"(admin="isolated"} 1)"));
  EXPECT_TRUE(has_line(text, R"(fettle_service_nodes{service="chat"} 2)"));
  EXPECT_TRUE(has_line(text, R"(fettle_service_nodes_healthy{service="chat"} 1)"));
  EXPECT_TRUE(has_line(text, "fettle_incidents_open 1"));
  EXPECT_TRUE(has_line(text, R"(fettle_runs_open{mode="enforce"} 1)"));
  EXPECT_TRUE(has_line(text, "fettle_spec_revision 3"));
  EXPECT_TRUE(has_line(text, R"(fettle_probe_looks_total{kind="http",outcome="refused"} 1)"));
  EXPECT_TRUE(has_line(text, R"(fettle_peer_rtt_seconds{peer="gpu2"} 5e-04)"));
  EXPECT_TRUE(has_line(text, "process_start_time_seconds 1767225600.25"));
}

TEST(Metrics, AFreezeOfOneServiceIsNotAFreezeOfAll) {
  core::State state = example_state();
  state.freezes = {{.service = "chat"}};
  EXPECT_FALSE(state_metrics(state).frozen);
  EXPECT_TRUE(state_metrics(state).services.at(0).frozen);
  state.freezes = {{.service = ""}};
  EXPECT_TRUE(state_metrics(state).frozen);
  EXPECT_TRUE(state_metrics(state).services.at(0).frozen);
}

TEST(Exposition, LabelsAndHelpAreEscaped) {
  Exposition out;
  out.family("x", Exposition::Type::Gauge, "a \\ and a\nline, \"quoted\"");
  out.add({{"name", "a\"b\\c\nd"}}, 1U);
  EXPECT_EQ(out.text(),
            "# HELP x a \\\\ and a\\nline, \"quoted\"\n"
            "# TYPE x gauge\n"
            "x{name=\"a\\\"b\\\\c\\nd\"} 1\n");
}

TEST(Exposition, AHistogramIsCumulativeAndInSeconds) {
  const std::array<core::Duration, 2> bounds{milliseconds(10), milliseconds(100)};
  core::Histogram histogram(bounds);
  for (const int ms : {1, 10, 11, 5000}) histogram.observe(milliseconds(ms));
  Exposition out;
  out.family("x_seconds", Exposition::Type::Histogram, "X.");
  out.add({{"kind", "tcp"}}, histogram);
  EXPECT_EQ(out.text(),
            "# HELP x_seconds X.\n# TYPE x_seconds histogram\n"
            "x_seconds_bucket{kind=\"tcp\",le=\"0.01\"} 2\n"
            "x_seconds_bucket{kind=\"tcp\",le=\"0.1\"} 3\n"
            "x_seconds_bucket{kind=\"tcp\",le=\"+Inf\"} 4\n"
            "x_seconds_sum{kind=\"tcp\"} 5.022\n"
            "x_seconds_count{kind=\"tcp\"} 4\n");
}

}  // namespace
}  // namespace fettle::api
