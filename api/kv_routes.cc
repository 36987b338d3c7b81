#include "api/kv_routes.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/views.h"
#include "core/kv.h"

namespace fettle::api {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

Result<std::string> key_of(const Request& request) {
  if (request.path.size() <= kKvPath.size() + 1) {
    return fail(Code::NotFound, "expected /v1/kv/KEY, or /v1/kv?watch=PREFIX");
  }
  std::string key = request.path.substr(kKvPath.size() + 1);
  FETTLE_CHECK(core::check_kv_key(key));
  return key;
}

/// `N` or `"N"`; an absent header expects nothing.
Result<std::optional<std::uint64_t>> expected(const Request& request) {
  std::string_view text = request.if_match;
  if (text.empty()) return std::optional<std::uint64_t>();
  if (text.size() > 2 && text.starts_with('"') && text.ends_with('"')) {
    text = text.substr(1, text.size() - 2);
  }
  const auto number = to_number(text);
  if (!number) return fail(Code::Invalid, "If-Match is a revision, or 0: it must not exist");
  return number;
}

/// The canonical text of `{"value": any JSON}`: no white space, keys in order, each once.
Result<std::string> value_of(const std::string& body) {
  int deepest = 0;
  const auto measure = [&](int depth, json::parse_event_t, json&) {
    deepest = std::max(deepest, depth);
    return true;
  };
  const json whole = json::parse(body, measure, false);
  if (whole.is_discarded() || !whole.is_object() || whole.size() != 1 || !whole.contains("value")) {
    return fail(Code::Invalid, "the body is {\"value\": any JSON}");
  }
  if (deepest > kKvDepthMax) {
    return fail(Code::Invalid,
                "the value nests deeper than " + std::to_string(kKvDepthMax) + " levels");
  }
  return whole["value"].dump(-1, ' ', false, json::error_handler_t::replace);
}

/// A revision that does not match is 412 here; elsewhere a conflict is 409.
void change(const Request& request, Backend& backend, core::Command command, Done done) {
  backend.write(std::move(command), request.idempotency_key,
                [request, done = std::move(done)](const Result<core::ClientAnswer>& answer) {
                  if (!answer) return done(write_error(answer.error(), request));
                  if (answer->ok) return done(ok({{"revision", answer->number}}));
                  if (answer->code != Code::Conflict) {
                    return done(write_error({answer->code, answer->text}, request));
                  }
                  constexpr int kPreconditionFailed = 412;
                  done(error_response(kPreconditionFailed, std::string(to_string(answer->code)),
                                      answer->text, request.path));
                });
}

}  // namespace

bool is_kv(std::string_view path) {
  return path == kKvPath || (path.starts_with(kKvPath) && path[kKvPath.size()] == '/');
}

void get_kv(const Request& request, Backend& backend, Done done) {
  auto key = key_of(request);
  if (!key) return done(error(key.error(), request.path));
  const auto stale = wants_stale(request);
  if (!stale) return done(error(stale.error(), request.path));
  backend.read_kv({*key}, !*stale,
                  [path = request.path, key = *key, stale = *stale,
                   done = std::move(done)](const Result<KvRead>& read) {
                    if (!read) return done(error(read.error(), path));
                    const auto found = read->values.find(key);
                    if (found == read->values.end()) {
                      return done(error({Code::NotFound, "no key " + key}, path));
                    }
                    ordered_json body{
                        {"value", ordered_json::parse(found->second.value, nullptr, false)},
                        {"revision", found->second.revision}};
                    if (stale) body["stale_ms"] = read->stale_ms;
                    done(ok(body));
                  });
}

void put_kv(const Request& request, Backend& backend, Done done) {
  auto key = key_of(request);
  if (!key) return done(error(key.error(), request.path));
  const auto expect = expected(request);
  if (!expect) return done(error(expect.error(), request.path));
  auto value = value_of(request.body);
  if (!value) return done(error(value.error(), request.path));
  if (value->size() > core::kKvValueBytesMax) {
    constexpr int kTooLarge = 413;
    return done(error_response(
        kTooLarge, "too_large",
        "a value is at most " + std::to_string(core::kKvValueBytesMax) + " bytes", request.path));
  }
  change(request, backend, core::command::KvPut{std::move(*key), std::move(*value), *expect},
         std::move(done));
}

void delete_kv(const Request& request, Backend& backend, Done done) {
  auto key = key_of(request);
  if (!key) return done(error(key.error(), request.path));
  const auto expect = expected(request);
  if (!expect) return done(error(expect.error(), request.path));
  change(request, backend, core::command::KvDelete{std::move(*key), *expect}, std::move(done));
}

KvRead look_up(const core::KvStore& kv, const KvQuery& query) {
  KvRead read{.revision = kv.revision};
  for (auto at = kv.values.lower_bound(query.key); at != kv.values.end(); ++at) {
    const bool wanted = query.prefix ? at->first.starts_with(query.key) : at->first == query.key;
    if (!wanted) break;
    read.values.insert(*at);
  }
  return read;
}

}  // namespace fettle::api
