// Backend: what the API asks of the daemon. Called and answered on the work loop, never from
// within; each answer comes once, by a deadline that the backend keeps.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/metrics.h"
#include "base/result.h"
#include "core/command.h"
#include "core/state.h"

namespace fettle::api {

struct MemberStatus {
  std::string name;
  std::string role;  // voter | learner | agent
  std::string zone;
  std::string state;  // leader | follower | candidate | unreachable; of an agent: live | lost
  std::string address;
  std::string version;
  std::optional<double> rtt_ms;
};

struct GroupStatus {
  std::string cluster;
  std::uint64_t generation = 1;
  std::uint64_t term = 0;
  std::string leader;  // empty: none known
  std::uint64_t commit_index = 0;
  std::string self;
  std::vector<MemberStatus> members;
  /// What a commit waits for at least, as the leader measures it: the round trip to the farthest of
  /// the nearest voters that make a majority. Nullopt: not known.
  std::optional<double> quorum_rtt_ms;
  core::Duration election_timeout{0};  // of this member; its group's others may have other ones
  core::Duration heartbeat{0};
  bool timing_set = false;         // by its file; false: measured
  std::vector<std::string> notes;  // what a person should know, as sentences
};

struct Snapshot {
  std::shared_ptr<const core::State> state;
  GroupStatus group;
  std::int64_t stale_ms = 0;  // since this member last heard its leader, or led
};

/// What is asked of the key-value store: one key, or every key that begins with `key`.
struct KvQuery {
  std::string key;
  bool prefix = false;
};
struct KvRead {
  std::uint64_t revision = 0;  // of the whole store
  std::map<std::string, core::KvValue> values;
  std::int64_t stale_ms = 0;  // as in Snapshot
};

/// A change of who the group is. The backend checks name and address.
struct MemberChange {
  enum class Kind : std::uint8_t { Add, Remove, Promote };
  Kind kind = Kind::Add;
  std::string name;
  std::string address;  // host:port, of an Add
  bool promote = true;  // of an Add: it becomes a voter once it has caught up
};
constexpr MemberChange::Kind enum_last(MemberChange::Kind) { return MemberChange::Kind::Promote; }

struct ParseOutcome {
  std::optional<core::Spec> spec;
  std::vector<std::string> errors;
};

class Backend {
 public:
  virtual ~Backend() = default;
  /// The state; `linearizable`: as of after this call, which needs a leader.
  virtual void read(bool linearizable, std::function<void(Result<Snapshot>)> done) = 0;
  /// As read(), for the key-value store alone.
  virtual void read_kv(KvQuery query, bool linearizable,
                       std::function<void(Result<KvRead>)> done) = 0;
  /// Commits the command; the same key (never empty) is applied once and gets the kept answer
  /// again. InDoubt: it may or may not have happened.
  virtual void write(core::Command command, std::string key,
                     std::function<void(Result<core::ClientAnswer>)> done) = 0;
  /// Parses the files off the loop.
  virtual void parse(std::vector<core::SourceFile> files,
                     std::function<void(ParseOutcome)> done) = 0;
  /// Commits the change; its answer is a sentence. Asked again it says that it is so already.
  virtual void change_members(MemberChange change,
                              std::function<void(Result<std::string>)> done) = 0;
  /// Hands the leadership to the member `to`, or to whoever is furthest if it is empty.
  virtual void transfer(std::string to, std::function<void(Result<std::string>)> done) = 0;
  /// The group's state as a file's bytes, as new as this call.
  virtual void snapshot_file(std::function<void(Result<std::string>)> done) = 0;
  /// This member's own numbers: needs no leader.
  virtual void metrics(std::function<void(Result<Metrics>)> done) = 0;
  /// Engine time that no write from now on is committed before.
  virtual core::Time log_time() const = 0;
  /// True once a leader is known and its log applied so far.
  virtual bool ready() = 0;
};

}  // namespace fettle::api
