// Happy path of a write: body → command → the backend commits it → its answer. Of a new spec: files
// → parsed off the loop → compared with the applied one → committed, or only the difference
// answered. Failures: what is wrong in the request is 400 and changes nothing; a rule of the engine
// forbids it (409); no leader (503); an outcome that can't be known (504 with the key to ask
// again).
#include "api/routes.h"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>

#include "api/answers.h"
#include "api/exposition.h"
#include "api/kv_routes.h"
#include "api/lease_routes.h"
#include "api/member_routes.h"
#include "api/spec_diff.h"
#include "api/views.h"

namespace fettle::api {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

constexpr std::size_t kFilesMax = 1024;
constexpr core::Duration kFreezeDefault = std::chrono::hours(1);
constexpr core::Duration kFreezeMax = std::chrono::hours(24 * 30);

bool query_flag(const Request& request, const char* name) {
  const auto found = request.query.find(name);
  return found != request.query.end() && (found->second == "true" || found->second.empty());
}

/// A read: the view of a fresh (or, if asked for, stale) snapshot.
void read(const Request& request, Backend& backend, Done done,
          std::function<Result<ordered_json>(const Snapshot&)> view) {
  const auto stale = wants_stale(request);
  if (!stale) return done(error(stale.error(), request.path));
  backend.read(!*stale, [path = request.path, stale = *stale, done = std::move(done),
                         view = std::move(view)](Result<Snapshot> snapshot) {
    if (!snapshot) return done(error(snapshot.error(), path));
    auto body = view(*snapshot);
    if (!body) return done(error(body.error(), path));
    if (stale) (*body)["stale_ms"] = snapshot->stale_ms;
    done(ok(*body));
  });
}

void metrics(const Request& request, Backend& backend, Done done) {
  backend.metrics([path = request.path, done = std::move(done)](const Result<Metrics>& metrics) {
    if (!metrics) return done(error(metrics.error(), path));
    done({200, std::string(Exposition::kContentType), metrics_text(*metrics)});
  });
}

Result<ordered_json> one_thing(const Snapshot& snapshot, const std::string& kind,
                               const std::string& id) {
  const core::State& state = *snapshot.state;
  if (kind == "nodes") {
    if (!state.nodes.contains(id)) return fail(Code::NotFound, "no node named " + id);
    return node_view(state, id);
  }
  if (kind != "incidents" && kind != "runs") return fail(Code::NotFound, "no such path");
  const std::string one = kind.substr(0, kind.size() - 1);
  const auto number = to_number(id);
  if (!number) return fail(Code::Invalid, id + " is no " + one + "'s number");
  if (kind == "incidents") {
    const auto found = state.incidents.find(IncidentId{*number});
    if (found != state.incidents.end()) return incident_view(found->second);
  } else {
    const auto found = state.runs.find(RunId{*number});
    if (found != state.runs.end()) return run_view(found->second);
  }
  return fail(Code::NotFound, "no " + one + " " + id);
}

Result<ordered_json> all_things(const Snapshot& snapshot, const std::string& kind) {
  const core::State& state = *snapshot.state;
  if (kind == "status") return status_view(snapshot);
  if (kind == "members") return group_view(snapshot);
  if (kind == "services") return ordered_json{{"services", services_view(state)}};
  if (kind == "nodes") return ordered_json{{"nodes", nodes_view(state)}};
  if (kind == "incidents") return ordered_json{{"incidents", incidents_view(state)}};
  if (kind == "runs") return ordered_json{{"runs", runs_view(state)}};
  if (kind == "spec") return spec_view(state);
  if (kind == "leases") return ordered_json{{"leases", leases_view(state)}};
  return fail(Code::NotFound, "no such path");
}

Response message_view(const core::ClientAnswer& answer) { return ok({{"message", answer.text}}); }

Response run_answer(const core::ClientAnswer& answer) {
  ordered_json body{{"message", answer.text}};
  if (answer.number != 0) body["run"] = answer.number;
  return ok(body);
}

Result<bool> flag_in(const json& body, const char* key) {
  const auto found = body.find(key);
  if (found == body.end()) return false;
  if (!found->is_boolean()) return fail(Code::Invalid, std::string(key) + " is true or false");
  return found->get<bool>();
}

Result<core::Command> node_command(const Request& request, const std::string& node,
                                   const std::string& verb) {
  if (verb == "isolate") {
    FETTLE_TRY(const json body, body_of(request, {"reason", "force"}));
    FETTLE_TRY(std::string reason, text_in(body, "reason"));
    FETTLE_TRY(const bool force, flag_in(body, "force"));
    return core::command::Isolate{node, request.who, std::move(reason), force};
  }
  if (verb == "restore") {
    FETTLE_TRY(const json body, body_of(request, {"reason"}));
    FETTLE_TRY(std::string reason, text_in(body, "reason"));
    return core::command::Restore{node, request.who, std::move(reason)};
  }
  return fail(Code::NotFound, "no such path");
}

Result<core::Command> run_command(const Request& request, const std::string& id,
                                  const std::string& verb) {
  if (verb != "cancel" && verb != "retry") return fail(Code::NotFound, "no such path");
  const auto number = to_number(id);
  if (!number) return fail(Code::Invalid, id + " is no run's number");
  FETTLE_TRY(const json body, body_of(request, {"reason"}));
  FETTLE_TRY(std::string reason, text_in(body, "reason"));
  if (verb == "cancel") return core::command::Cancel{RunId{*number}, request.who, reason};
  return core::command::Retry{RunId{*number}, request.who, reason};
}

Result<core::Command> freeze_command(const Request& request) {
  FETTLE_TRY(const json body, body_of(request, {"for", "reason", "service"}));
  FETTLE_TRY(const std::string length_text, text_in(body, "for"));
  FETTLE_TRY(std::string reason, text_in(body, "reason"));
  FETTLE_TRY(std::string service, text_in(body, "service"));
  const auto length = length_text.empty() ? kFreezeDefault : to_duration(length_text);
  if (!length || *length <= core::Duration{0} || *length > kFreezeMax) {
    return fail(Code::Invalid,
                "for is a duration up to " + core::to_string(kFreezeMax) + ", such as 1h");
  }
  return core::command::Freeze{std::move(service), *length, request.who, std::move(reason)};
}

Result<core::Command> unfreeze_command(const Request& request) {
  FETTLE_TRY(const json body, body_of(request, {"service"}));
  FETTLE_TRY(std::string service, text_in(body, "service"));
  return core::command::Unfreeze{std::move(service), request.who};
}

void write_or_refuse(const Request& request, Backend& backend, Result<core::Command> command,
                     Done done, Answered view) {
  if (!command) return done(error(command.error(), request.path));
  write(request, backend, std::move(*command), std::move(done), std::move(view));
}

Result<std::vector<core::SourceFile>> files_of(const Request& request) {
  if (!request.content_type.starts_with("application/json")) {
    return std::vector<core::SourceFile>{{"spec.yaml", request.body}};
  }
  const json given = json::parse(request.body, nullptr, false);
  if (given.is_object() && given.contains("version")) {  // the spec itself: JSON is YAML
    return std::vector<core::SourceFile>{{"spec.json", request.body}};
  }
  FETTLE_TRY(const json body, body_of(request, {"files"}));
  const auto list = body.find("files");
  if (list == body.end() || !list->is_array() || list->size() > kFilesMax) {
    return fail(Code::Invalid,
                "files is a list of {name, text}, at most " + std::to_string(kFilesMax));
  }
  std::vector<core::SourceFile> files;
  for (const json& file : *list) {
    const bool whole = file.is_object() && file.size() == 2 && file.contains("name") &&
                       file.contains("text") && file["name"].is_string() &&
                       file["text"].is_string();
    if (!whole) return fail(Code::Invalid, "a file is {\"name\": text, \"text\": text}");
    files.push_back({file["name"].get<std::string>(), file["text"].get<std::string>()});
  }
  return files;
}

/// `base` of the query, if it was given.
Result<std::optional<std::uint64_t>> base_of(const Request& request) {
  const auto found = request.query.find("base");
  if (found == request.query.end()) return std::optional<std::uint64_t>();
  const auto number = to_number(found->second);
  if (!number) return fail(Code::Invalid, "base is a revision");
  return number;
}

/// `prune` and `force` of the query.
Result<core::command::Removal> removal_of(const Request& request) {
  using core::command::Removal;
  const bool prune = query_flag(request, "prune");
  const auto force = request.query.find("force");
  if (force == request.query.end()) return prune ? Removal::Prune : Removal::Refuse;
  if (force->second != "abandon") return fail(Code::Invalid, "force is abandon");
  if (!prune) return fail(Code::Invalid, "force goes with prune=true");
  return Removal::Abandon;
}

void commit_spec(const Request& request, Backend& backend, core::Spec spec, const Snapshot& now,
                 Done done) {
  const auto base = base_of(request);
  if (!base) return done(error(base.error(), request.path));
  const auto removal = removal_of(request);
  if (!removal) return done(error(removal.error(), request.path));
  const auto changes = spec_diff(now.state->spec, spec);
  if (query_flag(request, "dry_run")) {
    return done(ok({{"revision", now.state->revision}, {"changes", changes}}));
  }
  core::command::ApplySpec command{.spec = std::move(spec),
                                   .base = base->value_or(0),
                                   .any_base = !base->has_value(),
                                   .removal = *removal,
                                   .by = request.who};
  write(request, backend, std::move(command), std::move(done),
        [changes](const core::ClientAnswer& answer) {
          return ok({{"message", answer.text}, {"revision", answer.number}, {"changes", changes}});
        });
}

void apply_spec(const Request& request, Backend& backend, Done done) {
  auto files = files_of(request);
  if (!files) return done(error(files.error(), request.path));
  backend.parse(std::move(*files),
                [request, &backend, done = std::move(done)](ParseOutcome parsed) {
                  if (!parsed.spec) {
                    std::string text;
                    for (const std::string& line : parsed.errors)
                      text += (text.empty() ? "" : "\n") + line;
                    return done(error({Code::Invalid, text}, request.path));
                  }
                  backend.read(true, [request, &backend, spec = std::move(*parsed.spec),
                                      done](Result<Snapshot> now) mutable {
                    if (!now) return done(error(now.error(), request.path));
                    commit_spec(request, backend, std::move(spec), *now, done);
                  });
                });
}

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  std::size_t at = 1;
  while (at < path.size()) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    parts.push_back(path.substr(at, slash - at));
    at = slash + 1;
  }
  return parts;
}

