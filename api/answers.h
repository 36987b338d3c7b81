// Answers: what the route files share: how a result or an error becomes a Response, and how a
// command is written. Internal to api/.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "api/routes.h"

namespace fettle::api {

using Done = std::function<void(Response)>;
using Answered = std::function<Response(const core::ClientAnswer&)>;

Response ok(const nlohmann::ordered_json& body);
Response error(const Error& error, const std::string& path);
/// As error(), with the key to ask again if nobody knows whether it happened.
Response write_error(Error failed, const Request& request);
/// Commits the command; `view` makes the answer of what was done.
void write(const Request& request, Backend& backend, core::Command command, Done done,
           Answered view);

/// A decimal number and nothing else.
std::optional<std::uint64_t> to_number(std::string_view text);
/// True if `?consistency=stale` was asked for; Invalid: it is neither that nor `linearizable`.
Result<bool> wants_stale(const Request& request);

}  // namespace fettle::api
