// Voters' links to each other on real sockets: who is told what when one comes, goes, or is not who
// the group knows.
#include <algorithm>
#include <string>
#include <vector>

#include "tests/daemon/link_rig.h"

namespace fettle::daemon {
namespace {

/// One voter's links, and what they told.
struct Peering {
  Peering(io::Loop& loop, Certificates& certificates, const std::string& name,
          const std::string& incarnation)
      : links(loop, certificates.of(name),
              {.hello =
                   [name, incarnation] {
                     wire::Hello hello = hello_of(name, core::MemberRole::Voter);
                     hello.facts.incarnation = incarnation;
                     return hello;
                   },
               .on_hello = [](const wire::Hello&) -> Status { return {}; },
               .on_frame = [](const std::string&, const wire::Frame&) {},
               .on_up = [this](const std::string& p) { told.push_back(p + " up"); },
               .on_down = [this](const std::string& p) { told.push_back(p + " down"); },
               .on_dead = [](const std::string&) {},
               .on_failed = [this](const std::string& p) { told.push_back(p + " failed"); },
               .on_refused =
                   [this](const std::string& p, const wire::Refused& r) {
                     told.push_back(p + " refuses: " + r.why);
                   },
               .on_agent_hello = {},
               .on_agent_up = {},
               .on_agent_down = {},
               .on_agent_frame = {}}) {}
  bool heard(const std::string& what) const { return std::ranges::find(told, what) != told.end(); }
  void begin(std::uint16_t port, const Peer& other) {
    EXPECT_TRUE(links.listen(*io::parse_numeric("127.0.0.1", port)));
    links.set_peers({other});
    links.connect_all();
  }
  std::vector<std::string> told;
  Links links;
};

class VoterLinks : public LinkRig {
 protected:
  bool meet() {
    a.begin(at_a, {"b", {"127.0.0.1", at_b}});
    b.begin(at_b, {"a", {"127.0.0.1", at_a}});
    return until([this] { return a.links.up("b") && b.links.up("a"); });
  }
  std::uint16_t at_a = port();
  std::uint16_t at_b = port();
  Peering a{loop, certificates, "a", "first"};
  Peering b{loop, certificates, "b", "second"};
};

auto is(const std::string& known) {
  return [known](const wire::Hello& hello) -> Status {
    if (hello.facts.incarnation == known) return {};
    return fail(Code::Refused, "it is another incarnation of b than the group knows");
  };
}

TEST_F(VoterLinks, APeerThatIsNotThereHasFailedOnce) {
  a.begin(at_a, {"b", {"127.0.0.1", at_b}});
  EXPECT_TRUE(until([this] { return a.heard("b failed"); }));
}

TEST_F(VoterLinks, AnotherIncarnationThanTheGroupKnowsIsDroppedBothWaysAndToldWhy) {
  ASSERT_TRUE(meet());
  a.links.drop_where_not("b", is("another"));
  EXPECT_FALSE(a.links.up("b"));
  EXPECT_TRUE(a.heard("b down"));
  EXPECT_TRUE(until([this] {
    return b.heard("a refuses: it is another incarnation of b than the group knows");
  }));
  EXPECT_TRUE(b.heard("a down"));
}

TEST_F(VoterLinks, TheIncarnationThatTheGroupKnowsStays) {
  ASSERT_TRUE(meet());
  a.links.drop_where_not("b", is("second"));
  EXPECT_TRUE(a.links.up("b"));
  EXPECT_FALSE(until([this] { return !a.links.up("b") || !b.links.up("a"); }, milliseconds(200)));
}

}  // namespace
}  // namespace fettle::daemon
