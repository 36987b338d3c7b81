// BadServer: a loopback server, on a thread of its own, that treats each connection as its test
// says, with blocking calls. It counts connections and the bytes that the client took.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "base/check.h"

namespace fettle {

class BadServer {
 public:
  /// One connection, as the test's function sees it.
  class Peer {
   public:
    Peer(int fd, BadServer& server) : fd_(fd), server_(server) {}
    /// False once the client is gone or the test over.
    bool say(std::string_view bytes) {
      while (!bytes.empty() && !server_.over_) {
        pollfd ready{fd_, POLLOUT, 0};
        if (poll(&ready, 1, kPollMs) <= 0) continue;
        const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) return false;
        server_.said_ += static_cast<std::size_t>(sent);
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      }
      return !server_.over_;
    }
    /// Reads until a request's head is whole; false when the client is gone.
    bool hear() {
      std::string head;
      while (head.find("\r\n\r\n") == std::string::npos) {
        std::array<char, 4096> part{};
        pollfd ready{fd_, POLLIN, 0};
        if (server_.over_) return false;
        if (poll(&ready, 1, kPollMs) <= 0) continue;
        const ssize_t got = recv(fd_, part.data(), part.size(), 0);
        if (got <= 0) return false;
        head.append(part.data(), static_cast<std::size_t>(got));
      }
      ++server_.requests_;
      return true;
    }
    /// Says nothing more and holds the connection until the client or the test goes.
    void hold() {
      std::array<char, 64> part{};
      while (!server_.over_) {
        pollfd ready{fd_, POLLIN, 0};
        if (poll(&ready, 1, kPollMs) > 0 && recv(fd_, part.data(), part.size(), 0) <= 0) return;
      }
    }

   private:
    static constexpr int kPollMs = 20;
    int fd_;
    BadServer& server_;
  };
  /// `number` counts connections from 0.
  using Treat = std::function<void(Peer&, int number)>;

  explicit BadServer(Treat treat) : treat_(std::move(treat)) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FETTLE_ASSERT(fd_ >= 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    constexpr std::uint16_t kLowest = 20000;
    constexpr std::uint16_t kHighest = 32000;
    for (port_ = static_cast<std::uint16_t>(kLowest + getpid() % 5000); port_ < kHighest; ++port_) {
      at.sin_port = htons(port_);
      if (bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0) break;
    }
    FETTLE_ASSERT(port_ < kHighest && ::listen(fd_, SOMAXCONN) == 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~BadServer() {
    over_ = true;
    thread_.join();
    close(fd_);
  }
  BadServer(const BadServer&) = delete;
  BadServer& operator=(const BadServer&) = delete;

  std::uint16_t port() const { return port_; }
  int connections() const { return connections_; }
  int requests() const { return requests_; }
  std::size_t said() const { return said_; }

 private:
  void serve() {
    while (!over_) {
      pollfd ready{fd_, POLLIN, 0};
      constexpr int kPollMs = 20;
      if (poll(&ready, 1, kPollMs) <= 0) continue;
      const int peer = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (peer < 0) continue;
      Peer one(peer, *this);
      treat_(one, connections_++);
      close(peer);
    }
  }

  Treat treat_;
  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<int> requests_{0};
  std::atomic<std::size_t> said_{0};
  std::atomic<bool> over_{false};
  std::thread thread_;
};

}  // namespace fettle
