#include "api/incoming.h"

#include <sys/random.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>

#include "core/client_table.h"

namespace fettle::api {
namespace {

std::string header(lws* connection, lws_token_indexes token) {
  const int size = lws_hdr_total_length(connection, token);
  if (size <= 0) return "";
  std::string text(static_cast<std::size_t>(size) + 1, '\0');
  const int copied = lws_hdr_copy(connection, text.data(), size + 1, token);
  text.resize(copied > 0 ? static_cast<std::size_t>(copied) : 0);
  return text;
}

std::map<std::string, std::string> query_of(lws* connection) {
  std::map<std::string, std::string> query;
  constexpr int kPairsMax = 16;
  std::array<char, 1024> text{};
  for (int i = 0; i < kPairsMax; ++i) {
    const int size = lws_hdr_copy_fragment(connection, text.data(), static_cast<int>(text.size()),
                                           WSI_TOKEN_HTTP_URI_ARGS, i);
    if (size < 0) break;
    const std::string pair(text.data(), static_cast<std::size_t>(size));
    const std::size_t equals = pair.find('=');
    query[pair.substr(0, equals)] = equals == std::string::npos ? "" : pair.substr(equals + 1);
  }
  return query;
}

struct Method {
  lws_token_indexes token;
  const char* name;
};
constexpr std::array<Method, 7> kMethods{{{WSI_TOKEN_GET_URI, "GET"},
                                          {WSI_TOKEN_POST_URI, "POST"},
                                          {WSI_TOKEN_HEAD_URI, "HEAD"},
                                          {WSI_TOKEN_PUT_URI, "PUT"},
                                          {WSI_TOKEN_PATCH_URI, "PATCH"},
                                          {WSI_TOKEN_DELETE_URI, "DELETE"},
                                          {WSI_TOKEN_OPTIONS_URI, "OPTIONS"}}};

/// The kernel's word on who is at the other end of the local socket; a header could say anything.
std::string who_asks(lws* connection) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(lws_get_socket_fd(connection), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return "somebody";
  }
  return peer.uid == 0 ? "root" : "uid " + std::to_string(peer.uid);
}

std::string random_digits() {
  std::array<unsigned char, 16> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return "";
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const unsigned byte : bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

}  // namespace

std::string custom_header(lws* connection, const char* name) {
  const int name_size = static_cast<int>(std::strlen(name));
  const int size = lws_hdr_custom_length(connection, name, name_size);
  if (size <= 0) return "";
  std::string text(static_cast<std::size_t>(size) + 1, '\0');
  const int copied = lws_hdr_custom_copy(connection, text.data(), size + 1, name, name_size);
  text.resize(copied > 0 ? static_cast<std::size_t>(copied) : 0);
  return text;
}

bool is_local(lws* connection) {
  int domain = 0;
  socklen_t size = sizeof(domain);
  const int rc = getsockopt(lws_get_socket_fd(connection), SOL_SOCKET, SO_DOMAIN, &domain, &size);
  return rc == 0 && domain == AF_UNIX;
}

Request read_head(lws* connection, core::Time known) {
  Request request;
  request.method = "OTHER";
  for (const Method& method : kMethods) {
    if (lws_hdr_total_length(connection, method.token) <= 0) continue;
    request.method = method.name;
    request.path = header(connection, method.token);
    break;
  }
  request.query = query_of(connection);
  request.content_type = header(connection, WSI_TOKEN_HTTP_CONTENT_TYPE);
  request.if_match = header(connection, WSI_TOKEN_HTTP_IF_MATCH);
  request.idempotency_key = custom_header(connection, "idempotency-key:");
  request.idempotency_key = request.idempotency_key.empty()
                                ? core::made_client_key(known, random_digits())
                                : core::asked_client_key(std::move(request.idempotency_key));
  request.may_write = is_local(connection);
  if (request.may_write) request.who = who_asks(connection);
  return request;
}

BodyLength body_length(lws* connection, const std::string& path, std::size_t bytes_max) {
  BodyLength length;
  if (lws_hdr_total_length(connection, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0) {
    length.refused = error_response(411, "length_required",
                                    "send the body with Content-Length, not chunked", path);
    return length;
  }
  const std::string text = header(connection, WSI_TOKEN_HTTP_CONTENT_LENGTH);
  if (text.empty()) return length;
  length.given = true;
  const char* end = text.data() + text.size();
  const auto [at, failed] = std::from_chars(text.data(), end, length.bytes);
  if (failed == std::errc::invalid_argument || (failed == std::errc() && at != end)) {
    length.refused = error_response(400, "invalid", "Content-Length is no number", path);
  } else if (failed != std::errc() || length.bytes > bytes_max) {
    length.refused = error_response(
        413, "too_large", "the body is larger than " + std::to_string(bytes_max) + " bytes", path);
  }
  return length;
}

}  // namespace fettle::api
