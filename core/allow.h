// The allow-list of a host: what any leader may do there. Pure pattern matching, no file access.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fettle::core {

using AllowList = std::map<std::string, std::vector<std::string>>;

/// True if one of the patterns under `word` matches `value`. `*` stands for any run of characters
/// but '/', `?` for one; everything else for itself. An absent word allows nothing.
bool allows(const AllowList& allow, const std::string& word, std::string_view value);

/// True for an absolute path that stands for itself: no empty, `.` or `..` component, no NUL. Only
/// such a path may be matched against patterns.
bool is_plain_path(std::string_view path);

}  // namespace fettle::core
