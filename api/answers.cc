#include "api/answers.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "api/views.h"

namespace fettle::api {

using nlohmann::json;
using nlohmann::ordered_json;

Response ok(const ordered_json& body) { return {200, "application/json", dump(body) + "\n"}; }

Response error(const Error& error, const std::string& path) {
  return error_response(http_status(error.code), std::string(to_string(error.code)), error.what,
                        path);
}

Response write_error(Error failed, const Request& request) {
  if (failed.code == Code::Timeout) failed.code = Code::InDoubt;
  if (failed.code != Code::InDoubt) return error(failed, request.path);
  ordered_json body = error_view(to_string(failed.code), failed.what, request.path);
  body["error"]["key"] = request.idempotency_key;
  return {http_status(failed.code), "application/json", dump(body) + "\n"};
}

void write(const Request& request, Backend& backend, core::Command command, Done done,
           Answered view) {
  backend.write(
      std::move(command), request.idempotency_key,
      [request, done = std::move(done), view = std::move(view)](Result<core::ClientAnswer> answer) {
        if (!answer) return done(write_error(answer.error(), request));
        if (!answer->ok) return done(write_error({answer->code, answer->text}, request));
        done(view(*answer));
      });
}

std::optional<std::uint64_t> to_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Result<json> body_of(const Request& request, std::initializer_list<std::string_view> known) {
  if (request.body.empty()) return json::object();
  json body = json::parse(request.body, nullptr, false);
  if (body.is_discarded() || !body.is_object()) {
    return fail(Code::Invalid, "the body is no JSON object");
  }
  for (const auto& [key, value] : body.items()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    std::string list;
    for (const std::string_view name : known) list.append(list.empty() ? "" : ", ").append(name);
    return fail(Code::Invalid, "unknown key \"" + key + "\" (expected one of " + list + ")");
  }
  return body;
}

Result<std::string> text_in(const json& body, const char* key) {
  const auto found = body.find(key);
  if (found == body.end()) return "";
  if (!found->is_string()) return fail(Code::Invalid, std::string(key) + " is a text");
  const auto& text = found->get_ref<const std::string&>();
  if (text.size() > kReasonBytesMax) {
    return fail(Code::Invalid,
                std::string(key) + " is longer than " + std::to_string(kReasonBytesMax) + " bytes");
  }
  return text;
}

std::optional<core::Duration> to_duration(std::string_view text) {
  const auto unit = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto count = to_number(text.substr(0, unit));
  constexpr std::uint64_t kCountMax = 10'000'000;
  if (!count || *count > kCountMax) return std::nullopt;
  const auto n = static_cast<std::int64_t>(*count);
  const std::string_view name = text.substr(unit);
  if (name == "ms") return std::chrono::milliseconds(n);
  if (name == "s") return std::chrono::seconds(n);
  if (name == "m") return std::chrono::minutes(n);
  if (name == "h" && n <= 10'000) return std::chrono::hours(n);
  if (name == "d" && n <= 1'000) return std::chrono::hours(24 * n);
  return std::nullopt;
}

Result<bool> wants_stale(const Request& request) {
  const auto consistency = request.query.find("consistency");
  if (consistency == request.query.end() || consistency->second == "linearizable") return false;
  if (consistency->second == "stale") return true;
  return fail(Code::Invalid, "consistency is linearizable or stale");
}

}  // namespace fettle::api
