#include "io/address.h"

#include <arpa/inet.h>
#include <uv.h>

#include <array>

namespace fettle::io {

const sockaddr* SockAddress::raw() const { return reinterpret_cast<const sockaddr*>(&storage); }

std::optional<SockAddress> parse_numeric(const std::string& host, std::uint16_t port) {
  SockAddress address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (uv_ip4_addr(host.c_str(), port, v4) == 0) return address;
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (uv_ip6_addr(host.c_str(), port, v6) == 0) return address;
  return std::nullopt;
}

std::string to_string(const SockAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    uv_ip6_name(v6, text.data(), text.size());
    return "[" + std::string(text.data()) + "]:" + std::to_string(ntohs(v6->sin6_port));
  }
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
  uv_ip4_name(v4, text.data(), text.size());
  return std::string(text.data()) + ":" + std::to_string(ntohs(v4->sin_port));
}

}  // namespace fettle::io
