// GroupSide: what the work loop's side of a member asks of the group's side: of Group on a voter,
// of Agent on an agent. Every call comes from the work loop's thread and posts to the other;
// answers come on the work loop, once each, by a deadline that the other side keeps.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "api/backend.h"
#include "core/effect.h"
#include "core/sample.h"
#include "core/task.h"

namespace fettle::daemon {

/// What the group's side tells the work loop; each is called on the work loop, in order.
struct GroupEvents {
  std::function<void(std::vector<core::Watch>, std::vector<core::DirectorWatch>)> watches;
  std::function<void(std::string leader, std::uint64_t generation, Term term)> leader_changed;
  std::function<void(core::Task, Index finished_below)> perform;
  std::function<void(core::TaskKey, core::Fence, std::string reason)> cancel;
  std::function<void(std::vector<core::Event>)> happened;
  std::function<void(std::vector<core::effect::KvChanged>)> kv_changed;
  /// A snapshot was taken over: the key-value store is at this revision, the changes are not known.
  std::function<void(std::uint64_t revision)> kv_restored;
  std::function<void(core::ReceiverSpec, std::string key, std::string body)> deliver;
};

class GroupSide {
 public:
  virtual ~GroupSide() = default;

  /// One short line for people: what this member is. On the group loop, unlike all others.
  virtual std::string summary() const = 0;
  /// True once the newest state that the group had at this call could be read here.
  virtual void catch_up(std::function<void(bool)> done) = 0;

  virtual void report(std::vector<core::Opinion> opinions) = 0;
  virtual void answer(core::TaskKey key, core::TaskResult result) = 0;
  /// Answers a log index that was applied before this call, and the engine time there.
  virtual void applied(std::function<void(Index, core::Time)> done) = 0;
  virtual void report_directors(std::map<std::string, core::DirectorView> views) = 0;
  virtual void alert_finished(std::string key, bool delivered, std::string why) = 0;

  virtual void write(core::Command command, std::string key,
                     std::function<void(Result<core::ClientAnswer>)> done) = 0;
  virtual void read(bool linearizable, std::function<void(Result<api::Snapshot>)> done) = 0;
  virtual void read_kv(api::KvQuery query, bool linearizable,
                       std::function<void(Result<api::KvRead>)> done) = 0;
  virtual void metrics(std::function<void(Result<api::GroupMetrics>)> done) = 0;
  virtual void change_members(api::MemberChange change,
                              std::function<void(Result<std::string>)> done) = 0;
  virtual void transfer(std::string to, std::function<void(Result<std::string>)> done) = 0;
  /// The group's state as a file (core/snapshot_file.h), as new as this call.
  virtual void snapshot_file(std::function<void(Result<std::string>)> done) = 0;
  /// If this member leads, hands over first; `done` follows on the work loop.
  virtual void hand_over(std::function<void()> done) = 0;
};

/// For who wants the answer's sentence alone.
inline std::function<void(Result<core::ClientAnswer>)> as_text(
    std::function<void(Result<std::string>)> done) {
  return [done = std::move(done)](const Result<core::ClientAnswer>& answer) {
    if (!answer) return done(std::unexpected(answer.error()));
    if (!answer->ok) return done(fail(answer->code, answer->text));
    done(answer->text);
  };
}

}  // namespace fettle::daemon
