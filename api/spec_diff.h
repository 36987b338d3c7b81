// The difference of two specs as lines a person reads. Pure.
#pragma once

#include <string>
#include <vector>

#include "core/model.h"

namespace fettle::api {

/// `+ node chat/chat-c`, `- receiver night`, `~ service chat: max_isolated 1 → 2`; empty: they mean
/// the same. Additions and removals of a whole service name the service and each of its nodes.
std::vector<std::string> spec_diff(const core::Spec& before, const core::Spec& after);

}  // namespace fettle::api
