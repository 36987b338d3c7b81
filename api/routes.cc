#include "api/routes.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "api/spec_diff.h"
#include "api/views.h"

namespace fettle::api {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

using Done = std::function<void(Response)>;

Response ok(const ordered_json& body) { return {200, "application/json", dump(body) + "\n"}; }

Response error(const Error& error, const std::string& path) {
  return {http_status(error.code), "application/json", dump(error_view(error.code, error.what, path)) + "\n"};
}

Response plain_error(int status, const std::string& code, const std::string& message,
                     const std::string& path) {
  const ordered_json body{{"error", {{"code", code}, {"message", message}, {"path", path}}}};
  return {status, "application/json", dump(body) + "\n"};
}

std::optional<std::uint64_t> to_number(const std::string& text) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// A read: the view of a fresh (or, if asked for, stale) snapshot.
void read(const Request& request, Backend& backend, Done done,
          std::function<Result<ordered_json>(const Snapshot&)> view) {
  const auto consistency = request.query.find("consistency");
  const bool stale = consistency != request.query.end() && consistency->second == "stale";
  if (consistency != request.query.end() && !stale && consistency->second != "linearizable") {
    return done(error({Code::Invalid, "consistency is stale or linearizable"}, request.path));
  }
  backend.read(!stale, [path = request.path, stale, done = std::move(done),
                        view = std::move(view)](Result<Snapshot> snapshot) {
    if (!snapshot) return done(error(snapshot.error(), path));
    auto body = view(*snapshot);
    if (!body) return done(error(body.error(), path));
    if (stale && body->is_object()) (*body)["stale_ms"] = snapshot->stale_ms;
    done(ok(*body));
  });
}

Result<ordered_json> one_thing(const Snapshot& snapshot, const std::string& kind, const std::string& id) {
  const core::State& state = *snapshot.state;
  if (kind == "nodes") {
    if (!state.nodes.contains(id)) return fail(Code::NotFound, "no node named " + id);
    return node_view(state, id);
  }
  const auto number = to_number(id);
  if (kind == "incidents" && number) {
    const auto found = state.incidents.find(IncidentId{*number});
    if (found != state.incidents.end()) return incident_view(found->second);
  }
  if (kind == "runs" && number) {
    const auto found = state.runs.find(RunId{*number});
    if (found != state.runs.end()) return run_view(state, found->second);
  }
  return fail(Code::NotFound, "no such " + kind.substr(0, kind.size() - 1) + ": " + id);
}

Result<ordered_json> all_things(const Snapshot& snapshot, const std::string& kind) {
  const core::State& state = *snapshot.state;
  if (kind == "status") return status_view(snapshot);
  if (kind == "members") return ordered_json{{"members", members_view(snapshot)}};
  if (kind == "services") return ordered_json{{"services", services_view(state)}};
  if (kind == "nodes") return ordered_json{{"nodes", nodes_view(state)}};
  if (kind == "incidents") return ordered_json{{"incidents", incidents_view(state)}};
  if (kind == "runs") return ordered_json{{"runs", runs_view(state)}};
  if (kind == "spec") return spec_view(state);
  return fail(Code::NotFound, "no such path");
}

void write(const Request& request, Backend& backend, core::Command command, Done done) {
  backend.write(std::move(command), request.idempotency_key,
                [path = request.path, done = std::move(done)](Result<core::ClientAnswer> answer) {
                  if (!answer) return done(error(answer.error(), path));
                  if (!answer->ok) return done(error({answer->code, answer->text}, path));
                  done(ok({{"ok", true}, {"message", answer->text}, {"number", answer->number}}));
                });
}

Result<json> body_of(const Request& request) {
  if (request.body.empty()) return json::object();
  json body = json::parse(request.body, nullptr, false);
  if (body.is_discarded() || !body.is_object()) return fail(Code::Invalid, "the body is no JSON object");
  return body;
}

std::string text_in(const json& body, const char* key) {
  const auto found = body.find(key);
  return found != body.end() && found->is_string() ? found->get<std::string>() : "";
}

bool flag_in(const json& body, const char* key) {
  const auto found = body.find(key);
  return found != body.end() && found->is_boolean() && found->get<bool>();
}

void node_verb(const Request& request, Backend& backend, const std::string& node,
               const std::string& verb, Done done) {
  const auto body = body_of(request);
  if (!body) return done(error(body.error(), request.path));
  const std::string reason = text_in(*body, "reason");
  if (verb == "isolate") {
    return write(request, backend,
                 core::command::Isolate{node, request.who, reason, flag_in(*body, "force")},
                 std::move(done));
  }
  if (verb == "restore") {
    return write(request, backend, core::command::Restore{node, request.who, reason}, std::move(done));
  }
  done(error({Code::NotFound, "no such verb: " + verb}, request.path));
}

void freeze(const Request& request, Backend& backend, bool begin, Done done) {
  const auto body = body_of(request);
  if (!body) return done(error(body.error(), request.path));
  const std::string service = text_in(*body, "service");
  if (!begin) {
    return write(request, backend, core::command::Unfreeze{service, request.who}, std::move(done));
  }
  const auto seconds = body->find("for_s");
  const bool given = seconds != body->end() && seconds->is_number_unsigned();
  constexpr std::uint64_t kFreezeMaxS = 30ULL * 24 * 3600;
  const std::uint64_t length_s = given ? seconds->get<std::uint64_t>() : 3600;
  if (length_s == 0 || length_s > kFreezeMaxS) {
    return done(error({Code::Invalid, "for_s is from 1 to 2592000 (30 days)"}, request.path));
  }
  write(request, backend,
        core::command::Freeze{service, std::chrono::seconds(length_s), request.who,
                              text_in(*body, "reason")},
        std::move(done));
}

Result<std::vector<core::SourceFile>> files_of(const Request& request) {
  if (!request.content_type.starts_with("application/json")) {
    return std::vector<core::SourceFile>{{"spec.yaml", request.body}};
  }
  const auto body = body_of(request);
  if (!body) return std::unexpected(body.error());
  std::vector<core::SourceFile> files;
  const auto list = body->find("files");
  if (list == body->end() || !list->is_array()) return fail(Code::Invalid, "'files' is missing");
  for (const json& file : *list) {
    if (!file.is_object()) return fail(Code::Invalid, "a file is {name, text}");
    files.push_back({text_in(file, "name"), text_in(file, "text")});
  }
  return files;
}

void commit_spec(const Request& request, Backend& backend, core::Spec spec, const Snapshot& now, Done done) {
  const auto lines = spec_diff(now.state->spec, spec);
  const auto flag = [&](const char* name) {
    const auto found = request.query.find(name);
    return found != request.query.end() && found->second == "true";
  };
  if (flag("dry_run")) {
    return done(ok({{"ok", true}, {"revision", now.state->revision}, {"changes", lines}}));
  }
  core::command::ApplySpec command{.spec = std::move(spec), .prune = flag("prune"), .by = request.who};
  if (const auto base = request.query.find("base"); base != request.query.end()) {
    const auto number = to_number(base->second);
    if (!number) return done(error({Code::Invalid, "base is a revision"}, request.path));
    command.base = *number;
    command.any_base = false;
  }
  backend.write(std::move(command), request.idempotency_key,
                [path = request.path, lines, done = std::move(done)](Result<core::ClientAnswer> answer) {
                  if (!answer) return done(error(answer.error(), path));
                  if (!answer->ok) return done(error({answer->code, answer->text}, path));
                  done(ok({{"ok", true},
                           {"message", answer->text},
                           {"revision", answer->number},
                           {"changes", lines}}));
                });
}

void apply_spec(const Request& request, Backend& backend, Done done) {
  auto files = files_of(request);
  if (!files) return done(error(files.error(), request.path));
  backend.parse(std::move(*files), [request, &backend, done = std::move(done)](ParseOutcome parsed) mutable {
    if (!parsed.spec) {
      std::string text;
      for (const std::string& line : parsed.errors) text += (text.empty() ? "" : "\n") + line;
      return done(error({Code::Invalid, text}, request.path));
    }
    auto spec = std::make_shared<core::Spec>(std::move(*parsed.spec));
    backend.read(true, [request, &backend, spec, done = std::move(done)](Result<Snapshot> now) {
      if (!now) return done(error(now.error(), request.path));
      commit_spec(request, backend, std::move(*spec), *now, done);
    });
  });
}

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  std::size_t at = 1;
  while (at <= path.size()) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    parts.push_back(path.substr(at, slash - at));
    at = slash + 1;
  }
  if (!parts.empty() && parts.back().empty()) parts.pop_back();
  return parts;
}

