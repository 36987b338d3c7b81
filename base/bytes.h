// Writer and Reader: bounded, little-endian, versionless bytes. The format's version lives with its
// owner (a frame, a log entry). Both are archives: one `fields(archive, value)` function per struct
// encodes and decodes it, so the two can never disagree.
//
//   template <typename Archive> void fields(Archive& ar, Vote& v) { ar(v.term, v.candidate); }
//   std::string bytes = encode(vote);
//   Result<Vote> back = decode<Vote>(bytes);
//
// An enum needs `constexpr E enum_last(E)` in its namespace: a number past it is refused on
// reading. A Reader never trusts a length: it is checked against the bytes that are left before
// anything is allocated, and everything after the first error reads as zero.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace fettle {

/// No single decoded message may be larger than this (a spec of many files included).
inline constexpr std::size_t kDecodeBytesMax = 64U * 1024 * 1024;

class Writer {
 public:
  static constexpr bool kReading = false;

  template <typename... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }
  std::string take() { return std::move(bytes_); }
  const std::string& bytes() const { return bytes_; }

 private:
  template <typename T>
    requires std::is_integral_v<T>
  void put(T value) {
    auto bits = static_cast<std::uint64_t>(value);
    std::array<char, sizeof(T)> little{};
    for (char& byte : little) {
      byte = static_cast<char>(bits & 0xffU);
      bits >>= 8U;
    }
    bytes_.append(little.data(), little.size());
  }
  template <typename T>
    requires std::is_enum_v<T>
  void put(T value) {
    put(static_cast<std::underlying_type_t<T>>(value));
  }
  void put(const std::string& value) {
    put(static_cast<std::uint32_t>(value.size()));
    bytes_ += value;
  }
  template <typename Rep, typename Period>
  void put(std::chrono::duration<Rep, Period> value) {
    put(static_cast<std::int64_t>(value.count()));
  }
  template <typename Tag>
  void put(const Id<Tag>& value) {
    put(value.value);
  }
  template <typename T>
  void put(const std::vector<T>& values) {
    put(static_cast<std::uint32_t>(values.size()));
    for (const auto& value : values) put(value);
  }
  template <typename T>
  void put(const std::set<T>& values) {
    put(static_cast<std::uint32_t>(values.size()));
    for (const auto& value : values) put(value);
  }
  template <typename K, typename V>
  void put(const std::map<K, V>& values) {
    put(static_cast<std::uint32_t>(values.size()));
    for (const auto& [key, value] : values) {
      put(key);
      put(value);
    }
  }
  template <typename A, typename B>
  void put(const std::pair<A, B>& value) {
    put(value.first);
    put(value.second);
  }
  template <typename T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <typename... T>
  void put(const std::variant<T...>& value) {
    put(static_cast<std::uint8_t>(value.index()));
    std::visit([this](const auto& held) { put(held); }, value);
  }
  template <typename T>
    requires std::is_class_v<T>
  void put(const T& value) {
    // The archive convention takes a mutable reference; a Writer never changes it.
    fields(*this, const_cast<T&>(value));  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  }

  std::string bytes_;
};

class Reader {
 public:
  static constexpr bool kReading = true;

  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <typename... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  bool ok() const { return error_.empty(); }
  bool at_end() const { return rest_.empty(); }
  const std::string& error() const { return error_; }
  /// Makes everything that follows read as zero; the first reason is kept.
  void refuse(std::string why) {
    if (error_.empty()) error_ = std::move(why);
    rest_ = {};
  }

