#include "spec/reader.h"

#include <algorithm>
#include <charconv>

#include "core/allow.h"
#include "spec/text.h"

namespace fettle::spec {
namespace {

constexpr std::size_t kNameMax = 63;

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_visible(char c) { return c > ' ' && c <= '~'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// A host name or IPv4 address; in brackets, an IPv6 address, perhaps with its `%interface`.
bool is_host(std::string_view text, bool bracketed) {
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return is_digit(c) || is_letter(c) || c == '.' || c == '-' || c == '_' ||
           (bracketed && (c == ':' || c == '%'));
  });
}

/// `200`, or `200-299`.
bool is_status_range(std::string_view text) {
  const auto status = [](std::string_view part) {
    return part.size() == 3 && std::ranges::all_of(part, is_digit) && part >= "100" &&
           part <= "599";
  };
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return status(text);
  const std::string_view low = text.substr(0, dash), high = text.substr(dash + 1);
  return status(low) && status(high) && low <= high;
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

void Report::add(Place at, std::string path, std::string message, std::string expected,
                 std::string did_you_mean) {
  if (full()) return;
  diagnostics.push_back({file, at.line, at.column, std::move(path), std::move(message),
                         std::move(expected), std::move(did_you_mean)});
}

void Report::later(Place at, std::string path) {
  if (strictness == Strictness::Apply) add(at, std::move(path), "not supported yet");
}

Reader::Reader(Report& report, const Value& value, std::string path)
    : report_(report), value_(value), path_(std::move(path)) {
  if (value.kind != Value::Kind::Map) {
    report_.add(value.place, path_, value.describe() + " stands here", "a map");
  }
}

Reader::~Reader() {
  if (whole_) return;
  for (const Value::Entry& entry : value_.map) {
    if (taken_.contains(entry.key)) continue;
    if (report_.full()) return;
    const std::string key = shown(entry.key);
    report_.add(entry.place, path_of(key), "unknown key '" + key + "'", "one of " + joined(known_),
                nearest(entry.key, known_));
  }
}

std::string Reader::path_of(const std::string& key) const {
  return path_.empty() ? key : path_ + "." + key;
}

const Value* Reader::take(const std::string& key) {
  if (std::ranges::find(known_, key) == known_.end()) known_.push_back(key);
  for (const Value::Entry& entry : value_.map) {
    if (entry.key != key) continue;
    taken_.insert(key);
    return &entry.value;
  }
  return nullptr;
}

bool Reader::has(const std::string& key) const {
  return std::ranges::any_of(value_.map, [&](const Value::Entry& e) { return e.key == key; });
}

const Value* Reader::need(const std::string& key, const std::string& expected) {
  const Value* found = take(key);
  if (found == nullptr && value_.kind == Value::Kind::Map) {
    report_.add(value_.place, path_, "'" + key + "' is missing", expected);
  }
  return found;
}

void Reader::wrong(const Value& value, const std::string& key, const std::string& message,
                   const std::string& expected, const std::string& did_you_mean) {
  report_.add(value.place, path_of(key), message, expected, did_you_mean);
}

std::optional<std::string> Reader::text(const std::string& key) {
  const Value* found = take(key);
  if (found == nullptr) return std::nullopt;
  if (found->kind != Value::Kind::Scalar || found->text.empty()) {
    wrong(*found, key, found->describe() + " stands here", "a text");
    return std::nullopt;
  }
  if (!is_one_line(found->text)) {
    wrong(*found, key, found->describe() + " stands here", "a text without control characters");
    return std::nullopt;
  }
  return found->text;
}

std::string Reader::text_or(const std::string& key, std::string otherwise) {
  return text(key).value_or(std::move(otherwise));
}

std::string Reader::need_text(const std::string& key, const std::string& expected) {
  if (!has(key)) {
    need(key, expected);
    return "";
  }
  return text_or(key, "");
}

std::uint32_t Reader::number_or(const std::string& key, std::uint32_t otherwise, std::uint32_t min,
                                std::uint32_t max) {
  const Value* found = take(key);
  if (found == nullptr) return otherwise;
  const auto number = parse_number<std::uint32_t>(found->text);
  if (found->kind == Value::Kind::Scalar && number && *number >= min && *number <= max)
    return *number;
  const bool digits = !found->text.empty() && std::ranges::all_of(found->text, is_digit);
  wrong(*found, key, found->describe() + (digits ? " is out of range" : " is no whole number"),
        "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  return otherwise;
}

bool Reader::flag_or(const std::string& key, bool otherwise) {
  const Value* found = take(key);
  if (found == nullptr) return otherwise;
  if (found->text == "true" || found->text == "false") return found->text == "true";
  wrong(*found, key, found->describe() + " is neither true nor false", "true or false");
  return otherwise;
}

core::Duration Reader::duration_or(const std::string& key, core::Duration otherwise,
                                   core::Duration min, core::Duration max) {
  const Value* found = take(key);
  if (found == nullptr) return otherwise;
  const auto duration = parse_duration(found->text);
  if (found->kind == Value::Kind::Scalar && duration && *duration >= min && *duration <= max) {
    return *duration;
  }
  wrong(*found, key, found->describe() + (duration ? " is out of range" : " is no duration"),
        "a duration from " + core::to_string(min) + " to " + core::to_string(max));
  return otherwise;
}

std::vector<std::string> Reader::texts(const std::string& key) {
  const Value* found = take(key);
  if (found == nullptr) return {};
  if (found->kind == Value::Kind::Scalar) return {found->text};
  std::vector<std::string> list;
  bool ok = found->kind == Value::Kind::List;
  for (const Value& item : found->list) {
    ok = ok && item.kind == Value::Kind::Scalar;
    list.push_back(item.text);
  }
  if (ok) return list;
  wrong(*found, key, found->describe() + " stands here", "a list of texts");
  return {};
}

std::vector<std::string> Reader::texts_that(const std::string& key, bool (*fits)(std::string_view),
                                            const std::string& expected) {
  const std::vector<std::string> list = texts(key);
  const Value* found = take(key);
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (fits(list[i])) continue;
    const bool alone = found->kind == Value::Kind::Scalar;
    const Value& one = alone ? *found : found->list[i];
    wrong(one, key + (alone ? "" : "[" + std::to_string(i) + "]"), one.describe() + " does not fit",
          expected);
  }
  return list;
}

std::string Reader::word_or(const std::string& key, std::string otherwise,
                            const std::vector<std::string>& words,
                            const std::vector<std::string>& later_words) {
  const Value* found = take(key);
  if (found == nullptr) return otherwise;
  if (std::ranges::find(words, found->text) != words.end()) return found->text;
  if (std::ranges::find(later_words, found->text) != later_words.end()) {
    report_.later(found->place, path_of(key) + ": " + found->text);
    return report_.strictness == Strictness::Syntax ? found->text : otherwise;
  }
  std::vector<std::string> all = words;
  all.insert(all.end(), later_words.begin(), later_words.end());
  wrong(*found, key, found->describe() + " is not known here", "one of " + joined(words),
        nearest(found->text, all));
  return otherwise;
}

core::RetryPolicy Reader::retry_or(const std::string& key, core::RetryPolicy otherwise) {
  const Value* found = take(key);
  if (found == nullptr) return otherwise;
  Reader reader(report_, *found, path_of(key));
  core::RetryPolicy retry = otherwise;
  retry.count = reader.number_or("count", otherwise.count, 0, 100);
  retry.delay =
      reader.duration_or("delay", otherwise.delay, core::Duration{0}, std::chrono::hours(1));
  if (const Value* backoff = reader.take("backoff"); backoff != nullptr) {
    const auto factor = parse_number<double>(backoff->text);
    if (factor && *factor >= 1.0 && *factor <= 10.0) {
      retry.backoff_permille = static_cast<std::uint32_t>(*factor * 1000 + 0.5);
    } else {
      reader.wrong(*backoff, "backoff", backoff->describe() + " is out of range",
                   "a factor from 1.0 to 10.0");
    }
  }
  return retry;
}

void Reader::each(const std::string& key,
                  const std::function<void(const Value&, const std::string&)>& item) {
  const Value* found = take(key);
  if (found == nullptr || found->kind == Value::Kind::Null) return;
  if (found->kind != Value::Kind::List) {
    return wrong(*found, key, found->describe() + " stands here", "a list");
  }
  for (std::size_t i = 0; i < found->list.size(); ++i) {
    item(found->list[i], path_of(key) + "[" + std::to_string(i) + "]");
  }
}

void Reader::later(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    const auto entry = std::ranges::find(value_.map, key, &Value::Entry::key);
    take(key);
    if (entry != value_.map.end()) report_.later(entry->place, path_of(key));
  }
}

core::Options Reader::options(const core::KindSpec& kind) {
  core::Options options;
  for (const core::OptionSpec& spec : kind.options) {
    const Value* found = take(spec.name);
    if (found == nullptr) {
      if (spec.required) {
        report_.add(value_.place, path_, "'" + spec.name + "' is missing", spec.doc);
      } else if (!spec.default_text.empty()) {
        Value standard;
        standard.kind = Value::Kind::Scalar;
        standard.text = spec.default_text;
        if (auto option_value = option(spec, standard)) options[spec.name] = *option_value;
      }
      continue;
    }
    if (auto option_value = option(spec, *found)) options[spec.name] = *option_value;
  }
  return options;
}

std::optional<core::Option> Reader::option(const core::OptionSpec& spec, const Value& value) {
  using core::OptionType;
  const auto refuse = [&](const std::string& expected) -> std::optional<core::Option> {
    wrong(value, spec.name, value.describe() + " does not fit", expected);
    return std::nullopt;
  };
  if (spec.type == OptionType::Argv) return command(spec, value);
  if (spec.type == OptionType::TextList) {
    std::vector<std::string> list;
    if (value.kind == Value::Kind::Scalar) list.push_back(value.text);
    for (const Value& item : value.list) list.push_back(item.text);
    if (list.empty() || std::ranges::any_of(list, &std::string::empty)) {
      return refuse("a text, or a list of at least one");
    }
    return list;
  }
  if (value.kind != Value::Kind::Scalar || value.text.empty()) return refuse("a text");
  switch (spec.type) {
    case OptionType::Integer: {
      const auto number = parse_number<std::int64_t>(value.text);
      const bool bounded = spec.min != spec.max;
      if (!number || (bounded && (*number < spec.min || *number > spec.max))) {
        return refuse("a whole number from " + std::to_string(spec.min) + " to " +
                      std::to_string(spec.max));
      }
      return *number;
    }
    case OptionType::Boolean:
      if (value.text != "true" && value.text != "false") return refuse("true or false");
      return value.text == "true";
    case OptionType::Span: {
      const auto duration = parse_duration(value.text);
      if (!duration) return refuse("a duration, such as 5s");
      const core::Duration min{spec.min}, max{spec.max};
      if (min != max && (*duration < min || *duration > max)) {
        return refuse("a duration from " + core::to_string(min) + " to " + core::to_string(max));
      }
      return *duration;
    }
    case OptionType::Path:
      if (value.text[0] != '/' || !std::ranges::all_of(value.text, is_visible)) {
        return refuse("a path that begins with /, without blanks");
      }
      return value.text;
    case OptionType::Url:
      if (!is_url(value.text)) return refuse("an http:// or https:// address");
      return value.text;
    case OptionType::Socket:
      if (!is_socket(value.text))
        return refuse("an absolute path of at most 107 bytes, or host:port");
      return value.text;
    case OptionType::Secret:
      if (!is_name(value.text)) return refuse("the name of a secret");
      return value.text;
    case OptionType::StatusRange:
      if (!is_status_range(value.text))
        return refuse("a status such as 200, or a range such as 200-299");
      return value.text;
    case OptionType::Text:
      if (!spec.words.empty() && std::ranges::find(spec.words, value.text) == spec.words.end()) {
        wrong(value, spec.name, value.describe() + " is not known here",
              "one of " + joined(spec.words), nearest(value.text, spec.words));
        return std::nullopt;
      }
      return value.text;
    case OptionType::Receiver:
    case OptionType::Template:
    case OptionType::TextList:
    case OptionType::Argv:
      return value.text;
  }
  return std::nullopt;
}

std::optional<core::Option> Reader::command(const core::OptionSpec& spec, const Value& value) {
  constexpr std::size_t kWordsMax = 64;
  constexpr std::size_t kWordBytesMax = 4096;
  if (value.kind != Value::Kind::List || value.list.empty()) {
    const bool empty = value.kind == Value::Kind::List;
    wrong(value, spec.name,
          empty ? "the command is empty" : value.describe() + " is no command; there is no shell",
          "a list: " + spec.doc);
    return std::nullopt;
  }
  if (value.list.size() > kWordsMax) {
    wrong(value, spec.name, "more than " + std::to_string(kWordsMax) + " words");
    return std::nullopt;
  }
  std::vector<std::string> words;
  for (const Value& item : value.list) {
    if (item.kind != Value::Kind::Scalar || item.text.size() > kWordBytesMax) {
      wrong(item, spec.name, item.describe() + " is no word of a command",
            "a text of at most " + std::to_string(kWordBytesMax) + " bytes");
      return std::nullopt;
    }
    words.push_back(item.text);
  }
  const std::string& program = words.front();
  if (!core::is_plain_path(program) || program.find('$') != std::string::npos) {
    wrong(value.list.front(), spec.name, "'" + program + "' is no program",
          "an absolute path without '..' and without fields");
    return std::nullopt;
  }
  return words;
}

std::optional<core::Duration> parse_duration(std::string_view text) {
  const auto unit = text.find_first_not_of("0123456789");
  if (unit == 0 || unit == std::string_view::npos) return std::nullopt;
  const auto count = parse_number<std::int64_t>(text.substr(0, unit));
  const std::string_view name = text.substr(unit);
  constexpr std::int64_t kCountMax = 1'000'000'000;
  if (!count || *count > kCountMax) return std::nullopt;
  if (name == "ms") return std::chrono::milliseconds(*count);
  if (name == "s") return std::chrono::seconds(*count);
  if (name == "m" && *count <= kCountMax / 10) return std::chrono::minutes(*count);
  if (name == "h" && *count <= 1'000'000) return std::chrono::hours(*count);
  if (name == "d" && *count <= 36'500) return std::chrono::hours(24 * *count);
  return std::nullopt;
}

std::optional<core::Address> parse_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!port || *port == 0 || !is_host(host, bracketed)) return std::nullopt;
  return core::Address{std::string(host), *port};
}

bool is_url(std::string_view text) {
  const std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return false;
  const std::string_view name = text.substr(0, scheme);
  if (name != "http" && name != "https") return false;
  if (!std::ranges::all_of(text, is_visible)) return false;
  std::string_view host = text.substr(scheme + 3);
  host = host.substr(0, host.find_first_of("/?#"));
  host = host.substr(host.rfind('@') + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    return is_host(host.substr(1, host.size() - 2), true);
  }
  return host.find(':') == std::string_view::npos ? is_host(host, false)
                                                  : parse_address(host).has_value();
}

bool is_socket(std::string_view text) {
  constexpr std::size_t kUnixPathMax = 107;
  if (!text.starts_with('/')) return parse_address(text).has_value();
  return text.size() <= kUnixPathMax && is_one_line(text);
}

bool is_server_name(std::string_view text) {
  constexpr std::size_t kServerNameMax = 128;
  return !text.empty() && text.size() <= kServerNameMax && std::ranges::all_of(text, [](char c) {
    return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.' || c == ':';
  });
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameMax && std::ranges::all_of(text, [](char c) {
    return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.';
  });
}

}  // namespace fettle::spec
