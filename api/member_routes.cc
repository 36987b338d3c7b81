#include "api/member_routes.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fettle::api {

using nlohmann::json;

namespace {

constexpr std::string_view kMembersPath = "/v1/members";
constexpr std::string_view kPromote = "/promote";

Result<MemberChange> addition(const Request& request) {
  FETTLE_TRY(const json body, body_of(request, {"name", "address", "role"}));
  MemberChange change{.kind = MemberChange::Kind::Add};
  FETTLE_TRY(change.name, text_in(body, "name"));
  FETTLE_TRY(change.address, text_in(body, "address"));
  FETTLE_TRY(const std::string role, text_in(body, "role"));
  if (role.empty() || role == "voter") return change;
  if (role != "learner") return fail(Code::Invalid, "role is voter or learner");
  change.promote = false;
  return change;
}

/// The NAME of `/v1/members/NAME` followed by `end`; empty: the path is another.
std::string name_in(std::string_view path, std::string_view end) {
  path.remove_prefix(std::min(path.size(), kMembersPath.size() + 1));
  if (!path.ends_with(end)) return "";
  path.remove_suffix(end.size());
  return path.find('/') == std::string_view::npos ? std::string(path) : "";
}

void change(const Request& request, Backend& backend, Result<MemberChange> wanted, Done done) {
  if (!wanted) return done(error(wanted.error(), request.path));
  backend.change_members(std::move(*wanted),
                         [request, done = std::move(done)](const Result<std::string>& answer) {
                           if (!answer) return done(write_error(answer.error(), request));
                           done(ok({{"message", *answer}}));
                         });
}

void transfer(const Request& request, Backend& backend, Done done) {
  const auto body = body_of(request, {"to"});
  if (!body) return done(error(body.error(), request.path));
  const auto to = text_in(*body, "to");
  if (!to) return done(error(to.error(), request.path));
  backend.transfer(*to, [request, done = std::move(done)](const Result<std::string>& answer) {
    if (!answer) return done(write_error(answer.error(), request));
    done(ok({{"message", *answer}}));
  });
}

}  // namespace

bool is_membership(std::string_view path) {
  return path == kMembersPath || path.starts_with(std::string(kMembersPath) + "/") ||
         path == "/v1/transfer";
}

void post_membership(const Request& request, Backend& backend, Done done) {
  if (request.path == "/v1/transfer") return transfer(request, backend, std::move(done));
  if (request.path == kMembersPath) {
    return change(request, backend, addition(request), std::move(done));
  }
  const std::string name = name_in(request.path, kPromote);
  if (name.empty()) return done(error({Code::NotFound, "no such path"}, request.path));
  change(request, backend, MemberChange{.kind = MemberChange::Kind::Promote, .name = name},
         std::move(done));
}

void delete_member(const Request& request, Backend& backend, Done done) {
  const std::string name = name_in(request.path, "");
  if (name.empty()) return done(error({Code::NotFound, "no such path"}, request.path));
  change(request, backend, MemberChange{.kind = MemberChange::Kind::Remove, .name = name},
         std::move(done));
}

void get_snapshot(const Request& request, Backend& backend, Done done) {
  if (!request.may_write) {
    return done(error_response(403, "read_only", "a snapshot is given over the local socket alone",
                               request.path));
  }
  backend.snapshot_file([request, done = std::move(done)](Result<std::string> bytes) {
    if (!bytes) return done(error(bytes.error(), request.path));
    done({200, "application/octet-stream", std::move(*bytes)});
  });
}

}  // namespace fettle::api
