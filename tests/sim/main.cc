// fettle-sim: whole clusters from seeds. Workers are processes, because a broken assertion ends
// one: the parent hears on a pipe which seed it was, counts it and starts another worker after it.
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <climits>
#include <cstdio>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "tests/sim/world.h"

namespace fettle::sim {
namespace {

struct Options {
  std::uint64_t seeds = 100;
  std::uint64_t first = 1;
  std::string members = "both";
  std::string profile = "default";
  std::string mutant;
  std::string output;
  std::uint64_t jobs = 2;
  bool trace = false;
  bool keep_going = false;
};

std::vector<std::size_t> sizes(const Options& order, std::uint64_t seed) {
  if (order.members == "3") return {3};
  if (order.members == "5") return {5};
  return {seed % 2 == 0 ? std::size_t{5} : std::size_t{3}};
}

/// What a worker says on its pipe: one before a seed, one after it.
struct Word {
  std::uint64_t seed = 0;
  bool done = false;
  bool failed = false;
  std::uint64_t hash = 0;
  Counts counts;
  char what[400] = {};
};
static_assert(sizeof(Word) <= PIPE_BUF, "a word arrives whole");

void say(int pipe, const Word& word) {
  if (write(pipe, &word, sizeof word) != static_cast<ssize_t>(sizeof word)) _exit(3);
}

[[noreturn]] void work(const Options& order, std::uint64_t from, int pipe) {
  for (std::uint64_t seed = from; seed < order.first + order.seeds; seed += order.jobs) {
    Word word{.seed = seed};
    say(pipe, word);
    for (const std::size_t members : sizes(order, seed)) {
      World world(seed, members, order.profile, order.trace);
      const Outcome outcome = world.run();
      word.counts += outcome.counts;
      word.hash ^= outcome.trace_hash;
      if (outcome.violation.empty()) continue;
      word.failed = true;
      std::snprintf(word.what, sizeof word.what, "%zu members: %s", members,
                    outcome.violation.c_str());
    }
    word.done = true;
    say(pipe, word);
  }
  _exit(0);
}

struct Worker {
  pid_t pid = 0;
  int pipe = -1;
  std::uint64_t seed = 0;  // under way
  bool busy = false;
};

struct Total {
  std::uint64_t done = 0, failed = 0, hash = 0;
  Counts counts;
  std::map<std::uint64_t, std::string> failures;
};

class Run {
 public:
  explicit Run(Options order) : order_(std::move(order)) {}

  Total all() {
    for (std::uint64_t i = 0; i < order_.jobs; ++i) start(order_.first + i);
    while (!workers_.empty() && !enough()) listen();
    for (const Worker& worker : workers_) {
      kill(worker.pid, SIGKILL);
      waitpid(worker.pid, nullptr, 0);
      close(worker.pipe);
    }
    return total_;
  }

 private:
  bool enough() const { return !order_.keep_going && !order_.mutant.empty() && total_.failed > 0; }

  void start(std::uint64_t from) {
    if (from >= order_.first + order_.seeds) return;
    int ends[2] = {-1, -1};
    if (pipe(ends) != 0) std::exit(3);
    const pid_t pid = fork();
    if (pid < 0) std::exit(3);
    if (pid == 0) {
      close(ends[0]);
      work(order_, from, ends[1]);
    }
    close(ends[1]);
    workers_.push_back({pid, ends[0], from, false});
  }

  void listen() {
    std::vector<pollfd> polled;
    for (const Worker& worker : workers_) polled.push_back({worker.pipe, POLLIN, 0});
    poll(polled.data(), polled.size(), -1);
    for (std::size_t i = polled.size(); i-- > 0;) {
      if (polled[i].revents != 0) hear(i);
    }
  }

