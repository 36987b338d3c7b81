#include "io/listener.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

namespace fettle::io {
namespace {

void accept_one(uv_stream_t* server, int status, bool unix_socket,
                const Listener::OnAccept& accept) {
  if (status == 0) accept(server, unix_socket);
}

}  // namespace

Status Listener::listening(int rc, const std::string& where) {
  if (rc == 0) return {};
  return fail(rc == UV_EADDRINUSE ? Code::Conflict : Code::Io,
              "listen on " + where + ": " + uv_strerror(rc));
}

Status Listener::listen_tcp(const SockAddress& at, OnAccept on_accept) {
  on_accept_ = std::move(on_accept);
  auto tcp = std::make_unique<uv_tcp_t>();
  FETTLE_ASSERT(uv_tcp_init(loop_.raw(), tcp.get()) == 0);
  tcp->data = this;
  tcp_ = Handle<uv_tcp_t>(std::move(tcp));
  int rc = uv_tcp_bind(tcp_.get(), at.raw(), 0);
  if (rc == 0) {
    rc = uv_listen(as_stream(tcp_.get()), kBacklog, [](uv_stream_t* server, int status) {
      if (server->data == nullptr) return;
      accept_one(server, status, false, static_cast<Listener*>(server->data)->on_accept_);
    });
  }
  return listening(rc, to_string(at));
}

Status Listener::listen_unix(const std::string& path, OnAccept on_accept) {
  on_accept_ = std::move(on_accept);
  auto pipe = std::make_unique<uv_pipe_t>();
  FETTLE_ASSERT(uv_pipe_init(loop_.raw(), pipe.get(), 0) == 0);
  pipe->data = this;
  pipe_ = Handle<uv_pipe_t>(std::move(pipe));
  unlink(path.c_str());
  int rc = uv_pipe_bind(pipe_.get(), path.c_str());
  if (rc == 0 && chmod(path.c_str(), 0660) != 0) rc = uv_translate_sys_error(errno);
  if (rc == 0) {
    rc = uv_listen(as_stream(pipe_.get()), kBacklog, [](uv_stream_t* server, int status) {
      if (server->data == nullptr) return;
      accept_one(server, status, true, static_cast<Listener*>(server->data)->on_accept_);
    });
  }
  return listening(rc, path);
}

}  // namespace fettle::io
