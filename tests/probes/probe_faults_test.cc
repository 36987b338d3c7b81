// Targets that answer badly, late, without end or not at all: every look has one outcome, in time,
// and takes no more from the target than its bounds.
#include <gtest/gtest.h>

#include "probes/probe.h"
#include "probes/registry.h"
#include "tests/probes/bad_server.h"

namespace fettle::probes {
namespace {

using core::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kTimeout(400);
/// What may lie in socket buffers on top of what the probe reads.
constexpr std::size_t kTakenBytesMax = 16U * 1024 * 1024;
constexpr std::string_view kFine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

class ProbeFaults : public ::testing::Test {
 protected:
  std::unique_ptr<Probe> probe(const std::string& kind, const core::Address& address) {
    core::ProbeSpec spec;
    spec.name = kind;
    spec.kind = kind;
    auto made = make(spec, address, context_);
    EXPECT_TRUE(made.has_value());
    return std::move(*made);
  }
  /// Looks once; `meanwhile` runs on the loop's thread right after the look began.
  Look look(Probe& probe, core::Duration timeout = kTimeout,
            const std::function<void()>& meanwhile = nullptr) {
    Look seen;
    bool answered = false;
    probe.look(timeout, [&](Look one) {
      EXPECT_FALSE(answered) << "answered twice";
      answered = true;
      seen = std::move(one);
      loop_.stop();
    });
    if (meanwhile) meanwhile();
    loop_.run();
    EXPECT_TRUE(answered);
    return seen;
  }
  Look look_at(BadServer& server) {
    const auto one = probe("http", {"127.0.0.1", server.port()});
    Look seen = look(*one);
    EXPECT_LT(seen.latency, kTimeout + seconds(2));
    EXPECT_LT(server.said(), kTakenBytesMax);
    return seen;
  }