  void hear(std::size_t at) {
    Worker& worker = workers_[at];
    Word word;
    if (read(worker.pipe, &word, sizeof word) == static_cast<ssize_t>(sizeof word)) {
      worker.seed = word.seed;
      worker.busy = !word.done;
      if (word.done) count(word);
      return;
    }
    const Worker gone = worker;
    workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(at));
    close(gone.pipe);
    waitpid(gone.pid, nullptr, 0);
    if (!gone.busy) return;
    Word ended{.seed = gone.seed, .done = true, .failed = true};
    std::snprintf(ended.what, sizeof ended.what, "the process ended: a broken assertion");
    count(ended);
    start(gone.seed + order_.jobs);
  }

  void count(const Word& word) {
    ++total_.done;
    total_.counts += word.counts;
    total_.hash ^= word.hash;
    if (word.failed) {
      ++total_.failed;
      total_.failures[word.seed] = word.what;
      const std::string members = order_.members == "both" ? "" : " --members " + order_.members;
      const std::string profile = order_.profile == "default" ? "" : " --profile " + order_.profile;
      const std::string mutant = order_.mutant.empty() ? "" : " --mutant " + order_.mutant;
      std::fprintf(stderr,
                   "seed %llu: %s\n  repeat: ./dev sim --first-seed %llu --seeds 1%s%s%s --trace\n",
                   static_cast<unsigned long long>(word.seed), word.what,
                   static_cast<unsigned long long>(word.seed), members.c_str(), profile.c_str(),
                   mutant.c_str());
    }
    if (total_.done % 500 == 0) {
      std::fprintf(stderr, "%llu of %llu seeds, %llu failed\n",
                   static_cast<unsigned long long>(total_.done),
                   static_cast<unsigned long long>(order_.seeds),
                   static_cast<unsigned long long>(total_.failed));
    }
  }

  Options order_;
  Total total_;
  std::vector<Worker> workers_;
};

void print(const Options& order, const Total& total) {
  const bool any = !total.failures.empty();
  if (order.output != "json") {
    std::printf("%llu seeds, %llu failed", static_cast<unsigned long long>(total.done),
                static_cast<unsigned long long>(total.failed));
    for (std::size_t i = 0; i < kCountNames.size(); ++i) {
      if (total.counts.at(i) == 0) continue;
      std::printf(", %llu %s", static_cast<unsigned long long>(total.counts.at(i)),
                  std::string(kCountNames[i]).c_str());
    }
    std::printf("\n");
    return;
  }
  nlohmann::json out{{"seeds", total.done},
                     {"failed", total.failed},
                     {"trace_hash", std::to_string(total.hash)},
                     {"first_failure", nullptr}};
  for (std::size_t i = 0; i < kCountNames.size(); ++i) {
    out[std::string(kCountNames[i])] = total.counts.at(i);
  }
  if (any) {
    out["first_failure"] = {{"seed", total.failures.begin()->first},
                            {"what", total.failures.begin()->second}};
  }
  std::printf("%s\n", out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace

int run(int argc, char** argv) {
  Options order;
  CLI::App app{"Whole Fettle clusters under virtual time, from seeds", "fettle-sim"};
  app.add_option("--seeds", order.seeds, "how many");
  app.add_option("--first-seed", order.first, "the first of them");
  app.add_option("--members", order.members, "3, 5 or both")
      ->check(CLI::IsMember({"3", "5", "both"}));
  app.add_option("--profile", order.profile, "what to hunt for")
      ->check(CLI::IsMember(profile_names()));
  app.add_option("--mutant", order.mutant, "switch on a planted defect; ends when it is found");
  app.add_option("--jobs", order.jobs, "worker processes")->check(CLI::Range(1, 256));
  app.add_flag("--trace", order.trace, "show what happens, on stderr");
  app.add_flag("--keep-going", order.keep_going, "with --mutant: run every seed");
  app.add_option("--output", order.output, "json")->check(CLI::IsMember({"json"}));
  CLI11_PARSE(app, argc, argv);
  if (order.trace) order.jobs = 1;
  enable_mutant(order.mutant.c_str());
  const Total total = Run(order).all();
  print(order, total);
  return total.failed == 0 ? 0 : 1;
}

}  // namespace fettle::sim

int main(int argc, char** argv) { return fettle::sim::run(argc, argv); }
