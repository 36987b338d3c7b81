#include "spec/parse.h"

namespace fettle::spec {

using core::Affects;
using core::FaultClass;
using core::KindSpec;
using core::OptionType;

#define FETTLE_KIND(identifier, ...) KindSpec{__VA_ARGS__},
#define FETTLE_ENGINE_KIND(identifier, ...) KindSpec{__VA_ARGS__},

const std::vector<KindSpec>& probe_kinds() {
  static const std::vector<KindSpec> table{
#include "probes/kinds.inc"
  };
  return table;
}

const std::vector<KindSpec>& action_kinds() {
  static const std::vector<KindSpec> table{
#include "actions/kinds.inc"
  };
  return table;
}

const std::vector<KindSpec>& director_kinds() {
  static const std::vector<KindSpec> table{
#include "directors/kinds.inc"
  };
  return table;
}

const std::vector<KindSpec>& receiver_kinds() {
  static const std::vector<KindSpec> table{
#include "alerts/kinds.inc"
  };
  return table;
}

#undef FETTLE_ENGINE_KIND
#undef FETTLE_KIND

}  // namespace fettle::spec
