#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <array>

namespace fettle::io {

namespace {

/// The first name of the client's list: 2 bytes length of all, then 1 byte length and the name.
std::string_view first_protocol(SSL* ssl) {
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  constexpr std::size_t kNameAt = 3;
  const int there = SSL_client_hello_get0_ext(
      ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &bytes, &size);
  if (there != 1 || size < kNameAt || size - kNameAt < bytes[2]) return "";
  return {reinterpret_cast<const char*>(bytes) + kNameAt, bytes[2]};
}

int ask_owner(SSL* ssl, int*, void*) {
  auto* seen = static_cast<ClientHelloSeen*>(SSL_get_app_data(ssl));
  const bool goes_on = seen == nullptr || (*seen)(first_protocol(ssl));
  return goes_on ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_RETRY;
}

}  // namespace

std::string tls_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "TLS error";
  std::array<char, 256> text{};
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

Result<std::shared_ptr<TlsContext>> TlsContext::load(const std::string& ca, const std::string& cert,
                                                     const std::string& key) {
  ERR_clear_error();
  auto made = std::make_shared<TlsContext>();
  made->context_.reset(SSL_CTX_new(TLS_method()));
  SSL_CTX* context = made->context_.get();
  if (context == nullptr) return fail(Code::Io, tls_error());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_client_hello_cb(context, ask_owner, nullptr);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  if (SSL_CTX_load_verify_locations(context, ca.c_str(), nullptr) != 1) {
    return fail(Code::Invalid, "tls.ca " + ca + ": " + tls_error());
  }
  if (SSL_CTX_use_certificate_chain_file(context, cert.c_str()) != 1) {
    return fail(Code::Invalid, "tls.cert " + cert + ": " + tls_error());
  }
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return fail(Code::Invalid, "tls.key " + key + ": " + tls_error());
  }
  return made;
}

SslPtr TlsContext::server_connection(ClientHelloSeen* seen) const {
  SslPtr ssl(SSL_new(context_.get()));
  if (ssl == nullptr) return ssl;
  SSL_set_app_data(ssl.get(), seen);
  SSL_set_accept_state(ssl.get());
  return ssl;
}

SslPtr TlsContext::client_connection(const std::string& protocol) const {
  SslPtr ssl(SSL_new(context_.get()));
  if (ssl == nullptr) return ssl;
  if (!protocol.empty()) {
    const std::string list = static_cast<char>(protocol.size()) + protocol;
    const auto* bytes = reinterpret_cast<const unsigned char*>(list.data());
    if (SSL_set_alpn_protos(ssl.get(), bytes, static_cast<unsigned>(list.size())) != 0) return {};
  }
  SSL_set_connect_state(ssl.get());
  return ssl;
}

std::string peer_dns_name(SSL* ssl) {
  if (SSL_get_verify_result(ssl) != X509_V_OK) return "";
  const std::unique_ptr<X509, decltype(&X509_free)> cert(SSL_get1_peer_certificate(ssl), X509_free);
  if (cert == nullptr) return "";
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(cert.get(), NID_subject_alt_name, nullptr, nullptr));
  std::string found;
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names) && found.empty(); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_DNS) continue;
    const auto* text = ASN1_STRING_get0_data(name->d.dNSName);
    const auto size = static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName));
    found.assign(reinterpret_cast<const char*>(text), size);
    if (found.find('\0') != std::string::npos) found.clear();
  }
  GENERAL_NAMES_free(names);
  return found;
}

}  // namespace fettle::io
