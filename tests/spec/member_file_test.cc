// Stories of the member file: the smallest one and its defaults, the whole one, alone or in a
// group.
#include <gtest/gtest.h>

#include "tests/spec/spec_files.h"

namespace fettle::spec {
namespace {

using std::chrono::milliseconds;

MemberFile read(const std::string& text, const std::string& host_name = "gpu1") {
  ParsedMember parsed = parse_member({"fettled.yaml", text}, host_name);
  EXPECT_TRUE(parsed.member) << told(parsed.diagnostics);
  return parsed.member.value_or(MemberFile{});
}

TEST(SmallestMemberFile, HasTheDocumentedDefaults) {
  const MemberFile member = read(data_file("smallest_member.yaml").text, "box");
  EXPECT_EQ(member.node_name, "box") << "the host's name";
  EXPECT_EQ(member.zone, "");
  EXPECT_EQ(member.data_dir, "/var/lib/fettle");
  EXPECT_EQ(member.log_level, "info");
  EXPECT_EQ(member.cluster, "fettle");
  EXPECT_EQ(member.listen_api, (core::Address{"127.0.0.1", 7700}));
  EXPECT_EQ(member.listen_socket, "/run/fettle/fettle.sock");
  EXPECT_EQ(member.secrets, "/etc/fettle/secrets");
  EXPECT_EQ(member.spec_globs, std::vector<std::string>{"/etc/fettle/conf.d/*.yaml"});
  EXPECT_EQ(member.allow.at("haproxy"), std::vector<std::string>{"/run/haproxy/admin.sock"});
  EXPECT_TRUE(member.without_effect.empty());
}

TEST(SmallestMemberFile, StandsAloneWithoutAClusterListener) {
  const MemberFile member = read(data_file("smallest_member.yaml").text, "box");
  EXPECT_TRUE(member.alone());
  EXPECT_FALSE(member.listen_cluster);
  ASSERT_EQ(member.members.size(), 1U);
  EXPECT_EQ(member.members[0].name, "box");
}

TEST(WholeMemberFile, SaysWhatItSays) {
  const MemberFile member = read(data_file("whole_member.yaml").text, "another-name");
  EXPECT_EQ(member.node_name, "gpu1");
  EXPECT_EQ(member.zone, "az1");
  EXPECT_EQ(member.cluster, "llm-prod");
  EXPECT_EQ(member.listen_cluster, (core::Address{"10.0.0.11", 7701}));
  ASSERT_EQ(member.members.size(), 3U);
  EXPECT_EQ(member.members[2].name, "gpu3");
  EXPECT_EQ(member.members[2].address, (core::Address{"10.0.0.13", 7701}));
  EXPECT_FALSE(member.alone());
  EXPECT_EQ(member.tls_ca, "/etc/fettle/tls/ca.pem");
  EXPECT_EQ(member.tls_cert, "/etc/fettle/tls/gpu1.pem");
  EXPECT_EQ(member.tls_key, "/etc/fettle/tls/gpu1.key");
}

TEST(WholeMemberFile, IsToldWhatHasNoEffectYet) {
  const MemberFile member = read(data_file("whole_member.yaml").text);
  EXPECT_EQ(member.without_effect,
            (std::vector<std::string>{
                "fettled.yaml:21:10: allow.nginx", "fettled.yaml:22:10: allow.units",
                "fettled.yaml:24:13: allow.nftables", "fettled.yaml:25:14: allow.addresses",
                "fettled.yaml:26:9: allow.http"}));
}

TEST(Allow, HoldsThePatternsOfPrograms) {
  const MemberFile member = read(data_file("whole_member.yaml").text);
  EXPECT_EQ(member.allow.at("exec"), std::vector<std::string>{"/usr/local/lib/fettle/*"});
}

TEST(Allow, IsNothingByDefault) { EXPECT_TRUE(read("zone: az1\n").allow.empty()); }

TEST(AGroup, ListensWhereTheOthersLookForIt) {
  const MemberFile member = read(
      "cluster:\n  members:\n    - {name: gpu1, address: 10.0.0.11:7701}\n"
      "    - {name: gpu2, address: 10.0.0.12:7701}\ntls: {ca: /ca, cert: /cert, key: /key}\n");
  EXPECT_EQ(member.listen_cluster, (core::Address{"10.0.0.11", 7701}));
}

TEST(AGroup, OfOneMemberNeedsNoTls) {
  const MemberFile member = read("cluster: {members: [{name: gpu1, address: 10.0.0.11:7701}]}\n");
  EXPECT_TRUE(member.alone());
  EXPECT_TRUE(member.tls_ca.empty());
}

TEST(Pace, IsLeftToTheDefaultsUnlessItIsGiven) {
  const MemberFile member = read("cluster: {name: llm}\n");
  EXPECT_EQ(member.election_timeout.count(), 0);
  EXPECT_EQ(member.heartbeat.count(), 0);
}

TEST(Pace, OfOneGivenNumberFollowsTheOther) {
  const MemberFile slow = read("cluster: {heartbeat: 400ms}\n");
  EXPECT_EQ(slow.election_timeout, milliseconds(2000)) << "the default would be over before it";
  const MemberFile fast = read("cluster: {election_timeout: 50ms}\n");
  EXPECT_EQ(fast.heartbeat, milliseconds(10)) << "the default would come after it";
  const MemberFile least = read("cluster: {heartbeat: 2ms}\n");
  EXPECT_EQ(least.election_timeout, milliseconds(20));
}

TEST(AnAgent, NamesTheVotersAndListensForNobody) {
  const MemberFile member = read(
      "cluster:\n  role: agent\n  members:\n    - {name: gpu2, address: 10.0.0.12:7701}\n"
      "listen: {cluster: 10.0.0.11:7701}\ntls: {ca: /ca, cert: /cert, key: /key}\n");
  EXPECT_TRUE(member.is_agent());
  EXPECT_FALSE(member.alone());
  EXPECT_FALSE(member.listen_cluster.has_value());
  EXPECT_EQ(member.without_effect,
            std::vector<std::string>{"fettled.yaml:1:1: listen.cluster of an agent"});
}

TEST(AnAgent, IsNoneOfTheVotersAndNeedsThemAndTls) {
  const auto parsed = parse_member({"f", "cluster: {role: agent}\n"}, "gpu1");
  EXPECT_FALSE(parsed.member);
  EXPECT_EQ(parsed.diagnostics.size(), 2U) << told(parsed.diagnostics);
  const auto among = parse_member({"f",
                                   "cluster:\n  role: agent\n  members:\n"
                                   "    - {name: gpu1, address: 10.0.0.11:7701}\n"
                                   "tls: {ca: /ca, cert: /cert, key: /key}\n"},
                                  "gpu1");
  EXPECT_FALSE(among.member);
  EXPECT_EQ(among.diagnostics.size(), 1U) << told(among.diagnostics);
}

TEST(ShippedExamples, AreGoodMemberFiles) {
  const std::string folder = FETTLE_SOURCE_DIR "/etc/";
  EXPECT_TRUE(read(read_whole(folder + "fettled.yaml")).alone());
  EXPECT_FALSE(read(read_whole(folder + "group/fettled.yaml")).alone());
}

TEST(AMemberFile, IsKnownByItsKeys) {
  for (const char* name : {"smallest_member.yaml", "whole_member.yaml"}) {
    EXPECT_TRUE(is_member_file(data_file(name))) << name;
  }
  for (const char* name : {"smallest_spec.yaml", "whole_spec.yaml"}) {
    EXPECT_FALSE(is_member_file(data_file(name))) << name;
  }
  EXPECT_TRUE(is_member_file({"f", "alow: {}\ndata_dir: /d\n"})) << "one that has a slip in it";
  EXPECT_FALSE(is_member_file({"f", "zone: az1\nservices: []\n"})) << "a spec with a slip in it";
  for (const char* text : {"", "[]", "{", "recievers: []\n"}) {
    EXPECT_FALSE(is_member_file({"f", text})) << text;
  }
}

TEST(TheApi, ListensOnLoopbackOnly) {
  for (const char* address :
       {"127.0.0.1:7700", "127.3.2.1:1", "localhost:7700", "\"[::1]:7700\""}) {
    const auto parsed =
        parse_member({"f", std::string("listen: {api: ") + address + "}\n"}, "gpu1");
    EXPECT_TRUE(parsed.member) << address << told(parsed.diagnostics);
  }
  for (const char* address :
       {"0.0.0.0:7700", "10.0.0.1:7700", "127.example.com:7700", "\"[::]:7700\""}) {
    const auto parsed =
        parse_member({"f", std::string("listen: {api: ") + address + "}\n"}, "gpu1");
    EXPECT_FALSE(parsed.member) << address;
    EXPECT_EQ(parsed.diagnostics.size(), 1U) << address;
  }
}

}  // namespace
}  // namespace fettle::spec
