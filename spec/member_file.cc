#include "spec/member_file.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "core/allow.h"
#include "spec/reader.h"
#include "spec/text.h"

namespace fettle::spec {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Keeps what is accepted without effect, with its place, for the log.
void note_idle(Reader& reader, MemberFile& member, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    const Value* value = reader.take(key);
    if (value == nullptr) continue;
    member.without_effect.push_back(reader.report().file + ":" + std::to_string(value->place.line) +
                                    ":" + std::to_string(value->place.column) + ": " +
                                    reader.path_of(key));
  }
}

std::optional<core::Address> take_address(Reader& reader, const std::string& key) {
  const auto text = reader.text(key);
  if (!text) return std::nullopt;
  auto address = parse_address(*text);
  if (!address)
    reader.wrong(*reader.take(key), key, "'" + shown(*text) + "' is no address", "host:port");
  return address;
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" ||
         (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

/// `0.0.0.0` or `::`, however it is written: it says where to listen, and nothing to others.
bool is_every_address(const std::string& host) {
  return host.find_first_not_of("0.:") == std::string::npos;
}

/// After the cluster: a founder's own address stands there.
void parse_listen(Report& report, const Value& value, MemberFile& member) {
  Reader reader(report, value, "listen");
  member.listen_cluster = take_address(reader, "cluster");
  const bool founder = std::ranges::find(member.members, member.node_name, &MemberAddress::name) !=
                       member.members.end();
  const bool told = !member.is_agent() && !founder && member.listen_cluster.has_value();
  if (told && is_every_address(member.listen_cluster->host)) {
    reader.wrong(*reader.take("cluster"), "cluster",
                 "'" + to_string(*member.listen_cluster) + "' is every address of this host",
                 "an address of this host, which others can reach");
  }
  if (const auto api = take_address(reader, "api")) {
    member.listen_api = *api;
    if (!is_loopback(api->host)) {
      reader.wrong(*reader.take("api"), "api",
                   "an api address beyond loopback is not supported yet", "127.0.0.1:PORT");
    }
  }
  member.listen_socket = reader.text_or("socket", member.listen_socket);
  if (const Value* socket = reader.take("socket");
      socket != nullptr &&
      !(member.listen_socket.starts_with('/') && is_socket(member.listen_socket))) {
    reader.wrong(*socket, "socket", socket->describe() + " does not fit",
                 "an absolute path of at most 107 bytes");
  }
}

/// Of election_timeout and heartbeat, one that stands alone takes the other with it.
void parse_pace(Reader& reader, MemberFile& member) {
  constexpr int kHeartbeatsPerTimeout = 5;
  constexpr milliseconds kTimeoutMin(20);
  core::Duration& timeout = member.election_timeout;
  core::Duration& heartbeat = member.heartbeat;
  timeout = reader.duration_or("election_timeout", core::Duration{0}, kTimeoutMin, seconds(60));
  heartbeat = reader.duration_or("heartbeat", core::Duration{0}, milliseconds(2), seconds(30));
  if (timeout.count() == 0 && heartbeat.count() > 0) {
    timeout = std::max<core::Duration>(heartbeat * kHeartbeatsPerTimeout, kTimeoutMin);
  }
  if (heartbeat.count() == 0) heartbeat = timeout / kHeartbeatsPerTimeout;
  if (heartbeat * 2 > timeout) {
    reader.wrong(*reader.take("heartbeat"), "heartbeat", "is more than half the election timeout");
  }
}

void parse_cluster(Report& report, const Value& value, MemberFile& member) {
  Reader reader(report, value, "cluster");
  member.cluster = reader.text_or("name", member.cluster);
  if (!is_name(member.cluster)) {
    reader.wrong(*reader.take("name"), "name", "'" + shown(member.cluster) + "' is no name");
  }
  const bool agent = reader.word_or("role", "voter", {"voter", "agent"}) == "agent";
  member.role = agent ? core::MemberRole::Agent : core::MemberRole::Voter;
  std::set<std::string> names;
  reader.each("members", [&](const Value& item, const std::string& path) {
    Reader one(report, item, path);
    MemberAddress peer;
    peer.name = one.need_text("name", "a member's name");
    if (const auto address = take_address(one, "address")) {
      peer.address = *address;
      if (is_every_address(address->host)) {
        one.wrong(*one.take("address"), "address",
                  "'" + to_string(*address) + "' is every address of a host",
                  "an address of that host, which others can reach");
      }
    } else if (!one.has("address")) {
      one.need("address", "host:port");
    }
    if (!is_name(peer.name) && !peer.name.empty())
      one.wrong(item, "name", "'" + shown(peer.name) + "' is no name");
    if (!names.insert(peer.name).second) {
      one.wrong(item, "name", "a second member '" + shown(peer.name) + "'");
    }
    member.members.push_back(std::move(peer));
  });
  constexpr std::size_t kVotersMax = 7;
  if (member.members.size() > kVotersMax) {
    reader.wrong(*reader.take("members"), "members", "more than 7 voters", "1, 3, 5 or 7");
  }
  parse_pace(reader, member);
}

void parse_tls(Report& report, const Value& value, MemberFile& member) {
  Reader reader(report, value, "tls");
  member.tls_ca = reader.need_text("ca", "a PEM file");
  member.tls_cert = reader.need_text("cert", "a PEM file");
  member.tls_key = reader.need_text("key", "a PEM file");
}

/// What reads like a regular expression would allow nothing here, silently.
bool is_socket_pattern(std::string_view text) {
  std::string plain(text);
  std::ranges::replace(plain, '*', 'x');
  std::ranges::replace(plain, '?', 'x');
  const bool regular = text.find_first_of("^$()[]{}|\\+") != std::string_view::npos;
  if (text.starts_with('[')) return parse_address(text).has_value();
  if (text.starts_with('/')) return !regular && is_one_line(text);
  return !regular && text.rfind(':') != std::string_view::npos &&
         plain.find('/') == std::string::npos;
}

void parse_allow(Report& report, const Value& value, MemberFile& member) {
  Reader reader(report, value, "allow");
  if (reader.take("haproxy") != nullptr) {
    member.allow["haproxy"] = reader.texts_that("haproxy", is_socket_pattern,
                                                "an absolute path, or host:port; * and ? stand for"
                                                " what varies");
  }
  if (reader.take("exec") != nullptr) {
    member.allow["exec"] = reader.texts("exec");
  }
  for (const std::string& pattern : member.allow["exec"]) {
    if (core::is_plain_path(pattern)) continue;
    reader.wrong(*reader.take("exec"), "exec", "'" + shown(pattern) + "' matches no program",
                 "absolute paths without '..', * and ? for parts of a name");
  }
  if (member.allow["exec"].empty()) member.allow.erase("exec");
  note_idle(reader, member, {"nginx", "units", "nftables", "addresses", "http"});
}

/// What a voter needs and an agent does not stands without effect in its file.
void check_agent(Report& report, const Value& root, MemberFile& member) {
  if (member.members.empty()) {
    report.add(root.place, "cluster.members", "an agent needs the voters' addresses",
               "the name and address of each voter");
  }
  if (std::ranges::find(member.members, member.node_name, &MemberAddress::name) !=
      member.members.end()) {
    report.add(root.place, "cluster.members",
               "'" + shown(member.node_name) + "' is an agent, and cluster.members are the voters",
               "role: voter, or a name of its own");
  }
  if (member.tls_ca.empty()) {
    report.add(root.place, "tls", "'tls' is missing",
               "ca, cert and key: a group talks over mutual TLS only");
  }
  const std::string where = report.file + ":" + std::to_string(root.place.line) + ":" +
                            std::to_string(root.place.column) + ": ";
  if (member.listen_cluster) member.without_effect.push_back(where + "listen.cluster of an agent");
  if (!member.spec_globs.empty()) member.without_effect.push_back(where + "spec of an agent");
  member.listen_cluster.reset();
  member.spec_globs.clear();
}

void check_group(Report& report, const Value& root, MemberFile& member) {
  if (member.is_agent()) return check_agent(report, root, member);
  if (member.members.empty()) {
    member.members.push_back({member.node_name, member.listen_cluster.value_or(core::Address{})});
    return;
  }
  const auto self = std::ranges::find(member.members, member.node_name, &MemberAddress::name);
  const bool founder = self != member.members.end();
  if (!founder && !member.listen_cluster) {
    std::vector<std::string> names;
    for (const MemberAddress& one : member.members) names.push_back(one.name);
    report.add(root.place, "cluster.members",
               "this member, '" + shown(member.node_name) + "', is not among them",
               "its name there, or listen.cluster for one that is added to a group later",
               nearest(member.node_name, names));
    return;
  }
  if (founder && member.alone()) return;
  if (!member.listen_cluster) member.listen_cluster = self->address;
  if (member.tls_ca.empty())
    report.add(root.place, "tls", "'tls' is missing",
               "ca, cert and key: a group talks over mutual TLS only");
}

constexpr std::array<std::string_view, 10> kMemberKeys{
    "node_name", "zone", "data_dir", "log", "listen", "cluster", "tls", "spec", "allow", "secrets"};
constexpr std::array<std::string_view, 7> kSpecKeys{
    "version", "services", "playbooks", "receivers", "route", "deadman", "maintenance"};

}  // namespace

bool is_member_file(const core::SourceFile& file) {
  std::vector<Diagnostic> ignored;
  const Value root = read_document(file.name, file.text, ignored);
  const auto has_one_of = [&root](const auto& keys) {
    return std::ranges::any_of(root.map, [&keys](const Value::Entry& entry) {
      return std::ranges::find(keys, entry.key) != keys.end();
    });
  };
  return has_one_of(kMemberKeys) && !has_one_of(kSpecKeys);
}

ParsedMember parse_member(const core::SourceFile& file, const std::string& host_name) {
  ParsedMember parsed;
  MemberFile member;
  const Value root = read_document(file.name, file.text, parsed.diagnostics);
  if (!parsed.diagnostics.empty()) return parsed;
  Report report{file.name, Strictness::Apply, parsed.diagnostics};
  {
    Reader reader(report, root, "");
    member.node_name = reader.text_or("node_name", host_name);
    member.zone = reader.text_or("zone", "");
    member.data_dir = reader.text_or("data_dir", member.data_dir);
    if (const Value* log = reader.take("log"); log != nullptr) {
      Reader inner(report, *log, "log");
      member.log_level =
          inner.word_or("level", "info", {"trace", "debug", "info", "warn", "error"});
    }
    if (const Value* cluster = reader.take("cluster"); cluster != nullptr)
      parse_cluster(report, *cluster, member);
    if (const Value* listen = reader.take("listen"); listen != nullptr)
      parse_listen(report, *listen, member);
    if (const Value* tls = reader.take("tls"); tls != nullptr) parse_tls(report, *tls, member);
    member.spec_globs = reader.texts("spec");
    if (const Value* allow = reader.take("allow"); allow != nullptr)
      parse_allow(report, *allow, member);
    member.secrets = reader.text_or("secrets", member.secrets);
    check_group(report, root, member);
  }
  sort_by_place({file.name}, parsed.diagnostics);
  if (parsed.diagnostics.empty()) parsed.member = std::move(member);
  return parsed;
}

}  // namespace fettle::spec
