#include "base/check.h"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace fettle {

void assertion_failed(const char* file, int line, const char* condition, const char* what) {
  std::fprintf(stderr, "%s:%d: broken invariant: %s %s\n", file, line, condition, what);
  std::fflush(stderr);
  std::abort();
}

namespace {
std::string& enabled_mutant() {
  static std::string name;
  return name;
}
}  // namespace

bool mutant_enabled(const char* name) { return enabled_mutant() == name; }

void enable_mutant(const char* name) { enabled_mutant() = name; }

}  // namespace fettle