void get(const Request& request, Backend& backend, const std::vector<std::string>& parts,
         Done done) {
  if (request.path == "/healthz") return done({200, "text/plain", "ok\n"});
  if (request.path == "/readyz") {
    return done(backend.ready() ? Response{200, "text/plain", "ready\n"}
                                : Response{503, "text/plain", "no leader is known yet\n"});
  }
  if (request.path == "/metrics") return metrics(request, backend, std::move(done));
  if (is_kv(request.path)) return get_kv(request, backend, std::move(done));
  if (request.path == "/v1/snapshot") return get_snapshot(request, backend, std::move(done));
  if (request.path == "/") {
    return done({200, "text/plain", "fettled: ask /v1/status, or the fettle command\n"});
  }
  if (parts.size() == 2 && parts[0] == "v1") {
    return read(request, backend, std::move(done),
                [kind = parts[1]](const Snapshot& snapshot) { return all_things(snapshot, kind); });
  }
  if (parts.size() == 3 && parts[0] == "v1") {
    return read(request, backend, std::move(done),
                [kind = parts[1], id = parts[2]](const Snapshot& snapshot) {
                  return one_thing(snapshot, kind, id);
                });
  }
  if (parts.size() == 4 && parts[0] == "v1" && parts[1] == "nodes" && parts[3] == "why") {
    return read(request, backend, std::move(done),
                [node = parts[2]](const Snapshot& snapshot) -> Result<ordered_json> {
                  if (!snapshot.state->nodes.contains(node)) {
                    return fail(Code::NotFound, "no node named " + node);
                  }
                  return why_view(*snapshot.state, node);
                });
  }
  done(error({Code::NotFound, "no such path"}, request.path));
}

