// MemberClient: writes to one member of a group, over its unix socket, many at once. One
// implementation a system: Fettle over HTTP/1.1, etcd over gRPC. Loop's thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "io/loop.h"

namespace fettle::bench {

inline constexpr std::size_t kValueBytes = 256;

/// What came of an attempt: `ok` once the member said that the value is committed. A next put() may
/// come from within only if it is.
using Answered = std::function<void(std::uint64_t attempt, bool ok)>;

class MemberClient {
 public:
  virtual ~MemberClient() = default;
  /// Writes a value of kValueBytes under `key`. `attempt` names it, unique among those in flight;
  /// it is answered once, never from within, unless it is given up before.
  virtual void put(std::uint64_t attempt, std::string_view key) = 0;
  /// Nothing more is heard of this attempt.
  virtual void give_up(std::uint64_t attempt) = 0;
};

/// HTTP/1.1 with kept connections, one for each attempt in flight.
std::unique_ptr<MemberClient> make_fettle_client(io::Loop& loop, std::string socket,
                                                 Answered answered);
/// gRPC over `connections` HTTP/2 connections in turn.
std::unique_ptr<MemberClient> make_etcd_client(io::Loop& loop, std::string socket,
                                               std::size_t connections, Answered answered);

}  // namespace fettle::bench
