#include "directors/director.h"

namespace fettle::directors {

using core::OptionType;

#define FETTLE_KIND(identifier, ...)                                                \
  Result<std::unique_ptr<Director>> make_##identifier(const core::Options& options, \
                                                      const DirectorContext& context);
#include "directors/kinds.inc"
#undef FETTLE_KIND

const std::vector<core::KindSpec>& kinds() {
#define FETTLE_KIND(identifier, ...) core::KindSpec{__VA_ARGS__},
  static const std::vector<core::KindSpec> table{
#include "directors/kinds.inc"
  };
#undef FETTLE_KIND
  return table;
}

Result<std::unique_ptr<Director>> make(const std::string& kind, const core::Options& options,
                                       const DirectorContext& context) {
  using Make = Result<std::unique_ptr<Director>> (*)(const core::Options&, const DirectorContext&);
#define FETTLE_KIND(identifier, ...) make_##identifier,
  static const std::vector<Make> makers{
#include "directors/kinds.inc"
  };
#undef FETTLE_KIND
  for (std::size_t i = 0; i < kinds().size(); ++i) {
    if (kinds()[i].name == kind) return makers[i](options, context);
  }
  return fail(Code::Invalid, "no director kind named " + kind);
}

}  // namespace fettle::directors
