// SockAddress: a numeric TCP address as the kernel takes it.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

namespace fettle::io {

struct SockAddress {
  sockaddr_storage storage{};
  const sockaddr* raw() const;
};

/// The address if `host` is numeric (IPv4 or IPv6); nothing if it is a name.
std::optional<SockAddress> parse_numeric(const std::string& host, std::uint16_t port);
/// `10.0.0.1:80`, `[::1]:80`.
std::string to_string(const SockAddress& address);

}  // namespace fettle::io
