// The log: one line per change to stderr (journald), `key=value`, ids always. Nothing logs in the
// sample path. Thread-safe; both loops and the disk worker use it.
#pragma once

#include <string>
#include <string_view>

#include "core/state.h"

namespace fettle::daemon::log {

/// Opens the log at `level` (trace|debug|info|warn|error); an unknown level counts as info.
void open(std::string_view level);

void debug(std::string_view text);
void info(std::string_view text);
void warn(std::string_view text);
void error(std::string_view text);

/// One line of what happened: `verdict.changed node=chat-a value=down incident=3: 2 of 3 ...`.
void event(const core::Event& event);

}  // namespace fettle::daemon::log