void get(const Request& request, Backend& backend, const std::vector<std::string>& parts, Done done) {
  if (request.path == "/healthz") return done({200, "text/plain", "ok\n"});
  if (request.path == "/readyz") {
    return done(backend.ready() ? Response{200, "text/plain", "ready\n"}
                                : Response{503, "text/plain", "no leader is known yet\n"});
  }
  if (request.path == "/") {
    return done({200, "text/plain", "fettled: see /v1/status, or the fettle command\n"});
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
  done(error({Code::NotFound, "no such path"}, request.path));
}

}  // namespace

int http_status(Code code) {
  switch (code) {
    case Code::Invalid: return 400;
    case Code::NotFound: return 404;
    case Code::Conflict:
    case Code::Refused: return 409;
    case Code::Timeout:
    case Code::InDoubt: return 504;
    case Code::NotLeader:
    case Code::Unreachable:
    case Code::Busy:
    case Code::Cancelled: return 503;
    case Code::Corrupt:
    case Code::Io: return 500;
  }
  return 500;
}

void route(const Request& request, Backend& backend, std::function<void(Response)> done) {
  const auto parts = parts_of(request.path);
  if (request.method == "GET" || request.method == "HEAD") {
    return get(request, backend, parts, std::move(done));
  }
  if (request.method != "POST") {
    return done(plain_error(405, "method", "GET or POST", request.path));
  }
  if (!request.may_write) {
    return done(plain_error(403, "read_only", "this listener is read-only: write over the local socket",
                            request.path));
  }
  if (request.path == "/v1/spec") return apply_spec(request, backend, std::move(done));
  if (request.path == "/v1/freeze") return freeze(request, backend, true, std::move(done));
  if (request.path == "/v1/unfreeze") return freeze(request, backend, false, std::move(done));
  if (parts.size() == 4 && parts[0] == "v1" && parts[1] == "nodes") {
    return node_verb(request, backend, parts[2], parts[3], std::move(done));
  }
  done(error({Code::NotFound, "no such path"}, request.path));
}

}  // namespace fettle::api
