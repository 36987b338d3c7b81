// TlsContext: what a member needs for mutual TLS 1.3: the CA it trusts, its certificate and its
// key. Immutable once loaded; a reload makes a new one and only new handshakes use it.
#pragma once

#include <openssl/ssl.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fettle::io {

struct SslFree {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslPtr = std::unique_ptr<SSL, SslFree>;

/// What a server is asked when a client's first message is here, before anything costly is done
/// for it: with the application protocol that the client names first (ALPN, RFC 7301; empty: it
/// names none). False: the handshake waits, and each further try asks again.
using ClientHelloSeen = std::function<bool(std::string_view protocol)>;

class TlsContext {
 public:
  /// Reads and checks the three PEM files; key and certificate must belong together.
  static Result<std::shared_ptr<TlsContext>> load(const std::string& ca, const std::string& cert,
                                                  const std::string& key);
  /// A new connection's state. Both sides present a certificate. `seen` may be null, and outlives
  /// the handshake.
  SslPtr server_connection(ClientHelloSeen* seen) const;
  /// `protocol`: named to the server, unless it is empty.
  SslPtr client_connection(const std::string& protocol) const;

 private:
  std::unique_ptr<SSL_CTX, SslFree> context_;
};

/// The text of OpenSSL's newest error, and clears its queue.
std::string tls_error();
/// The first DNS name in the verified certificate of the peer; empty if there is none.
std::string peer_dns_name(SSL* ssl);

}  // namespace fettle::io
