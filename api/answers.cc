#include "api/answers.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "api/views.h"

namespace fettle::api {

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

Result<bool> wants_stale(const Request& request) {
  const auto consistency = request.query.find("consistency");
  if (consistency == request.query.end() || consistency->second == "linearizable") return false;
  if (consistency->second == "stale") return true;
  return fail(Code::Invalid, "consistency is linearizable or stale");
}

}  // namespace fettle::api
