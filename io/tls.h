// TlsContext: what a member needs for mutual TLS 1.3: the CA it trusts, its certificate and its
// key. Immutable once loaded; a reload makes a new one and only new handshakes use it.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "base/result.h"

namespace fettle::io {

struct SslFree {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslPtr = std::unique_ptr<SSL, SslFree>;

class TlsContext {
 public:
  /// Reads and checks the three PEM files; key and certificate must belong together.
  static Result<std::shared_ptr<TlsContext>> load(const std::string& ca, const std::string& cert,
                                                  const std::string& key);
  /// A new connection's state, as server or as client. Both sides present a certificate.
  SslPtr connection(bool server) const;

 private:
  std::unique_ptr<SSL_CTX, SslFree> context_;
};

/// The text of OpenSSL's newest error, and clears its queue.
std::string tls_error();
/// The first DNS name in the verified certificate of the peer; empty if there is none.
std::string peer_dns_name(SSL* ssl);

}  // namespace fettle::io
