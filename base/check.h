// FETTLE_ASSERT: a broken invariant ends the process loudly, in every build.
// Before a switch of traffic a crash is cheaper than a wrong act, and the service manager restarts
// us.
#pragma once

namespace fettle {

/// Prints the place, the condition and `what` to stderr and aborts. Never returns.
[[noreturn]] void assertion_failed(const char* file, int line, const char* condition,
                                   const char* what);

/// True while the named planted defect is switched on. Exists only in the simulator's own build of
/// `core` and `raft` (FETTLE_MUTANTS defined); everywhere else FETTLE_MUTANT is constant false.
bool mutant_enabled(const char* name);
/// Switches on one planted defect by name (empty: none). Simulator only.
void enable_mutant(const char* name);

}  // namespace fettle

#define FETTLE_ASSERT(condition) \
  ((condition) ? void() : ::fettle::assertion_failed(__FILE__, __LINE__, #condition, ""))
#define FETTLE_ASSERT_MSG(condition, what) \
  ((condition) ? void() : ::fettle::assertion_failed(__FILE__, __LINE__, #condition, what))

#ifdef FETTLE_MUTANTS
#define FETTLE_MUTANT(name) (::fettle::mutant_enabled(#name))
#else
#define FETTLE_MUTANT(name) (false)
#endif
