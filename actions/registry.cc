#include "actions/action.h"

namespace fettle::actions {

using core::OptionType;

#define FETTLE_ENGINE_KIND(identifier, ...)
#define FETTLE_KIND(identifier, ...) \
  std::unique_ptr<Action> make_##identifier(ActionContext& context);
#include "actions/kinds.inc"
#undef FETTLE_KIND
#undef FETTLE_ENGINE_KIND

const std::vector<core::KindSpec>& kinds() {
#define FETTLE_KIND(identifier, ...) core::KindSpec{__VA_ARGS__},
#define FETTLE_ENGINE_KIND(identifier, ...) core::KindSpec{__VA_ARGS__},
  static const std::vector<core::KindSpec> table{
#include "actions/kinds.inc"
  };
#undef FETTLE_KIND
#undef FETTLE_ENGINE_KIND
  return table;
}

Result<std::unique_ptr<Action>> make(const std::string& kind, ActionContext& context) {
  using Make = std::unique_ptr<Action> (*)(ActionContext&);
#define FETTLE_KIND(identifier, ...) make_##identifier,
#define FETTLE_ENGINE_KIND(identifier, ...) nullptr,
  static const std::vector<Make> makers{
#include "actions/kinds.inc"
  };
#undef FETTLE_KIND
#undef FETTLE_ENGINE_KIND
  for (std::size_t i = 0; i < kinds().size(); ++i) {
    if (kinds()[i].name == kind && makers[i] != nullptr) return makers[i](context);
  }
  return fail(Code::NotFound, "no host act named " + kind);
}

}  // namespace fettle::actions
