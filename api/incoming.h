// Incoming: what libwebsockets holds of a request, read into our Request. No state of its own.
#pragma once

#include <libwebsockets.h>

#include <cstddef>
#include <optional>

#include "api/routes.h"

namespace fettle::api {

/// The request's head (method, path, query, headers we look at, who asks). The body is not read
/// yet. `known`: Backend::log_time(), for the key of a write that has none.
Request read_head(lws* connection, core::Time known);

/// `name` is in lower case and ends with a colon; empty if absent.
std::string custom_header(lws* connection, const char* name);

/// How long the body is; or the answer that refuses it (a length that is no number, is missing
/// where the body is chunked, or passes `bytes_max`).
struct BodyLength {
  std::size_t bytes = 0;
  bool given = false;
  std::optional<Response> refused;
};
BodyLength body_length(lws* connection, const std::string& path, std::size_t bytes_max);

/// True if the peer came over a unix socket.
bool is_local(lws* connection);

}  // namespace fettle::api