 private:
  template <typename T>
    requires std::is_integral_v<T>
  void get(T& value) {
    value = T{};
    if (rest_.size() < sizeof(T)) return refuse("truncated");
    std::uint64_t bits = 0;
    for (std::size_t i = sizeof(T); i-- > 0;) {
      bits = (bits << 8U) | static_cast<std::uint8_t>(rest_[i]);
    }
    rest_.remove_prefix(sizeof(T));
    if constexpr (std::is_same_v<T, bool>) {
      if (bits > 1) return refuse("a bool is neither 0 nor 1");
      value = bits != 0;
    } else {
      value = static_cast<T>(bits);
    }
  }
  template <typename T>
    requires std::is_enum_v<T>
  void get(T& value) {
    std::underlying_type_t<T> raw{};
    get(raw);
    if (raw > static_cast<std::underlying_type_t<T>>(enum_last(T{}))) {
      return refuse("an enum is out of range");
    }
    value = static_cast<T>(raw);
  }
  void get(std::string& value) {
    const std::size_t size = count();
    value.assign(rest_.substr(0, size));
    rest_.remove_prefix(size);
  }
  template <typename Rep, typename Period>
  void get(std::chrono::duration<Rep, Period>& value) {
    std::int64_t ticks = 0;
    get(ticks);
    value = std::chrono::duration<Rep, Period>{static_cast<Rep>(ticks)};
  }
  template <typename Tag>
  void get(Id<Tag>& value) {
    get(value.value);
  }
  template <typename T>
  void get(std::vector<T>& values) {
    const std::size_t size = count();
    values.clear();
    for (std::size_t i = 0; i < size && ok(); ++i) {
      T value{};
      get(value);
      values.push_back(std::move(value));
    }
  }
  template <typename T>
  void get(std::set<T>& values) {
    const std::size_t size = count();
    values.clear();
    for (std::size_t i = 0; i < size && ok(); ++i) {
      T value{};
      get(value);
      values.insert(std::move(value));
    }
  }
  template <typename K, typename V>
  void get(std::map<K, V>& values) {
    const std::size_t size = count();
    values.clear();
    for (std::size_t i = 0; i < size && ok(); ++i) {
      K key{};
      V value{};
      get(key);
      get(value);
      values.insert_or_assign(std::move(key), std::move(value));
    }
  }
  template <typename A, typename B>
  void get(std::pair<A, B>& value) {
    get(value.first);
    get(value.second);
  }
  template <typename T>
  void get(std::optional<T>& value) {
    bool present = false;
    get(present);
    value.reset();
    if (present) {
      T held{};
      get(held);
      value = std::move(held);
    }
  }
  template <typename... T>
  void get(std::variant<T...>& value) {
    std::uint8_t index = 0;
    get(index);
    get_alternative(value, index, std::index_sequence_for<T...>{});
  }
  template <typename... T, std::size_t... I>
  void get_alternative(std::variant<T...>& value, std::uint8_t index, std::index_sequence<I...>) {
    bool known = false;
    const auto try_one = [&]<std::size_t N>() {
      if (index != N) return;
      known = true;
      std::variant_alternative_t<N, std::variant<T...>> held{};
      get(held);
      value = std::move(held);
    };
    (try_one.template operator()<I>(), ...);
    if (!known) refuse("an unknown kind");
  }
  template <typename T>
    requires std::is_class_v<T>
  void get(T& value) {
    fields(*this, value);
  }
  /// A length or count: every element takes at least one byte, so it cannot exceed what is left.
  std::size_t count() {
    std::uint32_t size = 0;
    get(size);
    if (size > rest_.size()) {
      refuse("a length is larger than the message");
      return 0;
    }
    return size;
  }

  std::string_view rest_;
  std::string error_;
};

template <typename T>
std::string encode(const T& value) {
  Writer writer;
  writer(value);
  return writer.take();
}

/// Reads exactly one T that fills `bytes`; anything else is Corrupt.
template <typename T>
Result<T> decode(std::string_view bytes) {
  if (bytes.size() > kDecodeBytesMax) return fail(Code::Corrupt, "message too large");
  Reader reader(bytes);
  T value{};
  reader(value);
  if (!reader.ok()) return fail(Code::Corrupt, reader.error());
  if (!reader.at_end()) return fail(Code::Corrupt, "bytes left over");
  return value;
}

/// FNV-1a, 64 bit: our own hash where replicas must agree (ring, state digest).
constexpr std::uint64_t stable_hash(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : bytes) {
    hash ^= static_cast<std::uint8_t>(c);
    hash *= 0x100000001b3ULL;
  }
  return hash;
}

}  // namespace fettle
