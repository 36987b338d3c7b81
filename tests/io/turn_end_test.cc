// What gathers in a turn of the loop and goes out at its end: nothing is late, nothing is lost.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "io/certificates.h"
#include "io/listener.h"
#include "io/stream.h"

namespace fettle::io {
namespace {

/// A folder with one certificate of one CA, for both ends.
std::shared_ptr<TlsContext> tls_of_test() {
  const auto folder =
      std::filesystem::temp_directory_path() / ("turn-end-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(folder / name) << text;
    return (folder / name).string();
  };
  const KeyAndCertificate ca = make_ca("test").value();
  const KeyAndCertificate one = make_member_certificate(ca, "test", "m1").value();
  auto tls = TlsContext::load(write("ca", ca.cert_pem), write("cert", one.cert_pem),
                              write("key", one.key_pem));
  std::filesystem::remove_all(folder);
  return tls.value();
}

/// A server that keeps what it reads, part by part, and stops the loop when its client is gone.
struct Server {
  explicit Server(Loop& on) : loop(on), listener(on) {
    constexpr std::uint16_t kFirst = 20000, kPorts = 12000;  // below the kernel's own
    const auto take = [this](uv_stream_t* from, bool local) { accept(from, local); };
    for (std::uint16_t i = 0; i < kPorts; ++i) {
      address =
          parse_numeric("127.0.0.1", static_cast<std::uint16_t>(kFirst + (getpid() + i) % kPorts));
      if (listener.listen_tcp(*address, take)) return;
    }
  }
  void accept(uv_stream_t* from, bool local) {
    stream = std::make_unique<Stream>(loop);
    stream->accept(from, local,
                   {.on_open = [] {},
                    .on_data = [this](std::string_view bytes) { parts.emplace_back(bytes); },
                    .on_end =
                        [this](End how, const std::string&) {
                          end = how;
                          loop.stop();
                        }},
                   tls);
  }
  std::string all() const {
    std::string text;
    for (const std::string& part : parts) text += part;
    return text;
  }

  Loop& loop;
  std::shared_ptr<TlsContext> tls = tls_of_test();
  Listener listener;
  std::optional<SockAddress> address;
  std::unique_ptr<Stream> stream;
  std::vector<std::string> parts;
  std::optional<End> end;
};

/// Connects, lets `speak` write in one turn, and runs until the server has seen the end.
void converse(Server& server, const std::function<void(Stream&)>& speak) {
  Stream client(server.loop);
  client.connect_tcp(*server.address,
                     {.on_open = [&] { speak(client); },
                      .on_data = [](std::string_view) {},
                      .on_end = [](End, const std::string&) {}},
                     Stream::kOpenTimeout, server.tls, "m1");
  server.loop.run();
}

TEST(TurnEnd, ATaskRunsOnceBeforeTheLoopWaitsAndSoDoesWhatItAdds) {
  Loop loop;
  std::string order;
  loop.post([&] {
    loop.before_waiting([&] {
      order += 'b';
      loop.before_waiting([&] { order += 'c'; });
    });
    order += 'a';
  });
  loop.post([&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(order, "abc");
}

TEST(TurnEnd, WhatAStreamWritesInATurnIsOneRecord) {
  Loop loop;
  Server server(loop);
  converse(server, [](Stream& client) {
    for (int i = 0; i < 100; ++i) client.write("message ");
    client.finish();
  });
  EXPECT_EQ(server.parts.size(), 1U);
  EXPECT_EQ(server.all().size(), 100 * std::string("message ").size());
  EXPECT_EQ(server.end, End::Eof);
}

TEST(TurnEnd, AStreamThatWritesMoreThanARecordAndFinishesHasSentItAllInOrder) {
  Loop loop;
  Server server(loop);
  std::string said;
  converse(server, [&](Stream& client) {
    for (int i = 0; i < 50; ++i) {
      const std::string part(static_cast<std::size_t>(1000 + i * 37), static_cast<char>('A' + i));
      said += part;
      client.write(part);
    }
    client.write(std::string(100'000, 'z'));
    said += std::string(100'000, 'z');
    client.finish();
  });
  EXPECT_TRUE(server.all() == said) << server.all().size() << " of " << said.size() << " bytes";
  EXPECT_EQ(server.end, End::Eof);
}

TEST(TurnEnd, WhatWasWrittenBeforeTheLoopIsStoppedHasLeft) {
  Loop loop;
  Server server(loop);
  {
    Stream client(loop);
    client.connect_tcp(*server.address,
                       {.on_open =
                            [&] {
                              client.write("the last word");
                              loop.stop();
                            },
                        .on_data = [](std::string_view) {},
                        .on_end = [](End, const std::string&) {}},
                       Stream::kOpenTimeout, server.tls, "m1");
    loop.run();
    EXPECT_EQ(client.backlog(), 0U);
    client.finish();
    loop.run();
  }
  EXPECT_EQ(server.all(), "the last word");
}

}  // namespace
}  // namespace fettle::io
