#include "daemon/work.h"

#include "base/check.h"
#include "daemon/log.h"
#include "spec/parse.h"

namespace fettle::daemon {

Work::Work(io::Loop& loop, io::Worker& disk, io::Worker& parser, store::HostStore& store,
           WorkConfig config)
    : loop_(loop),
      parser_(parser),
      config_(std::move(config)),
      poster_(loop),
      outbox_(loop, {poster_, config_.secrets},
              [this](const std::string& key, bool delivered, const std::string& why) {
                group_->alert_finished(key, delivered, why);
              }),
      resolver_(loop),
      performer_(loop, resolver_, disk, store, config_.loaded, config_.allow,
                 [this](core::TaskKey key, core::TaskResult result) {
                   group_->answer(std::move(key), std::move(result));
                 }),
      observer_(
          loop, config_.starts,
          [this](std::vector<core::Opinion> opinions) { group_->report(std::move(opinions)); }),
      directors_(
          loop, resolver_,
          [this](std::function<void(Index)> done) {
            group_->applied([done = std::move(done)](Index index, core::Time) { done(index); });
          },
          [this](std::map<std::string, core::DirectorView> views) {
            group_->report_directors(std::move(views));
          }),
      readying_(loop),
      telling_time_(loop) {}

GroupEvents Work::events() {
  return {.watches =
              [this](const std::vector<core::Watch>& watches,
                     std::vector<core::DirectorWatch> directors) {
                observer_.watch(watches);
                directors_.watch(std::move(directors));
              },
          .leader_changed = [this](const std::string& leader, std::uint64_t generation,
                                   Term term) { leader_changed(leader, generation, term); },
          .perform =
              [this](core::Task task, Index finished_below) {
                performer_.perform(std::move(task), finished_below);
              },
          .cancel =
              [this](core::TaskKey key, core::Fence fence, std::string reason) {
                performer_.cancel(std::move(key), fence, std::move(reason));
              },
          .happened =
              [this](const std::vector<core::Event>& events) {
                if (server_ != nullptr) server_->publish(events);
              },
          .kv_changed =
              [this](const std::vector<core::effect::KvChanged>& changes) {
                if (server_ != nullptr) server_->publish(changes);
              },
          .kv_restored =
              [this](std::uint64_t revision) {
                if (server_ != nullptr) server_->skip_changes_to(revision);
              },
          .deliver =
              [this](const core::ReceiverSpec& receiver, std::string key, std::string body) {
                outbox_.send(receiver, {std::move(key), std::move(body)});
              }};
}

Status Work::start(GroupSide& group, const api::ServerConfig& api) {
  group_ = &group;
  FETTLE_TRY(server_, api::Server::start(loop_, *this, api));
  telling_time_.start_repeating(kLogTimeEvery, [this] {
    group_->applied([this](Index, core::Time now) { log_time_ = now; });
  });
  return {};
}

void Work::close() {
  telling_time_.stop();
  server_.reset();
}

void Work::leader_changed(const std::string& leader, std::uint64_t generation, Term term) {
  performer_.saw_fence(generation, term);
  if (leader != config_.self) outbox_.stop();
  led_ = !leader.empty();
  ready_ = ready_ && led_;
  if (!led_) return readying_.stop();
  observer_.tell_all();
  if (!ready_) get_ready();
}

/// Ready once a read of the leader's newest state was answered from ours.
void Work::get_ready() {
  constexpr core::Duration kAgainAfter = std::chrono::milliseconds(100);
  group_->catch_up([this](bool caught_up) {
    if (!led_ || ready_) return;
    ready_ = caught_up;
    if (!ready_) readying_.start(kAgainAfter, [this] { get_ready(); });
  });
}

void Work::read(bool linearizable, std::function<void(Result<api::Snapshot>)> done) {
  group_->read(linearizable, std::move(done));
}

void Work::read_kv(api::KvQuery query, bool linearizable,
                   std::function<void(Result<api::KvRead>)> done) {
  group_->read_kv(std::move(query), linearizable, std::move(done));
}

void Work::write(core::Command command, std::string key,
                 std::function<void(Result<core::ClientAnswer>)> done) {
  group_->write(std::move(command), std::move(key), std::move(done));
}

void Work::change_members(api::MemberChange change, std::function<void(Result<std::string>)> done) {
  group_->change_members(std::move(change), std::move(done));
}

void Work::transfer(std::string to, std::function<void(Result<std::string>)> done) {
  group_->transfer(std::move(to), std::move(done));
}

void Work::snapshot_file(std::function<void(Result<std::string>)> done) {
  group_->snapshot_file(std::move(done));
}

void Work::metrics(std::function<void(Result<api::Metrics>)> done) {
  group_->metrics([this, done = std::move(done)](Result<api::GroupMetrics> group) {
    if (!group) return done(std::unexpected(group.error()));
    done(api::Metrics{.version = FETTLE_VERSION,
                      .group = std::move(*group),
                      .work = {ready_, observer_.counts(), api::loop_metrics(loop_)},
                      .process = io::process_usage()});
  });
}

void Work::parse(std::vector<core::SourceFile> files, std::function<void(api::ParseOutcome)> done) {
  auto outcome = std::make_shared<api::ParseOutcome>();
  const bool queued = parser_.submit(
      loop_,
      [outcome, files = std::move(files)] {
        spec::Parsed parsed = spec::parse(files, spec::Strictness::Apply);
        outcome->spec = std::move(parsed.spec);
        for (const spec::Diagnostic& one : parsed.diagnostics) {
          outcome->errors.push_back(to_string(one));
        }
      },
      [outcome, done] { done(std::move(*outcome)); });
  if (!queued) loop_.post([done] { done({{}, {"this member is overloaded"}}); });
}

}  // namespace fettle::daemon
