// KvRoutes: GET, PUT and DELETE of /v1/kv/KEY. Values come in and go out as JSON and are kept as
// canonical text. The watch of a prefix is a stream and therefore server.cc's own.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "api/answers.h"

namespace fettle::api {

inline constexpr std::string_view kKvPath = "/v1/kv";
/// A value may nest arrays and objects this deep.
inline constexpr int kKvDepthMax = 64;

/// `/v1/kv` or a path below it.
bool is_kv(std::string_view path);

void get_kv(const Request& request, Backend& backend, Done done);
void put_kv(const Request& request, Backend& backend, Done done);
void delete_kv(const Request& request, Backend& backend, Done done);

/// What `kv` holds of what is asked for; `stale_ms` is left to the caller.
KvRead look_up(const core::KvStore& kv, const KvQuery& query);

}  // namespace fettle::api
