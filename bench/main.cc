// fettle-bench-client: the fast part of `./dev bench`: writes to Fettle or to etcd and says how
// long it took. bench.js starts it.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "bench/measure.h"

namespace {

using namespace fettle;

struct Options {
  std::string system = "fettle";
  std::size_t connections = 1;
  bench::ThroughputConfig throughput;
  double warm_up_s = 1;
  double window_s = 5;
  bench::PulseConfig pulse;
  std::int64_t every_ms = 2;
  std::int64_t deadline_ms = 1000;
  std::string folder;
  std::size_t count = 200;
};

bench::Connect connect_of(const Options& options) {
  if (options.system == "fettle") return bench::make_fettle_client;
  return [connections = options.connections](io::Loop& loop, std::string socket,
                                             bench::Answered answered) {
    return bench::make_etcd_client(loop, std::move(socket), connections, std::move(answered));
  };
}

Status run(const CLI::App& chosen, Options& options) {
  if (chosen.get_name() == "sync") return bench::measure_sync(options.folder, options.count);
  if (chosen.get_name() == "pulse") {
    options.pulse.every = std::chrono::milliseconds(options.every_ms);
    options.pulse.deadline = std::chrono::milliseconds(options.deadline_ms);
    return bench::run_pulse(connect_of(options), options.pulse);
  }
  options.throughput.warm_up = std::chrono::duration<double>(options.warm_up_s);
  options.throughput.window = std::chrono::duration<double>(options.window_s);
  return bench::measure_throughput(connect_of(options), options.throughput);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  Options options;
  CLI::App app("The client of Fettle's bench");
  app.require_subcommand(1);
  const auto system = [&](CLI::App* command) {
    command->add_option("--system", options.system)->check(CLI::IsMember({"fettle", "etcd"}));
    command->add_option("--connections", options.connections, "of etcd")->check(CLI::Range(1, 64));
  };
  CLI::App* write = app.add_subcommand("write", "as fast as the member answers");
  system(write);
  write->add_option("--writers", options.throughput.writers)->check(CLI::Range(1, 1024));
  write->add_option("--warm-up", options.warm_up_s, "seconds");
  write->add_option("--seconds", options.window_s, "seconds");
  write->add_option("socket", options.throughput.socket)->required();
  CLI::App* pulse = app.add_subcommand("pulse", "one write a period, the members in turn");
  system(pulse);
  pulse->add_option("--every", options.every_ms, "milliseconds");
  pulse->add_option("--deadline", options.deadline_ms, "milliseconds");
  pulse->add_option("--in-flight", options.pulse.in_flight_max, "attempts a member");
  pulse->add_option("sockets", options.pulse.sockets)->required();
  CLI::App* sync = app.add_subcommand("sync", "what fdatasync takes");
  sync->add_option("--count", options.count);
  sync->add_option("folder", options.folder)->required();
  CLI11_PARSE(app, argc, argv);
  const Status done = run(*app.get_subcommands().front(), options);
  if (!done) std::fprintf(stderr, "fettle-bench-client: %s\n", done.error().what.c_str());
  return done ? 0 : 1;
}
