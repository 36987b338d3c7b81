#include "daemon/wire.h"

template std::string fettle::encode(const fettle::daemon::wire::Frame&);
template fettle::Result<fettle::daemon::wire::Frame> fettle::decode<fettle::daemon::wire::Frame>(
    std::string_view);
