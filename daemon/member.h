// Member: one running fettled from its files: opens the stores, starts the two loops and the
// workers in order, and ends them in the opposite one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "daemon/agent.h"
#include "daemon/group.h"
#include "daemon/watchdog.h"
#include "daemon/work.h"
#include "spec/member_file.h"

namespace fettle::daemon {

/// What --check checks and a start needs: the member file, and what it names.
struct MemberFiles {
  spec::MemberFile member;
  std::optional<core::Spec> spec;  // of its spec files; absent: it names none, or they are wrong
  std::vector<std::string> spec_errors;
  std::vector<std::string> notes;       // what a person should know, no error
  std::shared_ptr<io::TlsContext> tls;  // absent: alone
};

/// Reads and checks everything; the error's text has a line for each thing that is wrong.
Result<MemberFiles> read_member_files(const std::string& path);

/// Where the others find this member: as the file's members say, or where it listens.
core::Address own_address(const spec::MemberFile& file);

class Member {
 public:
  static constexpr core::Duration kHandOverMax = std::chrono::seconds(2);
  /// Opens, listens and starts the group's thread. Files must exist; a data directory is made.
  /// The service manager hears READY=1 once run() turns the work loop and the group loop turns too.
  static Result<std::unique_ptr<Member>> start(MemberFiles files);
  ~Member();
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  /// Runs the work loop until stop().
  void run();
  /// A leader hands over first, which takes at most kHandOverMax.
  void stop();
  io::Loop& loop() { return work_loop_; }

 private:
  Member() = default;
  Status open_stores(const spec::MemberFile& file);
  Status open_incarnation();
  Status open_group(MemberFiles& files);
  Status open_voter(MemberFiles& files, std::uint64_t seed);

  io::Loop work_loop_;
  io::Loop group_loop_;
  std::unique_ptr<io::Timer> stopping_;
  std::unique_ptr<store::GroupStore> group_store_;  // of a voter
  std::unique_ptr<store::HostStore> host_store_;
  store::LoadedGroup loaded_group_;
  store::LoadedHost loaded_host_;
  std::string incarnation_;
  std::uint64_t starts_ = 0;
  std::uint64_t host_generation_ = 1;  // the newest that this host heard of
  std::unique_ptr<io::Worker> disk_;
  std::unique_ptr<io::Worker> parser_;
  std::unique_ptr<Work> work_;
  std::unique_ptr<GroupSide> group_;
  std::unique_ptr<Watchdog> watchdog_;
  std::thread group_thread_;
};

}  // namespace fettle::daemon
