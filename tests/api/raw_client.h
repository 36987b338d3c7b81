// RawClient: a blocking connection that sends exactly the bytes it is given, for tests of a server.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace fettle {

struct RawAnswer {
  int status = 0;
  std::string head;
  std::string body;
};

class RawClient {
 public:
  /// Nothing here waits longer for the server.
  static constexpr int kWaitS = 10;

  static RawClient local(const std::string& path) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, path.c_str(), sizeof(to.sun_path) - 1);
    return RawClient(AF_UNIX, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
  }
  static RawClient tcp(std::uint16_t port) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return RawClient(AF_INET, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
  }
  ~RawClient() { close_now(); }
  RawClient(RawClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)), got_(other.got_) {}
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  RawClient& operator=(RawClient&&) = delete;

  void close_now() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  /// Reads until `mark` has come; false if the connection ended or stood still first.
  bool read_until(std::string_view mark) {
    while (got_.find(mark) == std::string::npos) {
      if (!read_more()) return false;
    }
    return true;
  }
  /// Takes everything that has come so far, up to and with `mark`.
  std::string take_until(std::string_view mark) {
    if (!read_until(mark)) return "";
    const std::size_t size = got_.find(mark) + mark.size();
    const std::string taken = got_.substr(0, size);
    got_.erase(0, size);
    return taken;
  }
  /// True if the server closed the connection (after what it still had to say).
  bool ends() {
    while (read_more()) {
    }
    return ended_;
  }
  /// The same without reading: waits until the server gave this connection up.
  bool is_hung_up_on(int wait_ms = kWaitS * 1000) const {
    pollfd waiting{fd_, POLLRDHUP, 0};
    return poll(&waiting, 1, wait_ms) == 1;
  }
  RawAnswer read_answer(bool without_body = false) {
    RawAnswer answer;
    answer.head = take_until("\r\n\r\n");
    constexpr std::size_t kStatusAt = 9;
    if (answer.head.size() < kStatusAt + 3) return answer;
    answer.status = std::stoi(answer.head.substr(kStatusAt, 3));
    const std::string name = "content-length: ";
    const std::size_t at = answer.head.find(name);
    if (at == std::string::npos || without_body) return answer;
    const std::size_t size = std::stoul(answer.head.substr(at + name.size()));
    while (got_.size() < size && read_more()) {
    }
    answer.body = got_.substr(0, size);
    got_.erase(0, size);
    return answer;
  }
  RawAnswer ask(const std::string& request) {
    send(request);
    return read_answer();
  }
  RawAnswer get(const std::string& path, const std::string& headers = "") {
    return ask("GET " + path + " HTTP/1.1\r\nHost: fettle\r\n" + headers + "\r\n");
  }
  RawAnswer post(const std::string& path, const std::string& body = "",
                 const std::string& headers = "") {
    return ask("POST " + path + " HTTP/1.1\r\nHost: fettle\r\n" + headers +
               "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  int fd() const { return fd_; }

 private:
  RawClient(int family, const sockaddr* to, socklen_t size) : fd_(socket(family, SOCK_STREAM, 0)) {
    const timeval wait{kWaitS, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    FETTLE_ASSERT(connect(fd_, to, size) == 0);
  }
  bool read_more() {
    std::array<char, 65536> part;
    const ssize_t count = recv(fd_, part.data(), part.size(), 0);
    if (count > 0) {
      got_.append(part.data(), static_cast<std::size_t>(count));
      return true;
    }
    ended_ = count == 0 || errno == ECONNRESET;
    return false;
  }

  int fd_ = -1;
  std::string got_;
  bool ended_ = false;
};

}  // namespace fettle
