#include "spec/text.h"

#include <algorithm>

namespace fettle::spec {
namespace {

bool is_control(char c) {
  constexpr char kDelete = 0x7f;
  return (c >= 0 && c < ' ') || c == kDelete;
}

/// How many bytes the character at the head of `text` has; 0 if it is not UTF-8 (RFC 3629: also
/// overlong forms, surrogates and what is beyond U+10FFFF).
std::size_t character_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xc0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first < 0xf0) {
    const bool overlong = first == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = first == 0xed && byte(1) >= 0xa0;
    return !overlong && !surrogate && continues(1) && continues(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first < 0xf5) {
    const bool overlong = first == 0xf0 && byte(1) < 0x90;
    const bool beyond = first == 0xf4 && byte(1) >= 0x90;
    return !overlong && !beyond && continues(1) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

std::string hex(char c) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  return {kDigits[byte >> 4U], kDigits[byte & 0x0fU]};
}

}  // namespace

std::optional<BadText> bad_text(std::string_view text) {
  Place at;
  while (!text.empty()) {
    const char c = text.front();
    if (is_control(c) && c != '\n' && c != '\r' && c != '\t') {
      return BadText{at, "the control character 0x" + hex(c)};
    }
    const std::size_t bytes = character_bytes(text);
    if (bytes == 0) return BadText{at, "the byte 0x" + hex(c) + ": the file is not UTF-8"};
    text.remove_prefix(bytes);
    if (c == '\n') {
      at = {at.line + 1, 1};
    } else {
      ++at.column;
    }
  }
  return std::nullopt;
}

bool is_one_line(std::string_view text) { return std::ranges::none_of(text, is_control); }

std::string shown(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t bytes = std::max<std::size_t>(1, character_bytes(text));
    const bool control = is_control(text.front());
    const std::string piece =
        control ? "\\x" + hex(text.front()) : std::string(text.substr(0, bytes));
    if (out.size() + piece.size() > kShownBytesMax) return out + "…";
    out += piece;
    text.remove_prefix(bytes);
  }
  return out;
}

}  // namespace fettle::spec
