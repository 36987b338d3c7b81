// Document: a YAML file as a tree in which every value knows its place. yaml-cpp and its exceptions
// stay in document.cc. Bounded in size, depth and count; aliases are refused (they can grow a small
// file without end), and so are duplicate keys.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "spec/diagnostic.h"

namespace fettle::spec {

inline constexpr std::size_t kFileBytesMax = 1024U * 1024;
inline constexpr std::size_t kAllFilesBytesMax = 8U * 1024 * 1024;
inline constexpr std::size_t kDepthMax = 32;
inline constexpr std::size_t kValuesMax = 200'000;

struct Place {
  int line = 1;    // from 1
  int column = 1;  // from 1
};

struct Value {
  enum class Kind : std::uint8_t { Null, Scalar, List, Map };
  Kind kind = Kind::Null;
  Place place;
  std::string text;  // of a scalar
  bool quoted = false;
  std::vector<Value> list;
  struct Entry;
  std::vector<Entry> map;  // in the file's order

  /// `a list`, `a map`, `the text "x"`: for messages.
  std::string describe() const;
};
struct Value::Entry {
  std::string key;
  Place place;
  Value value;
};

/// What is said of a file beyond kFileBytesMax, which nobody reads to its end.
Diagnostic too_large(const std::string& file);

/// Reads one file. On bad YAML the diagnostics say where, and the value is Null.
Value read_document(const std::string& file, std::string_view text,
                    std::vector<Diagnostic>& diagnostics);

}  // namespace fettle::spec