void post(const Request& request, Backend& backend, const std::vector<std::string>& parts,
          Done done) {
  if (request.path == "/v1/spec") return apply_spec(request, backend, std::move(done));
  if (request.path == "/v1/freeze") {
    return write_or_refuse(request, backend, freeze_command(request), std::move(done),
                           message_view);
  }
  if (request.path == "/v1/unfreeze") {
    return write_or_refuse(request, backend, unfreeze_command(request), std::move(done),
                           message_view);
  }
  if (is_lease(request.path)) return post_lease(request, backend, std::move(done));
  if (parts.size() == 4 && parts[0] == "v1" && parts[1] == "nodes") {
    return write_or_refuse(request, backend, node_command(request, parts[2], parts[3]),
                           std::move(done), run_answer);
  }
  if (parts.size() == 4 && parts[0] == "v1" && parts[1] == "runs") {
    return write_or_refuse(request, backend, run_command(request, parts[2], parts[3]),
                           std::move(done), run_answer);
  }
  done(error({Code::NotFound, "no such path"}, request.path));
}

bool good_key(const std::string& key) {
  return !key.empty() && key.size() <= kIdempotencyKeyBytesMax &&
         std::ranges::all_of(key, [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

int http_status(Code code) {
  switch (code) {
    case Code::Invalid:
      return 400;
    case Code::NotFound:
      return 404;
    case Code::Conflict:
    case Code::Refused:
      return 409;
    case Code::InDoubt:
      return 504;
    case Code::Timeout:
    case Code::NotLeader:
    case Code::Unreachable:
    case Code::Busy:
    case Code::Cancelled:
      return 503;
    case Code::Corrupt:
    case Code::Io:
      return 500;
  }
  return 500;
}

Response error_response(int status, const std::string& code, const std::string& message,
                        const std::string& path) {
  return {status, "application/json", dump(error_view(code, message, path)) + "\n"};
}

void route(const Request& request, Backend& backend, std::function<void(Response)> done) {
  const auto parts = parts_of(request.path);
  if (request.method == "GET" || request.method == "HEAD") {
    return get(request, backend, parts, std::move(done));
  }
  const bool put = is_kv(request.path) && request.method == "PUT";
  const bool removes =
      (is_kv(request.path) || is_membership(request.path)) && request.method == "DELETE";
  if (request.method != "POST" && !put && !removes) {
    return done(error_response(
        405, "method_not_allowed",
        "GET or POST; PUT and DELETE for /v1/kv/KEY; DELETE for /v1/members/NAME", request.path));
  }
  if (!request.may_write) {
    return done(error_response(
        403, "read_only", "this listener only reads: write over the local socket", request.path));
  }
  if (!good_key(request.idempotency_key)) {
    return done(error({Code::Invalid, "Idempotency-Key is 1 to 128 printable ASCII characters"},
                      request.path));
  }
  if (request.method == "PUT") return put_kv(request, backend, std::move(done));
  if (request.method == "DELETE" && is_kv(request.path)) {
    return delete_kv(request, backend, std::move(done));
  }
  if (request.method == "DELETE") return delete_member(request, backend, std::move(done));
  if (is_membership(request.path)) return post_membership(request, backend, std::move(done));
  post(request, backend, parts, std::move(done));
}

}  // namespace fettle::api
