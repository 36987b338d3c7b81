// Answers: what the route files share: how a result or an error becomes a Response, and how a
// command is written. Internal to api/.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
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

/// The body as an object that has no other keys than `known`: a misspelt key must not be ignored.
Result<nlohmann::json> body_of(const Request& request,
                               std::initializer_list<std::string_view> known);
/// The text under `key`, at most kReasonBytesMax long; empty if there is none.
inline constexpr std::size_t kReasonBytesMax = 1024;
Result<std::string> text_in(const nlohmann::json& body, const char* key);
/// `250ms`, `1s`, `5m`, `2h`, `30d`.
std::optional<core::Duration> to_duration(std::string_view text);
/// A decimal number and nothing else.
std::optional<std::uint64_t> to_number(std::string_view text);
/// True if `?consistency=stale` was asked for; Invalid: it is neither that nor `linearizable`.
Result<bool> wants_stale(const Request& request);

}  // namespace fettle::api
