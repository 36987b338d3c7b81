// The difference of two specs as lines a person reads. Pure.
#pragma once

#include <string>
#include <vector>

#include "core/model.h"

namespace fettle::api {

/// `+ node chat/chat-c`, `~ service chat`, `- receiver x`; empty: the same.
std::vector<std::string> spec_diff(const core::Spec& before, const core::Spec& after);

}  // namespace fettle::api
