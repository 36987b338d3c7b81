// Certificates: a group's own CA and its members' certificates (EC P-256), as PEM texts. Writes no
// files.
#pragma once

#include <string>

#include "base/result.h"

namespace fettle::io {

struct KeyAndCertificate {
  std::string key_pem;
  std::string cert_pem;
};

/// A CA for `cluster`, valid 10 years.
Result<KeyAndCertificate> make_ca(const std::string& cluster);
/// A certificate for `member` (SAN `DNS:<member>`), signed by the CA, valid 2 years, for client and
/// server use.
Result<KeyAndCertificate> make_member_certificate(const KeyAndCertificate& ca,
                                                  const std::string& cluster,
                                                  const std::string& member);

}  // namespace fettle::io
