// The table of probe kinds, made from kinds.inc.
#pragma once

#include <vector>

#include "core/kind.h"
#include "probes/probe.h"

namespace fettle::probes {

const std::vector<core::KindSpec>& kinds();

/// A probe of the spec's kind for the node at `address`. Invalid if the kind is unknown or an
/// option makes no sense.
Result<std::unique_ptr<Probe>> make(const core::ProbeSpec& spec, const core::Address& address,
                                    ProbeContext& context);

}  // namespace fettle::probes
