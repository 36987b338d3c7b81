#include "api/lease_routes.h"

#include <nlohmann/json.hpp>

#include "core/kv.h"
#include "core/lease.h"

namespace fettle::api {

using nlohmann::json;

namespace {

constexpr std::string_view kLeasesPath = "/v1/leases/";

Result<core::Command> grant(const Request& request, std::string name) {
  FETTLE_TRY(const json body, body_of(request, {"holder", "duration"}));
  FETTLE_TRY(std::string holder, text_in(body, "holder"));
  FETTLE_TRY(const std::string length, text_in(body, "duration"));
  const auto duration = length.empty() ? core::kLeaseDefault : to_duration(length);
  if (!duration) return fail(Code::Invalid, "duration is one, such as 3s");
  return core::command::LeaseGrant{std::move(name), std::move(holder), *duration};
}

template <typename C>
Result<core::Command> of_holder(const Request& request, std::string name) {
  FETTLE_TRY(const json body, body_of(request, {"holder", "token"}));
  FETTLE_TRY(std::string holder, text_in(body, "holder"));
  const auto token = body.find("token");
  if (token == body.end() || !token->is_number_unsigned()) {
    return fail(Code::Invalid, "token is the number that the grant answered");
  }
  return C{std::move(name), std::move(holder), token->template get<std::uint64_t>()};
}

/// `/v1/leases/NAME/VERB`; the name may have slashes of its own.
Result<core::Command> command_of(const Request& request) {
  const std::size_t slash = request.path.rfind('/');
  if (slash <= kLeasesPath.size()) return fail(Code::NotFound, "no such path");
  std::string name = request.path.substr(kLeasesPath.size(), slash - kLeasesPath.size());
  const std::string verb = request.path.substr(slash + 1);
  FETTLE_CHECK(core::check_kv_key(name));
  if (verb == "grant") return grant(request, std::move(name));
  if (verb == "renew") return of_holder<core::command::LeaseRenew>(request, std::move(name));
  if (verb == "release") return of_holder<core::command::LeaseRelease>(request, std::move(name));
  return fail(Code::NotFound, "no such path");
}

}  // namespace

bool is_lease(std::string_view path) { return path.starts_with(kLeasesPath); }

void post_lease(const Request& request, Backend& backend, Done done) {
  auto command = command_of(request);
  if (!command) return done(error(command.error(), request.path));
  write(request, backend, std::move(*command), std::move(done),
        [](const core::ClientAnswer& answer) {
          return ok({{"message", answer.text}, {"token", answer.number}});
        });
}

}  // namespace fettle::api
