// Commands: what each verb of `fettle` does. Each answers its exit code: 0 done; 1 the operation
// failed; 2 bad usage or bad input, nothing changed; 3 no daemon or no leader reachable; 4 not
// found or conflicting.
#pragma once

#include <string>
#include <vector>

#include "cli/client.h"
#include "cli/output.h"

namespace fettle::cli {

/// Where to ask, and how to answer; what every command takes.
struct Common {
  std::string socket = "/run/fettle/fettle.sock";
  std::string server;
  Format format = Format::Table;
};

int exit_code(Code code);
/// Says the error on stderr; its exit code.
int say(const Error& error);
/// The answer as a document, or its message for people; the exit code.
int tell(const Common& common, const Result<ordered_json>& answer);

struct SpecOptions {
  std::vector<std::string> files;
  bool prune = false;
  std::string force;
  bool dry_run = false;
  bool syntax = false;
};
struct NodeOptions {
  std::string node;
  std::string reason;
  bool force = false;
  bool no_wait = false;
};
struct RunOptions {
  std::string run;
  std::string reason;
  bool no_wait = false;
};
struct FreezeOptions {
  std::string length = "1h";
  std::string reason;
  std::string service;
};
struct EventOptions {
  bool follow = false;
  std::string since;
};
struct KvOptions {
  std::string key;  // or the prefix to watch
  std::string value;
  std::string if_revision;
  std::string since;
};
struct MemberOptions {
  std::string name;
  std::string address;
  std::string role = "voter";
  bool no_wait = false;
};
struct SnapshotOptions {
  std::string file;
};
struct LockOptions {
  std::string name;
  core::Duration ttl{std::chrono::seconds(10)};  // of the lease
  core::Duration wait{std::chrono::minutes(1)};
  std::vector<std::string> command;
};
struct TlsOptions {
  std::string cluster;
  std::vector<std::string> members;
  std::string out;
};

/// A GET of one path, shown by `print` as a table. Without a leader it is what the member last
/// knew, marked as stale, and the exit code is still 3.
int show(const Common& common, const std::string& path, void (*print)(const ordered_json&));
/// Nagios: 0 all is well, 1 an incident is open, 2 a service is down, 3 nobody can tell.
int check_status(const Common& common);
int events(const Common& common, const EventOptions& options);
int apply(const Common& common, const SpecOptions& options);
int diff(const Common& common, const SpecOptions& options);
int validate(const Common& common, const SpecOptions& options);
int isolate(const Common& common, const NodeOptions& options);
int restore(const Common& common, const NodeOptions& options);
int cancel(const Common& common, const RunOptions& options);
int retry(const Common& common, const RunOptions& options);
int freeze(const Common& common, const FreezeOptions& options);
int unfreeze(const Common& common, const FreezeOptions& options);
int kv_get(const Common& common, const KvOptions& options);
/// The value is JSON.
int kv_put(const Common& common, const KvOptions& options);
int kv_delete(const Common& common, const KvOptions& options);
/// Tells each change as a line of JSON, until it is interrupted; goes on where it was cut.
int kv_watch(const Common& common, const KvOptions& options);
/// Adds a member, and follows it until it is a voter.
int member_add(const Common& common, const MemberOptions& options);
int member_remove(const Common& common, const MemberOptions& options);
/// Makes a learner a voter now.
int member_promote(const Common& common, const MemberOptions& options);
/// Hands the leadership over, to `name` or to whoever is furthest.
int member_transfer(const Common& common, const MemberOptions& options);
/// Keeps the group's whole state in a file, as of now.
int snapshot_save(const Common& common, const SnapshotOptions& options);
/// What such a file holds; needs no daemon.
int snapshot_inspect(const Common& common, const SnapshotOptions& options);
/// Checks the file and says how a group begins anew from it.
int snapshot_restore(const Common& common, const SnapshotOptions& options);
/// Runs a command while it holds the lease; its exit code, or 1 if the lease was lost meanwhile.
int kv_lock(const Common& common, const LockOptions& options);
int init_tls(const Common& common, const TlsOptions& options);

}  // namespace fettle::cli
