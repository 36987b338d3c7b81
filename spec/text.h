// Text: which bytes may stand in a file of ours, and how a piece of one is shown in a message.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "spec/document.h"

namespace fettle::spec {

/// A piece longer than this is cut: a message is for a person, and a file may hold a mebibyte.
inline constexpr std::size_t kShownBytesMax = 72;

struct BadText {
  Place place;  // columns count characters
  std::string what;
};

/// The first byte that makes `text` no text: not UTF-8, or a control character (the parser takes
/// some of them for the end of the file).
std::optional<BadText> bad_text(std::string_view text);

/// True without control characters: a line break cannot come into a request or a command by it.
bool is_one_line(std::string_view text);

/// `text` for a message: cut between characters, control characters as `\x0a`.
std::string shown(std::string_view text);

}  // namespace fettle::spec
