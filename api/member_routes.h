// MemberRoutes: who the group is: POST /v1/members, /v1/members/NAME/promote, DELETE
// /v1/members/NAME, POST /v1/transfer, GET /v1/snapshot.
#pragma once

#include <string_view>

#include "api/answers.h"

namespace fettle::api {

/// A path that changes the members or who leads them.
bool is_membership(std::string_view path);

void post_membership(const Request& request, Backend& backend, Done done);
void delete_member(const Request& request, Backend& backend, Done done);
/// The newest snapshot as bytes; only over the local socket.
void get_snapshot(const Request& request, Backend& backend, Done done);

}  // namespace fettle::api
