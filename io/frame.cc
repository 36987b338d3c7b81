#include "io/frame.h"

#include <algorithm>

namespace fettle::io {
namespace {
constexpr std::size_t kHeader = 5;
}

std::string make_frame(std::uint8_t version, std::string_view payload) {
  std::string frame;
  frame.reserve(kHeader + payload.size());
  const auto size = static_cast<std::uint32_t>(payload.size() + 1);
  for (unsigned i = 0; i < 4; ++i) frame.push_back(static_cast<char>((size >> (8U * i)) & 0xffU));
  frame.push_back(static_cast<char>(version));
  frame += payload;
  return frame;
}

Status FrameReader::feed(std::string_view bytes,
                         const std::function<bool(std::string_view)>& on_payload) {
  partial_ += bytes;
  std::size_t at = 0;
  while (partial_.size() - at >= kHeader) {
    std::uint32_t size = 0;
    for (unsigned i = 4; i-- > 0;) {
      size = (size << 8U) | static_cast<std::uint8_t>(partial_[at + i]);
    }
    if (size < 1 || size - 1 > payload_bytes_max_) {
      return fail(Code::Corrupt, "a frame of " + std::to_string(size) + " bytes");
    }
    if (static_cast<std::uint8_t>(partial_[at + 4]) != version_) {
      return fail(Code::Invalid, "frame version " +
                                     std::to_string(static_cast<std::uint8_t>(partial_[at + 4])) +
                                     ", expected " + std::to_string(version_));
    }
    if (partial_.size() - at < 4 + std::size_t{size}) break;
    const std::string payload = partial_.substr(at + kHeader, size - 1);
    at += 4 + std::size_t{size};
    if (!on_payload(payload)) return {};
  }
  partial_.erase(0, at);
  return {};
}

}  // namespace fettle::io
