#include "alerts/receiver.h"

namespace fettle::alerts {

using core::OptionType;

#define FETTLE_KIND(identifier, ...)                                                  \
  Result<std::unique_ptr<Receiver>> make_##identifier(const core::ReceiverSpec& spec, \
                                                      ReceiverContext& context);
#include "alerts/kinds.inc"
#undef FETTLE_KIND

const std::vector<core::KindSpec>& kinds() {
#define FETTLE_KIND(identifier, ...) core::KindSpec{__VA_ARGS__},
  static const std::vector<core::KindSpec> table{
#include "alerts/kinds.inc"
  };
#undef FETTLE_KIND
  return table;
}

Result<std::unique_ptr<Receiver>> make(const core::ReceiverSpec& spec, ReceiverContext& context) {
  using Make = Result<std::unique_ptr<Receiver>> (*)(const core::ReceiverSpec&, ReceiverContext&);
#define FETTLE_KIND(identifier, ...) make_##identifier,
  static const std::vector<Make> makers{
#include "alerts/kinds.inc"
  };
#undef FETTLE_KIND
  for (std::size_t i = 0; i < kinds().size(); ++i) {
    if (kinds()[i].name == spec.kind) return makers[i](spec, context);
  }
  return fail(Code::Invalid, "no receiver kind named " + spec.kind);
}

}  // namespace fettle::alerts