  io::Loop loop_;
  io::Resolver resolver_{loop_};
  ProbeContext context_{loop_, resolver_};
};

/// Answers each request with `head`, and then with `part` again and again.
BadServer::Treat endlessly(std::string head, std::string part) {
  return [head = std::move(head), part = std::move(part)](BadServer::Peer& peer, int) {
    if (!peer.hear() || !peer.say(head)) return;
    while (peer.say(part)) {
    }
  };
}

BadServer::Treat once(std::string answer, bool then_hold) {
  return [answer = std::move(answer), then_hold](BadServer::Peer& peer, int) {
    if (peer.hear() && peer.say(answer) && then_hold) peer.hold();
  };
}

TEST_F(ProbeFaults, AHeaderWithoutEndIsCutAtItsBound) {
  BadServer server(endlessly("HTTP/1.1 200 OK\r\nX-Endless: ", std::string(4096, 'x')));
  const Look seen = look_at(server);
  EXPECT_EQ(seen.outcome, Outcome::BadBody);
  EXPECT_NE(seen.detail.find("header is larger"), std::string::npos) << seen.detail;
}

TEST_F(ProbeFaults, HeadersWithoutEndAreCutAtTheirBound) {
  BadServer server(endlessly("HTTP/1.1 200 OK\r\n", "X-One: more\r\nX-Two: more\r\n"));
  EXPECT_EQ(look_at(server).outcome, Outcome::BadBody);
}

TEST_F(ProbeFaults, ABodyWithoutEndIsCutAtItsBound) {
  BadServer server(endlessly("HTTP/1.1 200 OK\r\n\r\n", std::string(4096, 'x')));
  const Look seen = look_at(server);
  EXPECT_EQ(seen.outcome, Outcome::BadBody);
  EXPECT_NE(seen.detail.find("body is larger"), std::string::npos) << seen.detail;
}

TEST_F(ProbeFaults, ChunksWithoutEndAreCutAtTheirBound) {
  BadServer server(
      endlessly("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\nmore\r\n"));
  EXPECT_EQ(look_at(server).outcome, Outcome::BadBody);
}

TEST_F(ProbeFaults, HalfAStatusLineAndSilenceIsATimeout) {
  BadServer server(once("HTTP/1.1 20", true));
  EXPECT_EQ(look_at(server).outcome, Outcome::Timeout);
}

TEST_F(ProbeFaults, HalfAStatusLineAndTheEndIsABadAnswer) {
  BadServer server(once("HTTP/1.1 20", false));
  EXPECT_EQ(look_at(server).outcome, Outcome::BadBody);
}

TEST_F(ProbeFaults, ABodyThatEndsBeforeItsLengthIsABadAnswer) {
  BadServer server(once("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", false));
  EXPECT_EQ(look_at(server).outcome, Outcome::BadBody);
}

TEST_F(ProbeFaults, AByteNowAndThenDoesNotPutOffTheDeadline) {
  BadServer server([](BadServer::Peer& peer, int) {
    if (!peer.hear() || !peer.say("HTTP/1.1 200 OK\r\nX-Slow: ")) return;
    while (peer.say("x")) std::this_thread::sleep_for(milliseconds(50));
  });
  EXPECT_EQ(look_at(server).outcome, Outcome::Timeout);
}

TEST_F(ProbeFaults, GarbageIsABadAnswer) {
  BadServer server(endlessly("\x16\x03\x01 not HTTP\r\n", std::string(512, '\xff')));
  EXPECT_EQ(look_at(server).outcome, Outcome::BadBody);
}

TEST_F(ProbeFaults, AServerOfHttp2IsABadAnswer) {
  const std::string settings("\0\0\0\x04\0\0\0\0\0", 9);
  BadServer server(once(settings + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true));
  EXPECT_EQ(look_at(server).outcome, Outcome::BadBody);
}

TEST_F(ProbeFaults, AnswersThatOnlyAnnounceTheAnswerAreSkipped) {
  BadServer server(
      once("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" +
               std::string(kFine),
           true));
  const Look seen = look_at(server);
  EXPECT_EQ(seen.outcome, Outcome::Pass) << seen.detail;
  EXPECT_EQ(seen.detail, "status 200");
}

TEST_F(ProbeFaults, AnnouncementsWithoutEndAreCut) {
  BadServer server(endlessly("", "HTTP/1.1 100 Continue\r\n\r\n"));
  const Look seen = look_at(server);
  EXPECT_EQ(seen.outcome, Outcome::BadBody);
  EXPECT_NE(seen.detail.find("1xx"), std::string::npos) << seen.detail;
}

TEST_F(ProbeFaults, ClosingAtOnceIsAReset) {
  BadServer server([](BadServer::Peer&, int) {});
  EXPECT_EQ(look_at(server).outcome, Outcome::Reset);
}

TEST_F(ProbeFaults, AnAnswerToNothingIsNotTakenForTheNextAnswer) {
  BadServer server([](BadServer::Peer& peer, int) {
    while (peer.hear()) {
      if (!peer.say(std::string(kFine) + "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")) return;
    }
  });
  const auto one = probe("http", {"127.0.0.1", server.port()});
  EXPECT_EQ(look(*one).outcome, Outcome::Pass);
  EXPECT_EQ(look(*one).outcome, Outcome::Pass);
  EXPECT_EQ(server.connections(), 2) << "the confused connection was not kept";
}

TEST_F(ProbeFaults, AnAnswerWhileNothingIsAskedEndsTheKeptConnection) {
  BadServer server([](BadServer::Peer& peer, int number) {
    if (!peer.hear() || !peer.say(kFine)) return;
    std::this_thread::sleep_for(milliseconds(50));
    if (number == 0) peer.say("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
    peer.hold();
  });
  const auto one = probe("http", {"127.0.0.1", server.port()});
  one->set_on_alarm([this] { loop_.stop(); });
  EXPECT_EQ(look(*one).outcome, Outcome::Pass);
  loop_.run();  // until the alarm
  EXPECT_EQ(look(*one).outcome, Outcome::Pass);
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(ProbeFaults, AKeptConnectionThatClosesAsWeAskIsTriedOnceMoreOnANewOne) {
  BadServer server([](BadServer::Peer& peer, int number) {
    if (!peer.hear() || !peer.say(kFine)) return;
    if (number == 0 && peer.hear()) return;  // takes the second request and closes
    peer.hold();
  });
  const auto one = probe("http", {"127.0.0.1", server.port()});
  EXPECT_EQ(look(*one).outcome, Outcome::Pass);
  EXPECT_EQ(look(*one).outcome, Outcome::Pass);
  EXPECT_EQ(server.requests(), 3);
}

TEST_F(ProbeFaults, TheNewConnectionIsNotTriedAgain) {
  BadServer server([](BadServer::Peer& peer, int number) {
    if (!peer.hear() || number > 0) return;
    if (peer.say(kFine)) peer.hear();
  });
  const auto one = probe("http", {"127.0.0.1", server.port()});
  EXPECT_EQ(look(*one).outcome, Outcome::Pass);
  EXPECT_EQ(look(*one).outcome, Outcome::Reset);
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(ProbeFaults, ANameThatNobodyKnowsIsNoWordAboutTheNode) {
  const core::Address nowhere{std::string(70, 'a') + ".invalid", 80};  // a label is at most 63
  EXPECT_EQ(look(*probe("http", nowhere)).outcome, Outcome::CannotProbe);
  EXPECT_EQ(look(*probe("tcp", nowhere)).outcome, Outcome::CannotProbe);
}

TEST_F(ProbeFaults, AStatusThatIsAboutTheQuestionIsNoWordAboutTheNode) {
  const auto answered = [this](const std::string& status) {
    BadServer server(once("HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n\r\n", true));
    return look_at(server).outcome;
  };
  for (const char* status : {"401 Who", "403 No", "404 What", "429 Later"}) {
    EXPECT_EQ(answered(status), Outcome::CannotProbe) << status;
  }
  for (const char* status : {"500 Oh", "503 Busy", "302 There"}) {
    EXPECT_EQ(answered(status), Outcome::BadStatus) << status;
  }
}

TEST_F(ProbeFaults, ABusyLoopBlamesNobodyForAnAnswerThatIsHere) {
  BadServer server(once(std::string(kFine), true));
  const auto busy = [] { std::this_thread::sleep_for(3 * kTimeout); };
  EXPECT_EQ(look(*probe("http", {"127.0.0.1", server.port()}), kTimeout, busy).outcome,
            Outcome::Pass);
}

TEST_F(ProbeFaults, ABusyLoopBlamesNobodyForAConnectionThatIsHere) {
  BadServer server([](BadServer::Peer& peer, int) { peer.hold(); });
  const auto busy = [] { std::this_thread::sleep_for(3 * kTimeout); };
  EXPECT_EQ(look(*probe("tcp", {"127.0.0.1", server.port()}), kTimeout, busy).outcome,
            Outcome::Pass);
}

}  // namespace
}  // namespace fettle::probes
