// Agents and voters on real sockets with real certificates: who is let in, who waits its turn, and
// which voters an agent has links to.
#include "daemon/uplinks.h"
#include "tests/daemon/link_rig.h"

namespace fettle::daemon {
namespace {

/// The links of one voter, and what they told.
struct Voter {
  Voter(io::Loop& loop, Certificates& certificates, const std::string& name, std::uint16_t port)
      : links(loop, certificates.of(name),
              {.hello = [name] { return hello_of(name, core::MemberRole::Voter); },
               .on_hello = [](const wire::Hello&) -> Status { return fail(Code::Refused, "no"); },
               .on_frame = {},
               .on_up = {},
               .on_down = {},
               .on_dead = {},
               .on_failed = {},
               .on_refused = {},
               .on_agent_hello = [](const wire::Hello&) -> Status { return {}; },
               .on_agent_up = [this](const wire::Hello& h) { up.push_back(h.facts.name); },
               .on_agent_down = [this](const std::string& a) { down.push_back(a); },
               .on_agent_frame = [this](const std::string& a,
                                        const wire::Frame&) { frames.push_back(a); }}),
        at{name, {"127.0.0.1", port}} {
    EXPECT_TRUE(links.listen(*io::parse_numeric("127.0.0.1", port)));
    links.connect_all();
  }
  std::vector<std::string> up;
  std::vector<std::string> down;
  std::vector<std::string> frames;
  Links links;
  wire::Voter at;
};

/// The links of one agent; `says` is the name in its hello, `name` the one in its certificate.
struct Fleetling {
  Fleetling(io::Loop& loop, Certificates& certificates, const std::string& name,
            const std::string& says, core::MemberRole role = core::MemberRole::Agent)
      : links(loop, certificates.of(name), name, 1,
              {.hello = [says, role] { return hello_of(says, role); },
               .on_hello = [](const wire::Hello&) -> Status { return {}; },
               .on_up = [this](const std::string& v) { up.push_back(v); },
               .on_down = [this](const std::string& v) { down.push_back(v); },
               .on_frame = [](const std::string&, const wire::Frame&) {}}) {}
  std::vector<std::string> up;
  std::vector<std::string> down;
  Uplinks links;
};

using AgentLinks = LinkRig;

TEST_F(AgentLinks, AnAgentHasLinksToTwoVotersAndPicksTheThirdWhenOneDies) {
  std::map<std::string, std::unique_ptr<Voter>> voters;
  std::vector<wire::Voter> named;
  for (const char* name : {"m1", "m2", "m3"}) {
    voters[name] = std::make_unique<Voter>(loop, certificates, name, port());
    named.push_back(voters[name]->at);
  }
  Fleetling agent(loop, certificates, "a1", "a1");
  agent.links.set_voters(named);
  ASSERT_TRUE(until([&] { return agent.links.voters_up().size() == 2; }));
  const auto first = agent.links.voters_up();
  EXPECT_EQ(agent.links.handshakes(), 2U);

  voters.erase(first[0]);
  ASSERT_TRUE(until([&] {
    const auto now = agent.links.voters_up();
    return now.size() == 2 && !agent.links.up(first[0]);
  }));
  EXPECT_TRUE(agent.links.up(first[1])) << "the other link stays";
  EXPECT_EQ(agent.down, std::vector<std::string>{first[0]});
  EXPECT_EQ(agent.links.handshakes(), 3U);
}

TEST_F(AgentLinks, AnAgentCannotSpeakUnderAnotherName) {
  Voter voter(loop, certificates, "m1", port());
  Fleetling impostor(loop, certificates, "a1", "a2");
  impostor.links.set_voters({voter.at});
  EXPECT_FALSE(until([&] { return !voter.up.empty(); }, seconds(4)));
  EXPECT_GE(impostor.links.handshakes(), 1U) << "it came, and was refused";
  EXPECT_TRUE(impostor.up.empty());
}

TEST_F(AgentLinks, OneThatOpensItsLinkAsAnAgentIsNoVoter) {
  Voter voter(loop, certificates, "m1", port());
  Fleetling impostor(loop, certificates, "m2", "m2", core::MemberRole::Voter);
  impostor.links.set_voters({voter.at});
  EXPECT_FALSE(until([&] { return !voter.up.empty(); }, seconds(4)));
  EXPECT_GE(impostor.links.handshakes(), 1U);
}

TEST_F(AgentLinks, WhatAnAgentSaysCarriesTheNameOfItsCertificate) {
  Voter voter(loop, certificates, "m1", port());
  Fleetling agent(loop, certificates, "a1", "a1");
  agent.links.set_voters({voter.at});
  ASSERT_TRUE(until([&] { return agent.links.up("m1"); }));
  agent.links.send("m1", wire::Report{{"somebody-else", "", {}}});
  ASSERT_TRUE(until([&] { return voter.frames.size() >= 2; }));
  for (const std::string& name : voter.frames) EXPECT_EQ(name, "a1");
}

TEST_F(AgentLinks, ANewLinkOfAnAgentTakesThePlaceOfItsOldOne) {
  Voter voter(loop, certificates, "m1", port());
  auto first = std::make_unique<Fleetling>(loop, certificates, "a1", "a1");
  first->links.set_voters({voter.at});
  ASSERT_TRUE(until([&] { return voter.up.size() == 1; }));
  Fleetling second(loop, certificates, "a1", "a1");
  second.links.set_voters({voter.at});
  ASSERT_TRUE(until([&] { return voter.up.size() == 2; }));
  EXPECT_EQ(voter.down, std::vector<std::string>{"a1"});
  EXPECT_EQ(voter.links.agents(), std::vector<std::string>{"a1"});
}

TEST_F(AgentLinks, HandshakesOfAFleetTakeTurns) {
  constexpr std::size_t kAgents = 100;
  Voter voter(loop, certificates, "m1", port());
  std::vector<std::unique_ptr<Fleetling>> fleet;
  for (std::size_t i = 0; i < kAgents; ++i) {
    const std::string name = "a" + std::to_string(i);
    fleet.push_back(std::make_unique<Fleetling>(loop, certificates, name, name));
  }
  const core::Time from = io::Loop::now();
  for (auto& one : fleet) one->links.set_voters({voter.at});
  ASSERT_TRUE(until([&] { return voter.links.agents().size() == kAgents; }, seconds(60)));
  EXPECT_EQ(voter.links.agent_handshakes(), kAgents);
  EXPECT_GE(io::Loop::now() - from,
            core::Duration(seconds(1)) * (kAgents - 1) / Links::kAgentHandshakesPerSecond);
}

TEST(InOrderOf, AgentsPreferEachVoterAboutAsOften) {
  std::vector<wire::Voter> voters{{"m1", {}}, {"m2", {}}, {"m3", {}}, {"m4", {}}, {"m5", {}}};
  std::map<std::string, std::size_t> times;
  constexpr std::size_t kAgents = 2000;
  for (std::size_t i = 0; i < kAgents; ++i) {
    const auto order = in_order_of("agent-" + std::to_string(i), voters);
    for (std::size_t n = 0; n < Uplinks::kLinks; ++n) ++times[order[n].name];
  }
  for (const wire::Voter& voter : voters) {
    const double share = static_cast<double>(times[voter.name]) / (kAgents * Uplinks::kLinks);
    EXPECT_NEAR(share, 1.0 / 5, 0.03) << voter.name;
  }
}

}  // namespace
}  // namespace fettle::daemon
