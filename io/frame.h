// Frames between members: 4 bytes length (of what follows, little-endian), 1 byte version, payload.
// The length is checked against the bound before anything is kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fettle::io {

std::string make_frame(std::uint8_t version, std::string_view payload);

/// Takes bytes as they come and gives whole payloads.
class FrameReader {
 public:
  FrameReader(std::uint8_t version, std::size_t payload_bytes_max)
      : version_(version), payload_bytes_max_(payload_bytes_max) {}

  /// Calls `on_payload` for every frame that is whole now; it returns false to stop. An error means
  /// the peer does not speak our format: drop the connection.
  Status feed(std::string_view bytes, const std::function<bool(std::string_view)>& on_payload);

 private:
  std::uint8_t version_;
  std::size_t payload_bytes_max_;
  std::string partial_;
};

}  // namespace fettle::io
