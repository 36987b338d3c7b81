// fettled: the daemon. Exit codes: 0 ended cleanly; 1 it could not start; 2 bad usage or bad files,
// nothing changed; 74 the disk failed, or what was acknowledged is damaged or missing; 76 the log
// needs a newer version, or this member's state is not the others' (the service manager must
// restart after none of these).
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "daemon/log.h"
#include "daemon/member.h"
#include "daemon/recovery.h"
#include "io/service.h"

namespace {

using fettle::Code;
using fettle::Error;
namespace daemon_log = fettle::daemon::log;

constexpr int kExitFailed = 1;
constexpr int kExitBadInput = 2;
/// A kept connection for each probe of each node; a service manager's usual soft limit is 1024.
constexpr std::size_t kDescriptorsWanted = 65'536;

int say(const Error& error) {
  std::fprintf(stderr, "%s\n", error.what.c_str());
  if (error.code == Code::Corrupt) return fettle::daemon::kExitDiskFailed;
  const bool input = error.code == Code::Invalid || error.code == Code::NotFound;
  return input ? kExitBadInput : kExitFailed;
}

int check(const fettle::daemon::MemberFiles& files) {
  for (const std::string& line : files.spec_errors) std::fprintf(stderr, "%s\n", line.c_str());
  if (!files.spec_errors.empty()) return kExitBadInput;
  for (const std::string& note : files.notes) std::fprintf(stderr, "%s\n", note.c_str());
  std::printf("the files are good\n");
  return 0;
}

int recover(const fettle::daemon::MemberFiles& files, const fettle::daemon::RecoveryOrder& order) {
  const auto done = fettle::daemon::recover_alone(files, order);
  if (!done) return say(done.error());
  std::printf("%s\n", done->c_str());
  return 0;
}

int run(fettle::daemon::MemberFiles files) {
  for (const std::string& note : files.notes) daemon_log::warn(note);
  const std::string name = files.member.node_name;
  auto member = fettle::daemon::Member::start(std::move(files));
  if (!member) return say(member.error());
  {
    const fettle::io::Signals signals(
        (*member)->loop(), {SIGTERM, SIGINT, SIGHUP}, [&member](int signal) {
          if (signal == SIGHUP) return daemon_log::warn("SIGHUP: this version reloads nothing");
          fettle::io::notify_manager("STOPPING=1\nSTATUS=stopping");
          (*member)->stop();
        });
    daemon_log::info("fettled " FETTLE_VERSION " is up node_name=" + name);
    (*member)->run();
  }
  member->reset();
  daemon_log::info("fettled ended");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("fettled: the self-healing watchdog for AI service nodes");
  std::string config = "/etc/fettle/fettled.yaml";
  bool only_check = false;
  fettle::daemon::RecoveryOrder recovery;
  app.add_option("--config", config, "the member file");
  app.add_flag("--check", only_check, "check the files and exit");
  auto* alone = app.add_option("--recover-alone", recovery.cluster,
                               "DANGEROUS: the other voters are lost for good; make this host's "
                               "copy a group of one, under a new generation. CLUSTER is its name")
                    ->type_name("CLUSTER");
  app.add_option("--from", recovery.snapshot_file,
                 "with --recover-alone: begin from this file of `fettle snapshot save`")
      ->needs(alone);
  app.set_version_flag("--version", std::string("fettled " FETTLE_VERSION));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitBadInput;
  }
  std::signal(SIGPIPE, SIG_IGN);
  auto files = fettle::daemon::read_member_files(config);
  if (!files) return say(files.error());
  if (only_check) return check(*files);
  if (alone->count() > 0) return recover(*files, recovery);
  daemon_log::open(files->member.log_level);
  fettle::io::raise_descriptor_limit(kDescriptorsWanted);
  return run(std::move(*files));
}
