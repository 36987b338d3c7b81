#include "io/certificates.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>

#include "io/tls.h"

namespace fettle::io {
namespace {

template <auto Free>
struct FreeWith {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using Cert = std::unique_ptr<X509, FreeWith<X509_free>>;
using Memory = std::unique_ptr<BIO, FreeWith<BIO_free>>;

constexpr long kDay = 24 * 60 * 60;

std::string text_of(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return {data, static_cast<std::size_t>(size)};
}

bool add_extension(X509* cert, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension != nullptr && X509_add_ext(cert, extension.get(), -1) == 1;
}

bool set_name(X509* cert, const std::string& cluster, const std::string& common) {
  X509_NAME* name = X509_get_subject_name(cert);
  const auto add = [name](const char* field, const std::string& value) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(value.c_str());
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, bytes, -1, -1, 0) == 1;
  };
  return add("O", cluster) && add("CN", common);
}

Cert blank(EVP_PKEY* key, long days) {
  Cert cert(X509_new());
  std::array<unsigned char, 16> serial{};
  if (cert == nullptr || RAND_bytes(serial.data(), static_cast<int>(serial.size())) != 1) return {};
  serial[0] &= 0x7fU;
  const std::unique_ptr<BIGNUM, FreeWith<BN_free>> number(
      BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
  X509_set_version(cert.get(), 2);
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(cert.get()));
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), -kDay);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), days * kDay);
  if (X509_set_pubkey(cert.get(), key) != 1) return {};
  return cert;
}

Result<KeyAndCertificate> as_pem(EVP_PKEY* key, X509* cert) {
  const Memory key_bio(BIO_new(BIO_s_mem()));
  const Memory cert_bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(key_bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      PEM_write_bio_X509(cert_bio.get(), cert) != 1) {
    return fail(Code::Io, tls_error());
  }
  return KeyAndCertificate{text_of(key_bio.get()), text_of(cert_bio.get())};
}

}  // namespace

Result<KeyAndCertificate> make_ca(const std::string& cluster) {
  const Key key(EVP_EC_gen("P-256"));
  const Cert cert = key == nullptr ? Cert() : blank(key.get(), 3650);
  if (cert == nullptr || !set_name(cert.get(), cluster, "Fettle CA of " + cluster)) {
    return fail(Code::Io, tls_error());
  }
  X509_set_issuer_name(cert.get(), X509_get_subject_name(cert.get()));
  const bool ok =
      add_extension(cert.get(), cert.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
      add_extension(cert.get(), cert.get(), NID_key_usage, "critical,keyCertSign,cRLSign") &&
      add_extension(cert.get(), cert.get(), NID_subject_key_identifier, "hash") &&
      X509_sign(cert.get(), key.get(), EVP_sha256()) > 0;
  if (!ok) return fail(Code::Io, tls_error());
  return as_pem(key.get(), cert.get());
}

Result<KeyAndCertificate> make_member_certificate(const KeyAndCertificate& ca,
                                                  const std::string& cluster,
                                                  const std::string& member) {
  const Memory key_in(BIO_new_mem_buf(ca.key_pem.data(), static_cast<int>(ca.key_pem.size())));
  const Memory cert_in(BIO_new_mem_buf(ca.cert_pem.data(), static_cast<int>(ca.cert_pem.size())));
  const Key ca_key(PEM_read_bio_PrivateKey(key_in.get(), nullptr, nullptr, nullptr));
  const Cert ca_cert(PEM_read_bio_X509(cert_in.get(), nullptr, nullptr, nullptr));
  if (ca_key == nullptr || ca_cert == nullptr) return fail(Code::Invalid, "the CA is not readable");
  const Key key(EVP_EC_gen("P-256"));
  const Cert cert = key == nullptr ? Cert() : blank(key.get(), 730);
  if (cert == nullptr || !set_name(cert.get(), cluster, member)) return fail(Code::Io, tls_error());
  X509_set_issuer_name(cert.get(), X509_get_subject_name(ca_cert.get()));
  const bool ok =
      add_extension(cert.get(), ca_cert.get(), NID_basic_constraints, "critical,CA:FALSE") &&
      add_extension(cert.get(), ca_cert.get(), NID_key_usage, "critical,digitalSignature") &&
      add_extension(cert.get(), ca_cert.get(), NID_ext_key_usage, "serverAuth,clientAuth") &&
      add_extension(cert.get(), ca_cert.get(), NID_subject_alt_name, "DNS:" + member) &&
      X509_sign(cert.get(), ca_key.get(), EVP_sha256()) > 0;
  if (!ok) return fail(Code::Io, tls_error());
  return as_pem(key.get(), cert.get());
}

}  // namespace fettle::io
