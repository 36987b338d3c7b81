// MemberFile: /etc/fettle/fettled.yaml, what one member is and may do. Pure; callers read the file.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/model.h"
#include "spec/diagnostic.h"

namespace fettle::spec {

struct MemberAddress {
  std::string name;
  core::Address address;
};

struct MemberFile {
  std::string node_name;
  std::string zone;
  std::string data_dir = "/var/lib/fettle";
  std::string log_level = "info";
  std::optional<core::Address> listen_cluster;
  core::Address listen_api{"127.0.0.1", 7700};
  std::string listen_socket = "/run/fettle/fettle.sock";
  std::string cluster = "fettle";
  core::MemberRole role = core::MemberRole::Voter;
  std::vector<MemberAddress> members;  // of a voter: at least itself; of an agent: the voters
  core::Duration election_timeout{0};  // both 0: the defaults; never only one of them
  core::Duration heartbeat{0};
  std::string tls_ca, tls_cert, tls_key;
  std::vector<std::string> spec_globs;
  std::map<std::string, std::vector<std::string>> allow;
  std::string secrets = "/etc/fettle/secrets";
  std::vector<std::string> without_effect;  // keys that are accepted but do nothing yet, with place

  bool is_agent() const { return role == core::MemberRole::Agent; }
  bool alone() const { return members.size() <= 1 && !is_agent(); }
};

struct ParsedMember {
  std::optional<MemberFile> member;
  std::vector<Diagnostic> diagnostics;
};

/// True if the document has keys of a member file at its top and none of a spec's: the two are told
/// apart by what stands in them, whatever they are called.
bool is_member_file(const core::SourceFile& file);

/// `host_name` is the default of node_name.
ParsedMember parse_member(const core::SourceFile& file, const std::string& host_name);

}  // namespace fettle::spec
