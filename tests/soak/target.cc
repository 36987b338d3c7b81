// fettle-soak-target: healthy nodes for the soak, a listening socket each, in one thread.
//   fettle-soak-target --first-port P --count N
// Every GET is answered 200 and counted for its port; GET /counts on any port is not counted and
// answers the counts as a JSON list. Loopback only. Ends with SIGTERM or SIGKILL.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t kRequestBytesMax = 8192;
constexpr int kBacklog = 64;
constexpr int kNodesMax = 10'000;

struct Node {
  int listener = -1;
  std::uint64_t requests = 0;
};

struct Connection {
  std::size_t node = 0;
  std::string request;
};

int say(const char* what) {
  std::perror(what);
  return 1;
}

int listen_on(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd, kBacklog) != 0) {
    return -1;
  }
  return fd;
}

class Target {
 public:
  bool open(std::uint16_t first_port, int count) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < count; ++i) {
      const int fd = listen_on(static_cast<std::uint16_t>(first_port + i));
      if (fd < 0 || !wait_for(fd)) return false;
      listeners_[fd] = nodes_.size();
      nodes_.push_back({.listener = fd});
    }
    return true;
  }

  int run() {
    std::array<epoll_event, 256> events{};
    for (;;) {
      const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      if (ready < 0 && errno != EINTR) return say("epoll_wait");
      for (int i = 0; i < ready; ++i) {
        const int fd = events.at(static_cast<std::size_t>(i)).data.fd;
        const auto listener = listeners_.find(fd);
        if (listener != listeners_.end()) {
          take_connection(fd, listener->second);
        } else {
          serve(fd);
        }
      }
    }
  }

 private:
  bool wait_for(int fd) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
  }

  void take_connection(int listener, std::size_t node) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    if (!wait_for(fd)) {
      close(fd);
      return;
    }
    connections_[fd] = {.node = node};
  }

  void serve(int fd) {
    Connection& connection = connections_.at(fd);
    std::array<char, 4096> bytes{};
    const ssize_t got = read(fd, bytes.data(), bytes.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0 || connection.request.size() > kRequestBytesMax) return drop(fd);
    connection.request.append(bytes.data(), static_cast<std::size_t>(got));
    for (auto end = connection.request.find("\r\n\r\n"); end != std::string::npos;
         end = connection.request.find("\r\n\r\n")) {
      const std::string answer = answer_to(connection, end);
      connection.request.erase(0, end + 4);
      if (send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(answer.size())) {
        return drop(fd);
      }
    }
  }

  std::string answer_to(const Connection& connection, std::size_t end) {
    std::string body = "ok";
    if (std::string_view(connection.request).substr(0, end).starts_with("GET /counts ")) {
      body = counts();
    } else {
      ++nodes_[connection.node].requests;
    }
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  std::string counts() const {
    std::string list;
    for (const Node& node : nodes_) {
      list += (list.empty() ? '[' : ',') + std::to_string(node.requests);
    }
    return list + "]";
  }

  void drop(int fd) {
    close(fd);
    connections_.erase(fd);
  }

  int epoll_ = -1;
  std::vector<Node> nodes_;
  std::map<int, std::size_t> listeners_;
  std::map<int, Connection> connections_;
};

std::optional<int> number(const char* text, int max) {
  int value = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, value);
  return error == std::errc() && stop == end && value > 0 && value <= max ? std::optional(value)
                                                                          : std::nullopt;
}

/// Two descriptors a node are more than a shell's usual limit.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
  std::optional<int> port, count;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string_view(argv[i]) == "--first-port") port = number(argv[i + 1], 32767);
    if (std::string_view(argv[i]) == "--count") count = number(argv[i + 1], kNodesMax);
  }
  if (!port || !count || *port + *count > 32768) {
    std::fputs("usage: fettle-soak-target --first-port P --count N (ports below 32768)\n", stderr);
    return 2;
  }
  raise_descriptor_limit();
  Target target;
  if (!target.open(static_cast<std::uint16_t>(*port), *count)) return say("listen");
  return target.run();
}
