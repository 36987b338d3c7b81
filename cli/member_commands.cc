#include <chrono>
#include <cstdio>
#include <thread>

#include "cli/commands.h"

namespace fettle::cli {
namespace {

std::string path_of(const std::string& name) { return "/v1/members/" + url_part(name); }

Result<std::string> role_of(Client& client, const std::string& name) {
  FETTLE_TRY(const ordered_json answer, client.get("/v1/members"));
  for (const ordered_json& member : answer.at("members")) {
    if (member.at("name") == name) return member.at("role").get<std::string>();
  }
  return fail(Code::NotFound, name + " is no member any more");
}

/// A new member counts only once it holds the log: that is what was asked for.
int await_voter(const Common& common, Client& client, const std::string& name) {
  constexpr auto kEvery = std::chrono::milliseconds(250);
  constexpr int kLooksMax = 240;
  if (common.format == Format::Table) std::printf("waiting for %s to catch up\n", name.c_str());
  for (int i = 0; i < kLooksMax; ++i) {
    const auto role = role_of(client, name);
    if (!role && role.error().code == Code::NotFound) return say(role.error());
    if (role && *role == "voter") {
      if (common.format == Format::Table) std::printf("%s is a voter\n", name.c_str());
      return 0;
    }
    std::this_thread::sleep_for(kEvery);
  }
  std::fprintf(stderr,
               "%s has not caught up within a minute: is its daemon running, and reachable at that "
               "address? It becomes a voter as soon as it has\n",
               name.c_str());
  return 1;
}

}  // namespace

int member_add(const Common& common, const MemberOptions& options) {
  Client client(common.socket, common.server);
  const ordered_json body{
      {"name", options.name}, {"address", options.address}, {"role", options.role}};
  const auto answer = client.post("/v1/members", body);
  const int told = tell(common, answer);
  if (told != 0 || options.no_wait || options.role != "voter") return told;
  return await_voter(common, client, options.name);
}

int member_remove(const Common& common, const MemberOptions& options) {
  return tell(
      common,
      Client(common.socket, common.server).write("DELETE", path_of(options.name), ordered_json()));
}

int member_promote(const Common& common, const MemberOptions& options) {
  return tell(common, Client(common.socket, common.server)
                          .post(path_of(options.name) + "/promote", ordered_json::object()));
}

int member_transfer(const Common& common, const MemberOptions& options) {
  ordered_json body = ordered_json::object();
  if (!options.name.empty()) body["to"] = options.name;
  return tell(common, Client(common.socket, common.server).post("/v1/transfer", body));
}

}  // namespace fettle::cli
