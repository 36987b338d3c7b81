#include "probes/registry.h"

namespace fettle::probes {

using core::Affects;
using core::FaultClass;
using core::OptionType;

#define FETTLE_KIND(identifier, ...)                \
  Result<std::unique_ptr<Probe>> make_##identifier( \
      const core::ProbeSpec& spec, const core::Address& address, ProbeContext& context);
#include "probes/kinds.inc"
#undef FETTLE_KIND

const std::vector<core::KindSpec>& kinds() {
#define FETTLE_KIND(identifier, ...) core::KindSpec{__VA_ARGS__},
  static const std::vector<core::KindSpec> table{
#include "probes/kinds.inc"
  };
#undef FETTLE_KIND
  return table;
}

Result<std::unique_ptr<Probe>> make(const core::ProbeSpec& spec, const core::Address& address,
                                    ProbeContext& context) {
  using Make = Result<std::unique_ptr<Probe>> (*)(const core::ProbeSpec&, const core::Address&,
                                                  ProbeContext&);
#define FETTLE_KIND(identifier, ...) make_##identifier,
  static const std::vector<Make> makers{
#include "probes/kinds.inc"
  };
#undef FETTLE_KIND
  for (std::size_t i = 0; i < kinds().size(); ++i) {
    if (kinds()[i].name == spec.kind) return makers[i](spec, address, context);
  }
  return fail(Code::Invalid, "no probe kind named " + spec.kind);
}

core::Outcome outcome_of(io::End end) {
  switch (end) {
    case io::End::Refused:
      return core::Outcome::Refused;
    case io::End::Eof:
    case io::End::Reset:
    case io::End::Tls:
    case io::End::Overflow:
      return core::Outcome::Reset;
    case io::End::Timeout:
    case io::End::Unreachable:
      return core::Outcome::Timeout;
    case io::End::Local:
      return core::Outcome::CannotProbe;
  }
  return core::Outcome::CannotProbe;
}

}  // namespace fettle::probes
