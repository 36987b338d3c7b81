#include "core/model.h"

#include <algorithm>

namespace fettle::core {

std::string text_option(const Options& options, const std::string& name) {
  const auto found = options.find(name);
  if (found == options.end()) return "";
  const auto* text = std::get_if<std::string>(&found->second);
  return text == nullptr ? "" : *text;
}

std::int64_t integer_option(const Options& options, const std::string& name,
                            std::int64_t otherwise) {
  const auto found = options.find(name);
  if (found == options.end()) return otherwise;
  const auto* number = std::get_if<std::int64_t>(&found->second);
  return number == nullptr ? otherwise : *number;
}

std::vector<std::string> list_option(const Options& options, const std::string& name) {
  const auto found = options.find(name);
  if (found == options.end()) return {};
  if (const auto* list = std::get_if<std::vector<std::string>>(&found->second)) return *list;
  const std::string text = text_option(options, name);
  return text.empty() ? std::vector<std::string>{} : std::vector<std::string>{text};
}

std::string to_string(const Address& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

Duration retry_delay(const RetryPolicy& retry, std::uint32_t attempt) {
  constexpr Duration kDelayMax = std::chrono::hours(1);
  Duration delay = std::min(retry.delay, kDelayMax);
  for (std::uint32_t i = 1; i < attempt && delay < kDelayMax; ++i) {
    delay = std::min(kDelayMax, delay * retry.backoff_permille / 1000);
  }
  return delay;
}

}  // namespace fettle::core
