// Links on real sockets with real certificates: what their tests have in common.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>

#include "daemon/links.h"
#include "io/certificates.h"
#include "io/listener.h"
#include "tests/store/temp_folder.h"

namespace fettle::daemon {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A CA and what it signed, as files.
class Certificates {
 public:
  Certificates() : ca_(io::make_ca("test").value()) { write("ca.pem", ca_.cert_pem); }

  std::shared_ptr<io::TlsContext> of(const std::string& name) {
    const auto pair = io::make_member_certificate(ca_, "test", name).value();
    write(name + ".pem", pair.cert_pem);
    write(name + ".key", pair.key_pem);
    return io::TlsContext::load(at("ca.pem"), at(name + ".pem"), at(name + ".key")).value();
  }

 private:
  std::string at(const std::string& name) const { return folder_.file(name); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(at(name)) << text;
  }
  store::TempFolder folder_;
  io::KeyAndCertificate ca_;
};

inline wire::Hello hello_of(const std::string& name, core::MemberRole role) {
  wire::Hello hello{.cluster = "test", .in_group = true};
  hello.facts.name = name;
  hello.facts.role = role;
  return hello;
}

class LinkRig : public testing::Test {
 protected:
  /// Turns the loop until `done`, or for `most`.
  bool until(const std::function<bool()>& done, core::Duration most = seconds(20)) {
    bool met = false;
    io::Timer looks(loop);
    io::Timer end(loop);
    looks.start_repeating(milliseconds(1), [&] {
      if (!done()) return;
      met = true;
      loop.stop();
    });
    end.start(most, [&] { loop.stop(); });
    loop.run();
    return met;
  }
  /// One that nobody has.
  std::uint16_t port() {
    constexpr int kTries = 8000;
    for (int i = 0; i < kTries; ++i) {
      const std::uint16_t port = next_port_++;
      io::Listener listener(loop);
      if (listener.listen_tcp(*io::parse_numeric("127.0.0.1", port), [](uv_stream_t*, bool) {})) {
        return port;
      }
    }
    ADD_FAILURE() << "no port is free";
    return 0;
  }

  io::Loop loop;
  Certificates certificates;

 private:
  std::uint16_t next_port_ = static_cast<std::uint16_t>(12000 + getpid() % 8000);
};

}  // namespace fettle::daemon
