// Work: what runs on the work loop: looking, acting, telling people, the API. Takes the group's
// messages and gives it opinions, answers and what people ask for.
#pragma once

#include <memory>
#include <string>

#include "alerts/outbox_sender.h"
#include "api/server.h"
#include "daemon/director_watcher.h"
#include "daemon/group_side.h"
#include "daemon/observer.h"
#include "daemon/performer.h"
#include "io/http_post.h"

namespace fettle::daemon {

struct WorkConfig {
  std::string self;
  core::AllowList allow;
  std::uint64_t starts = 1;  // HostStore::count_start
  store::LoadedHost loaded;
  alerts::Secrets secrets;
};

class Work final : public api::Backend {
 public:
  Work(io::Loop& loop, io::Worker& disk, io::Worker& parser, store::HostStore& store,
       WorkConfig config);
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  /// What the group is to call.
  GroupEvents events();
  /// Before the loop runs; `group` outlives every later call.
  Status start(GroupSide& group, const api::ServerConfig& api);
  /// After both loops stopped; turns the work loop.
  void close();

  void read(bool linearizable, std::function<void(Result<api::Snapshot>)> done) override;
  void read_kv(api::KvQuery query, bool linearizable,
               std::function<void(Result<api::KvRead>)> done) override;
  void write(core::Command command, std::string key,
             std::function<void(Result<core::ClientAnswer>)> done) override;
  void parse(std::vector<core::SourceFile> files,
             std::function<void(api::ParseOutcome)> done) override;
  void change_members(api::MemberChange change,
                      std::function<void(Result<std::string>)> done) override;
  void transfer(std::string to, std::function<void(Result<std::string>)> done) override;
  void snapshot_file(std::function<void(Result<std::string>)> done) override;
  void metrics(std::function<void(Result<api::Metrics>)> done) override;
  core::Time log_time() const override { return log_time_; }
  bool ready() override { return ready_; }

 private:
  static constexpr core::Duration kLogTimeEvery = std::chrono::seconds(1);

  void leader_changed(const std::string& leader, std::uint64_t generation, Term term);
  void get_ready();

  io::Loop& loop_;
  io::Worker& parser_;
  WorkConfig config_;
  GroupSide* group_ = nullptr;
  io::HttpPoster poster_;
  alerts::OutboxSender outbox_;
  io::Resolver resolver_;  // of directors: the looks at them keep their names fresh for the acts
  Performer performer_;
  Observer observer_;
  DirectorWatcher directors_;
  io::Timer readying_;
  io::Timer telling_time_;
  core::Time log_time_;  // as of kLogTimeEvery ago at most
  bool led_ = false;     // a leader is known
  bool ready_ = false;
  std::unique_ptr<api::Server> server_;
};

}  // namespace fettle::daemon
