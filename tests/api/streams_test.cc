// Stories of the event stream: follow, come back where it was cut, a gap, a client that does not
// read.
#include <gtest/gtest.h>

#include <algorithm>

#include "api/events.h"
#include "tests/api/example_state.h"
#include "tests/api/fake_backend.h"
#include "tests/api/raw_client.h"

namespace fettle::api {
namespace {

std::vector<core::Event> events(std::uint64_t first, std::uint64_t last,
                                std::size_t reason_bytes = 0) {
  std::vector<core::Event> list;
  for (std::uint64_t i = first; i <= last; ++i) {
    list.push_back(example_event(i, 0, std::string(reason_bytes, 'r')));
  }
  return list;
}

/// A stream whose opening has come.
RawClient follow(const ApiServer& server, const std::string& headers = "") {
  RawClient client = RawClient::local(server.socket);
  client.send("GET /v1/events HTTP/1.1\r\nHost: f\r\n" + headers + "\r\n");
  EXPECT_NE(client.take_until("\r\n\r\n").find("content-type: text/event-stream"),
            std::string::npos);
  EXPECT_TRUE(client.read_until(": fettle\n\n"));
  return client;
}

TEST(Streams, AFollowerGetsWhatHappensFromNowOn) {
  ApiServer server;
  server.publish(events(1, 3));
  RawClient client = follow(server);
  server.publish(events(4, 5));
  const std::string text = client.take_until("id: 5.0\nevent: verdict.changed\ndata: ");
  EXPECT_NE(text.find("id: 4.0\n"), std::string::npos);
  EXPECT_EQ(text.find("id: 3.0\n"), std::string::npos);
}

TEST(Streams, EveryoneWhoFollowsGetsEveryEventInOrder) {
  ApiServer server;
  std::vector<RawClient> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(follow(server));
  constexpr std::uint64_t kEvents = 500;
  for (std::uint64_t i = 1; i <= kEvents; ++i) server.publish(events(i, i));
  for (RawClient& client : clients) {
    for (std::uint64_t i = 1; i <= kEvents; ++i) {
      const std::string one = client.take_until("}\n\n");
      ASSERT_NE(one.find("id: " + std::to_string(i) + ".0\n"), std::string::npos);
    }
  }
}

TEST(Streams, LastEventIdGoesOnWhereItWasCut) {
  ApiServer server;
  server.publish(events(1, 9));
  RawClient client = follow(server, "Last-Event-ID: 7.0\r\n");
  const std::string text = client.take_until("id: 9.0\n");
  EXPECT_NE(text.find("id: 8.0\n"), std::string::npos);
  EXPECT_EQ(text.find("id: 7.0\n"), std::string::npos);
  EXPECT_EQ(text.find("gap"), std::string::npos);
}

TEST(Streams, OneGapEventIfThatIsNoLongerKept) {
  ApiServer server;
  server.publish(events(1, EventRing::kKept + 10));
  RawClient client = follow(server, "Last-Event-ID: 3.0\r\n");
  const std::string newest = "id: " + std::to_string(EventRing::kKept + 10) + ".0\n";
  const std::string text = client.take_until(newest);
  const std::size_t gap = text.find("event: gap\n");
  ASSERT_NE(gap, std::string::npos);
  EXPECT_LT(gap, text.find("id: 11.0\n"));
  EXPECT_EQ(text.find("event: gap\n", gap + 1), std::string::npos);
}

TEST(Streams, AnIdThatIsNoneIs400) {
  ApiServer server;
  RawClient client = RawClient::local(server.socket);
  EXPECT_EQ(client.get("/v1/events", "Last-Event-ID: x\r\n").status, 400);
  EXPECT_EQ(client.get("/v1/events?since=x").status, 400);
}

TEST(Streams, SinceGivesLinesOfJsonAndEnds) {
  ApiServer server;
  server.publish(events(1, 4));
  RawClient client = RawClient::tcp(server.port);
  const RawAnswer answer = client.get("/v1/events?since=2");
  EXPECT_NE(answer.head.find("application/x-ndjson"), std::string::npos);
  EXPECT_EQ(std::ranges::count(answer.body, '\n'), 2);
  EXPECT_TRUE(answer.body.starts_with(R"({"id":"3.0")"));
  EXPECT_EQ(client.get("/v1/events?since=4").body, "");
  EXPECT_EQ(client.get("/v1/events?since=0").body.find("gap"), std::string::npos);
}

TEST(Streams, ManyEventsAtOnceComeWhole) {
  ApiServer server;
  server.publish(events(1, EventRing::kKept, 200));
  RawClient client = follow(server, "Last-Event-ID: 0\r\n");
  const std::string newest = "id: " + std::to_string(EventRing::kKept) + ".0\n";
  EXPECT_TRUE(client.read_until(newest));
  EXPECT_EQ(client.take_until(newest).find("gap"), std::string::npos);
}

TEST(Streams, AClientThatDoesNotReadIsDroppedAndDisturbsNobody) {
  ApiServer server(std::chrono::seconds(1));
  RawClient slow = follow(server);
  RawClient quick = follow(server);
  constexpr std::uint64_t kEvents = 6000;
  server.publish(events(1, kEvents, 1000));
  EXPECT_TRUE(quick.read_until("id: " + std::to_string(kEvents) + ".0\n"));
  EXPECT_TRUE(slow.is_hung_up_on());
  EXPECT_FALSE(slow.read_until("id: " + std::to_string(kEvents) + ".0\n"));
  server.publish(events(kEvents + 1, kEvents + 1));
  EXPECT_TRUE(quick.read_until("id: " + std::to_string(kEvents + 1) + ".0\n"));
}

TEST(Streams, AnIdleFollowerIsKept) {
  ApiServer server(std::chrono::seconds(1));
  RawClient client = follow(server);
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));  // longer than the client's limit
  server.publish(events(1, 1));
  EXPECT_TRUE(client.read_until("id: 1.0\n"));
}

TEST(Streams, TheServerMayEndWithStreamsOpen) {
  std::vector<RawClient> clients;
  {
    ApiServer server;
    for (int i = 0; i < 5; ++i) clients.push_back(follow(server));
    server.publish(events(1, 100, 1000));
  }
  for (RawClient& client : clients) EXPECT_TRUE(client.ends());
}

TEST(Streams, TheyAreBoundedInNumber) {
  ApiServer server;
  std::vector<RawClient> clients;
  for (int i = 0; i < Server::kStreamsMax; ++i) {
    clients.push_back(RawClient::tcp(server.port));
    clients.back().send("GET /v1/events HTTP/1.1\r\nHost: f\r\n\r\n");
    EXPECT_TRUE(clients.back().read_until(": fettle\n\n"));
  }
  EXPECT_EQ(RawClient::tcp(server.port).get("/v1/events").status, 503);
  EXPECT_EQ(RawClient::tcp(server.port).get("/v1/status").status, 200);
}

}  // namespace
}  // namespace fettle::api
