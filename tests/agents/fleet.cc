// A fleet of agents in one process, for `./dev bench agents`: the agents' own code as fettled runs
// it (links, mutual TLS over loopback, frames), many times on one loop. In the place of each
// agent's probes stands an observer to whom every node looks healthy; it tells its whole table as
// often as fettled's does. Prints a line of JSON whenever what it counts has changed.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "daemon/agent.h"
#include "daemon/log.h"
#include "daemon/observer.h"
#include "io/service.h"
#include "spec/reader.h"

namespace {

using fettle::core::Duration;
using fettle::daemon::Agent;
namespace core = fettle::core;
namespace daemon = fettle::daemon;
namespace io = fettle::io;

struct Options {
  std::size_t agents = 0;
  std::string tls;  // the folder of `fettle init tls`
  std::string cluster;
  std::vector<std::string> voters;  // NAME=HOST:PORT
};

/// One agent and what stands for its probes.
class Member {
 public:
  Member(io::Loop& loop, daemon::AgentConfig config, std::shared_ptr<io::TlsContext> tls,
         Duration first_table)
      : teller_(loop),
        agent_(loop, loop, std::move(config), std::move(tls),
               {.watches = [this](const std::vector<core::Watch>& watches,
                                  const std::vector<core::DirectorWatch>&) { watch(watches); },
                .leader_changed =
                    [this](const std::string& leader, std::uint64_t, fettle::Term term) {
                      leader_ = leader;
                      term_ = term.value;
                      tell();
                    },
                .perform = [](const core::Task&, fettle::Index) {},
                .cancel = [](const core::TaskKey&, core::Fence, const std::string&) {},
                .happened = {},
                .kv_changed = {},
                .deliver = {}}) {
    agent_.start();
    teller_.start(first_table, [this] {
      tell();
      teller_.start_repeating(daemon::Observer::kTellAllEvery, [this] { tell(); });
    });
  }

  const Agent& agent() const { return agent_; }
  const std::string& leader() const { return leader_; }
  std::uint64_t term() const { return term_; }
  std::size_t watches() const { return table_.size(); }

 private:
  void watch(const std::vector<core::Watch>& watches) {
    table_.clear();
    for (const core::Watch& watch : watches) {
      core::Opinion opinion{watch.node, watch.revision, ++sequence_, {}};
      std::vector<core::FaultClass> classes;
      for (const core::ProbeSpec& probe : watch.probes) {
        if (std::ranges::find(classes, probe.fault_class) != classes.end()) continue;
        classes.push_back(probe.fault_class);
        opinion.classes.push_back({.fault_class = probe.fault_class,
                                   .grade = core::Verdict::Healthy,
                                   .outcome = core::Outcome::Pass});
      }
      table_.push_back(std::move(opinion));
    }
    tell();
  }
  void tell() {
    if (!table_.empty()) agent_.report(table_);
  }

  io::Timer teller_;
  std::vector<core::Opinion> table_;
  std::uint64_t sequence_ = 0;
  std::string leader_;
  std::uint64_t term_ = 0;
  Agent agent_;
};

nlohmann::json count(const std::vector<std::unique_ptr<Member>>& members) {
  std::size_t links = 0;
  std::size_t whole = 0;
  std::size_t watches = 0;
  std::uint64_t handshakes = 0;
  std::uint64_t term = 0;
  for (const auto& one : members) term = std::max(term, one->term());
  std::map<std::string, std::size_t> led;  // by leader, of the newest term
  for (const auto& one : members) {
    const std::size_t up = one->agent().uplinks().voters_up().size();
    links += up;
    whole += up == daemon::Uplinks::kLinks ? 1U : 0U;
    watches += one->watches();
    handshakes += one->agent().uplinks().handshakes();
    if (one->term() == term && !one->leader().empty()) ++led[one->leader()];
  }
  return {{"links", links}, {"whole", whole},           {"watches", watches},
          {"term", term},   {"handshakes", handshakes}, {"led", led}};
}

int run(const Options& options) {
  std::vector<fettle::daemon::wire::Voter> voters;
  for (const std::string& voter : options.voters) {
    const auto at = voter.find('=');
    const auto address = fettle::spec::parse_address(voter.substr(at + 1));
    if (at == std::string::npos || !address) return 2;
    voters.push_back({voter.substr(0, at), *address});
  }
  io::Loop loop;
  std::vector<std::unique_ptr<Member>> members;
  for (std::size_t i = 1; i <= options.agents; ++i) {
    const std::string name = "a" + std::to_string(i);
    const std::string file = options.tls + "/" + name;
    auto tls = io::TlsContext::load(options.tls + "/ca.pem", file + ".pem", file + ".key");
    if (!tls) {
      std::fprintf(stderr, "%s\n", tls.error().what.c_str());
      return 1;
    }
    daemon::AgentConfig config{.facts = {.name = name,
                                         .zone = "",
                                         .incarnation = "i-" + name,
                                         .version = FETTLE_VERSION,
                                         .level = core::kEngineLevel,
                                         .role = core::MemberRole::Agent,
                                         .allow = {}},
                               .cluster = options.cluster,
                               .voters = voters,
                               .generation = 1,
                               .seed = i};
    const auto spread = daemon::Observer::kTellAllEvery * static_cast<std::int64_t>(i) /
                        static_cast<std::int64_t>(options.agents);
    members.push_back(std::make_unique<Member>(loop, std::move(config), *tls, spread));
  }
  constexpr auto kLookEvery = std::chrono::milliseconds(10);
  io::Timer looker(loop);
  std::string told;
  looker.start_repeating(kLookEvery, [&] {
    nlohmann::json now = count(members);
    if (std::exchange(told, now.dump()) == now.dump()) return;
    now["wall_ms"] = io::Loop::wall_now().ms;
    std::printf("%s\n", now.dump().c_str());
    std::fflush(stdout);
  });
  const io::Signals signals(loop, {SIGTERM, SIGINT}, [&loop](int) { loop.stop(); });
  loop.run();
  looker.stop();
  members.clear();
  loop.turn();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("a fleet of agents in one process");
  Options options;
  app.add_option("--agents", options.agents)->required();
  app.add_option("--tls", options.tls)->required();
  app.add_option("--cluster", options.cluster)->required();
  app.add_option("--voter", options.voters)->required();
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGPIPE, SIG_IGN);
  daemon::log::open("error");
  constexpr std::size_t kDescriptorsWanted = 65'536;
  io::raise_descriptor_limit(kDescriptorsWanted);
  return run(options);
}
