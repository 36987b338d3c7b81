// init tls: a CA for the group and a certificate for each member, as files.
#include <cstdio>
#include <filesystem>

#include "cli/commands.h"
#include "io/certificates.h"
#include "io/files.h"
#include "spec/reader.h"

namespace fettle::cli {
namespace {

constexpr mode_t kSecret = 0600;
constexpr mode_t kPublic = 0644;

Status check_names(const TlsOptions& options) {
  if (!spec::is_name(options.cluster)) {
    return fail(Code::Invalid, "--cluster '" + options.cluster + "' is no name");
  }
  for (const std::string& member : options.members) {
    if (!spec::is_name(member) || member == "ca") {
      return fail(Code::Invalid, "--member '" + member + "' is no name");
    }
  }
  return {};
}

/// Never writes over a key that is there: a group's CA must not be lost to a slip.
Status check_free(const TlsOptions& options) {
  std::error_code failed;
  std::vector<std::string> names{"ca.key", "ca.pem"};
  for (const std::string& member : options.members) {
    names.push_back(member + ".key");
    names.push_back(member + ".pem");
  }
  for (const std::string& name : names) {
    const std::string path = options.out + "/" + name;
    if (std::filesystem::exists(path, failed)) {
      return fail(Code::Conflict, path + " exists already: nothing was written");
    }
  }
  return {};
}

Result<std::vector<std::string>> write_all(const TlsOptions& options) {
  std::error_code failed;
  std::filesystem::create_directories(options.out, failed);
  if (failed) return fail(Code::Io, options.out + ": " + failed.message());
  std::vector<std::string> written;
  const auto write = [&](const std::string& name, const io::KeyAndCertificate& pair) -> Status {
    const std::string path = options.out + "/" + name;
    FETTLE_CHECK(io::write_file_atomic(path + ".key", pair.key_pem, kSecret));
    FETTLE_CHECK(io::write_file_atomic(path + ".pem", pair.cert_pem, kPublic));
    written.push_back(path + ".key");
    written.push_back(path + ".pem");
    return {};
  };
  FETTLE_TRY(const io::KeyAndCertificate ca, io::make_ca(options.cluster));
  FETTLE_CHECK(write("ca", ca));
  for (const std::string& member : options.members) {
    FETTLE_TRY(const auto one, io::make_member_certificate(ca, options.cluster, member));
    FETTLE_CHECK(write(member, one));
  }
  return written;
}

}  // namespace

int init_tls(const Common& common, const TlsOptions& options) {
  if (const Status good = check_names(options); !good) return say(good.error());
  if (const Status free = check_free(options); !free) return say(free.error());
  const auto written = write_all(options);
  if (!written) return say(written.error());
  if (common.format != Format::Table) {
    print_document(common.format, {{"written", *written}});
    return 0;
  }
  for (const std::string& path : *written) std::printf("wrote %s\n", path.c_str());
  std::printf("keep %s/ca.key off the hosts; give each host ca.pem and its own pair\n",
              options.out.c_str());
  return 0;
}

}  // namespace fettle::cli
