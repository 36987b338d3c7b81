#include "daemon/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace fettle::daemon::log {

void open(std::string_view level) {
  auto logger = spdlog::stderr_logger_mt("fettled");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
  const auto chosen = spdlog::level::from_str(std::string(level));
  const bool unknown = chosen == spdlog::level::off && level != "off";
  logger->set_level(unknown ? spdlog::level::info : chosen);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

void debug(std::string_view text) { spdlog::debug("{}", text); }
void info(std::string_view text) { spdlog::info("{}", text); }
void warn(std::string_view text) { spdlog::warn("{}", text); }
void error(std::string_view text) { spdlog::error("{}", text); }

void event(const core::Event& event) {
  std::string line = event.kind;
  const auto add = [&line](std::string_view key, const std::string& value) {
    if (value.empty()) return;
    line += ' ';
    line += key;
    line += '=';
    line += value;
  };
  add("service", event.service);
  add("node", event.node);
  add("incident", event.incident ? std::to_string(event.incident->value) : "");
  add("run", event.run ? std::to_string(event.run->value) : "");
  add("step", event.step);
  add("value", event.value);
  add("index", std::to_string(event.index.value));
  if (!event.reason.empty()) line += ": " + event.reason;
  info(line);
}

}  // namespace fettle::daemon::log
