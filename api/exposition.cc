#include "api/exposition.h"

#include <array>
#include <charconv>

namespace fettle::api {
namespace {

std::string_view word(Exposition::Type type) {
  switch (type) {
    case Exposition::Type::Counter:
      return "counter";
    case Exposition::Type::Gauge:
      return "gauge";
    case Exposition::Type::Histogram:
      return "histogram";
  }
  return "untyped";
}

/// The shortest text that reads back as the same number.
std::string number(double value) {
  std::array<char, 32> text{};
  const auto [end, failed] = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), end};
}

std::string escaped(std::string_view value, bool with_quotes) {
  std::string text;
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
    } else if (c == '\\' || (c == '"' && with_quotes)) {
      text.append("\\").push_back(c);
    } else {
      text.push_back(c);
    }
  }
  return text;
}

}  // namespace

double in_seconds(core::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

void Exposition::family(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  text_.append("# HELP ").append(name).append(" ").append(escaped(help, false)).append("\n");
  text_.append("# TYPE ").append(name).append(" ").append(word(type)).append("\n");
}

void Exposition::add(Labels labels, double value) { line("", labels, {}, number(value)); }

void Exposition::add(Labels labels, const core::Histogram& histogram) {
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < histogram.counts().size(); ++i) {
    below += histogram.counts()[i];
    const bool rest = i == histogram.bounds().size();
    line("_bucket", labels, rest ? "+Inf" : number(in_seconds(histogram.bounds()[i])),
         std::to_string(below));
  }
  line("_sum", labels, {}, number(in_seconds(histogram.sum())));
  line("_count", labels, {}, std::to_string(histogram.count()));
}

void Exposition::line(std::string_view suffix, Labels labels, std::string_view bound,
                      std::string_view value) {
  text_.append(name_).append(suffix);
  char mark = '{';
  const auto label = [&](std::string_view name, std::string_view text) {
    text_.push_back(std::exchange(mark, ','));
    text_.append(name).append("=\"").append(escaped(text, true)).append("\"");
  };
  for (const auto& [name, text] : labels) label(name, text);
  if (!bound.empty()) label("le", bound);
  if (mark == ',') text_.push_back('}');
  text_.append(" ").append(value).append("\n");
}

}  // namespace fettle::api
