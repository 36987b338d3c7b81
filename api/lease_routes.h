// LeaseRoutes: POST /v1/leases/NAME/grant, renew and release (core/lease.h).
#pragma once

#include <string_view>

#include "api/answers.h"

namespace fettle::api {

/// A path below `/v1/leases/`.
bool is_lease(std::string_view path);

void post_lease(const Request& request, Backend& backend, Done done);

}  // namespace fettle::api
