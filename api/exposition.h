// Exposition: text in the Prometheus exposition format 0.0.4, built family by family. Pure; knows
// the format and nothing of what is told.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "core/counts.h"

namespace fettle::api {

class Exposition {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  enum class Type : std::uint8_t { Counter, Gauge, Histogram };

  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

  /// Begins a family; the series that follow are its. Each name once.
  void family(std::string_view name, Type type, std::string_view help);
  void add(Labels labels, double value);
  void add(Labels labels, std::unsigned_integral auto value) {
    line("", labels, {}, std::to_string(value));
  }
  /// The cumulative buckets, the sum and the count, in seconds.
  void add(Labels labels, const core::Histogram& histogram);

  /// A family of one series without labels.
  void one(std::string_view name, Type type, std::string_view help, auto value) {
    family(name, type, help);
    add({}, value);
  }

  const std::string& text() const { return text_; }

 private:
  void line(std::string_view suffix, Labels labels, std::string_view bound, std::string_view value);

  std::string name_;
  std::string text_;
};

/// Seconds, as the format's base unit.
double in_seconds(core::Duration duration);

}  // namespace fettle::api
