#include "daemon/member.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "daemon/log.h"
#include "io/files.h"
#include "io/service.h"
#include "spec/document.h"
#include "spec/parse.h"

namespace fettle::daemon {
namespace {

constexpr std::size_t kSecretBytesMax = 64U * 1024;
constexpr std::size_t kSecretsMax = 1024;

Result<std::uint64_t> random_number() {
  std::uint64_t number = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&number), sizeof number) != 1) {
    return fail(Code::Io, "the system gives no random numbers");
  }
  return number;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

/// A file of ours; what is wrong with it is said with its place, as for those that are parsed.
Result<std::string> read_yaml(const std::string& path) {
  auto text = io::read_file(path, spec::kFileBytesMax);
  if (text || text.error().code != Code::Invalid) return text;
  return fail(Code::Invalid, to_string(spec::too_large(path)));
}

void read_spec(MemberFiles& files) {
  std::vector<core::SourceFile> sources;
  for (const std::string& glob : files.member.spec_globs) {
    const std::vector<std::string> paths = io::glob(glob);
    if (paths.empty()) files.notes.push_back("spec: no file matches " + glob);
    for (const std::string& path : paths) {
      auto text = read_yaml(path);
      if (!text) {
        files.spec_errors.push_back(text.error().what);
        continue;
      }
      sources.push_back({path, std::move(*text)});
    }
  }
  if (sources.empty()) return;
  spec::Parsed parsed = spec::parse(sources, spec::Strictness::Apply);
  for (const spec::Diagnostic& one : parsed.diagnostics)
    files.spec_errors.push_back(to_string(one));
  if (files.spec_errors.empty()) files.spec = std::move(parsed.spec);
}

/// Every secret of the directories, read once: nothing reads files on a running loop. The first
/// directory that has a name wins.
alerts::Secrets load_secrets(const std::vector<std::string>& folders) {
  auto all = std::make_shared<std::map<std::string, std::string>>();
  for (const std::string& folder : folders) {
    std::error_code ignored;
    for (const auto& file : std::filesystem::directory_iterator(folder, ignored)) {
      const std::string name = file.path().filename().string();
      if (all->size() >= kSecretsMax || all->contains(name) || !file.is_regular_file(ignored))
        continue;
      auto text = io::read_file(file.path().string(), kSecretBytesMax);
      if (!text) {
        log::warn("secrets: " + text.error().what);
        continue;
      }
      while (text->ends_with('\n') || text->ends_with('\r')) text->pop_back();
      all->emplace(name, std::move(*text));
    }
  }
  return [all, where = joined(folders)](const std::string& name) -> Result<std::string> {
    const auto found = all->find(name);
    if (found == all->end()) return fail(Code::NotFound, "no secret named " + name);
    return found->second;
  };
}

std::vector<std::string> secret_folders(const spec::MemberFile& member) {
  std::vector<std::string> folders;
  if (const char* given = std::getenv("CREDENTIALS_DIRECTORY"); given != nullptr) {
    folders.emplace_back(given);
  }
  folders.push_back(member.secrets);
  return folders;
}

Status make_folder(const std::filesystem::path& folder) {
  if (folder.empty()) return {};
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) return fail(Code::Io, folder.string() + ": " + failed.message());
  return {};
}

core::MemberFacts facts_of(const spec::MemberFile& file, const std::string& incarnation) {
  return {.name = file.node_name,
          .zone = file.zone,
          .incarnation = incarnation,
          .version = FETTLE_VERSION,
          .level = core::kEngineLevel,
          .role = file.role,
          .allow = file.allow};
}

Result<std::string> fresh_incarnation() {
  FETTLE_TRY(const std::uint64_t high, random_number());
  FETTLE_TRY(const std::uint64_t low, random_number());
  std::array<char, 33> text{};
  std::snprintf(text.data(), text.size(), "%016llx%016llx", static_cast<unsigned long long>(high),
                static_cast<unsigned long long>(low));
  return text.data();
}

AgentConfig agent_config(const spec::MemberFile& file, const std::string& incarnation,
                         std::uint64_t generation, std::uint64_t seed) {
  AgentConfig config{.facts = facts_of(file, incarnation),
                     .cluster = file.cluster,
                     .voters = {},
                     .generation = generation,
                     .seed = seed};
  for (const spec::MemberAddress& one : file.members) {
    config.voters.push_back({one.name, one.address});
  }
  return config;
}

GroupConfig group_config(const MemberFiles& files, const std::string& incarnation,
                         std::uint64_t seed) {
  const spec::MemberFile& file = files.member;
  GroupConfig config;
  config.facts = facts_of(file, incarnation);
  config.cluster = file.cluster;
  config.address = own_address(file);
  for (const spec::MemberAddress& one : file.members) {
    config.members.push_back({one.name, one.address});
  }
  if (file.election_timeout.count() > 0) {
    config.timing = {.election_timeout = file.election_timeout, .heartbeat = file.heartbeat};
  }
  config.spec = files.spec;
  config.seed = seed;
  return config;
}

api::ServerConfig api_config(const spec::MemberFile& file) {
  return {.tcp = file.listen_api, .socket = file.listen_socket};
}

}  // namespace

core::Address own_address(const spec::MemberFile& file) {
  const auto named = std::ranges::find(file.members, file.node_name, &spec::MemberAddress::name);
  if (named != file.members.end()) return named->address;
  return file.listen_cluster.value_or(core::Address{});
}

Result<MemberFiles> read_member_files(const std::string& path) {
  FETTLE_TRY(std::string text, read_yaml(path));
  spec::ParsedMember parsed = spec::parse_member({path, std::move(text)}, io::host_name());
  if (!parsed.member) {
    std::vector<std::string> lines;
    for (const spec::Diagnostic& one : parsed.diagnostics) lines.push_back(to_string(one));
    return fail(Code::Invalid, joined(lines));
  }
  MemberFiles files;
  files.member = std::move(*parsed.member);
  const spec::MemberFile& member = files.member;
  if (!member.tls_ca.empty()) {
    FETTLE_TRY(files.tls, io::TlsContext::load(member.tls_ca, member.tls_cert, member.tls_key));
  }
  for (const std::string& key : member.without_effect) {
    files.notes.push_back(key + ": accepted, without effect in this version");
  }
  read_spec(files);
  return files;
}

Status Member::open_stores(const spec::MemberFile& file) {
  FETTLE_CHECK(make_folder(file.data_dir));
  FETTLE_CHECK(make_folder(std::filesystem::path(file.listen_socket).parent_path()));
  if (!file.is_agent()) {
    FETTLE_TRY(group_store_, store::GroupStore::open(file.data_dir + "/group.db"));
    FETTLE_TRY(loaded_group_, group_store_->load());
  }
  FETTLE_TRY(host_store_, store::HostStore::open(file.data_dir + "/host.db"));
  FETTLE_TRY(loaded_host_, host_store_->load());
  FETTLE_TRY(starts_, host_store_->count_start());
  return open_incarnation();
}

/// An agent keeps its own beside the journal: whoever lost that is another one.
Status Member::open_incarnation() {
  if (group_store_ == nullptr) {
    FETTLE_TRY(const std::string fresh, fresh_incarnation());
    FETTLE_TRY(incarnation_, host_store_->incarnation(fresh));
    return {};
  }
  FETTLE_TRY(const auto known, group_store_->meta("incarnation"));
  if (known) {
    incarnation_ = *known;
    return {};
  }
  FETTLE_TRY(incarnation_, fresh_incarnation());
  return group_store_->set_meta("incarnation", incarnation_);
}

/// A group that knows its spec needs no files: wrong ones are said, and nothing of them is applied.
Status Member::open_voter(MemberFiles& files, std::uint64_t seed) {
  const auto& snapshot = loaded_group_.snapshot;
  const bool has_log =
      !loaded_group_.entries.empty() || (snapshot != nullptr && snapshot->meta.index > Index{0});
  if (!files.spec_errors.empty() && !has_log) {
    return fail(Code::Invalid, joined(files.spec_errors));
  }
  for (const std::string& wrong : files.spec_errors) log::error("spec: " + wrong);
  const spec::MemberFile& file = files.member;
  std::optional<io::SockAddress> listen;
  if (files.tls != nullptr && file.listen_cluster) {
    listen = io::parse_numeric(file.listen_cluster->host, file.listen_cluster->port);
    if (!listen) {
      return fail(Code::Invalid, "listen.cluster: " + to_string(*file.listen_cluster) +
                                     " is a name; an address of this host is expected");
    }
  }
  auto group = std::make_unique<Group>(group_loop_, work_loop_, *disk_, *group_store_,
                                       group_config(files, incarnation_, seed),
                                       std::move(loaded_group_), files.tls, work_->events());
  Group& opened = *group;
  group_ = std::move(group);
  FETTLE_CHECK(work_->start(opened, api_config(file)));
  return opened.start(listen);
}

Status Member::open_group(MemberFiles& files) {
  FETTLE_TRY(const std::uint64_t seed, random_number());
  const spec::MemberFile& file = files.member;
  if (!file.is_agent()) return open_voter(files, seed);
  auto agent = std::make_unique<Agent>(group_loop_, work_loop_,
                                       agent_config(file, incarnation_, host_generation_, seed),
                                       files.tls, work_->events());
  Agent& opened = *agent;
  group_ = std::move(agent);
  FETTLE_CHECK(work_->start(opened, api_config(file)));
  opened.start();
  return {};
}

Result<std::unique_ptr<Member>> Member::start(MemberFiles files) {
  auto member = std::unique_ptr<Member>(new Member());
  const spec::MemberFile& file = files.member;
  FETTLE_CHECK(member->open_stores(file));
  member->disk_ = std::make_unique<io::Worker>("fettle-disk");
  member->parser_ = std::make_unique<io::Worker>("fettle-parser");
  member->host_generation_ = member->loaded_host_.generation;
  WorkConfig config{.self = file.node_name,
                    .allow = file.allow,
                    .starts = member->starts_,
                    .loaded = std::move(member->loaded_host_),
                    .secrets = load_secrets(secret_folders(file))};
  member->work_ = std::make_unique<Work>(member->work_loop_, *member->disk_, *member->parser_,
                                         *member->host_store_, std::move(config));
  FETTLE_CHECK(member->open_group(files));
  member->watchdog_ =
      std::make_unique<Watchdog>(member->group_loop_, member->work_loop_,
                                 [group = member->group_.get()] { return group->summary(); });
  member->group_thread_ = std::thread([raw = member.get()] {
    io::name_thread("fettle-group");
    raw->group_loop_.run();
  });
  return member;
}

void Member::run() { work_loop_.run(); }

void Member::stop() {
  if (stopping_ != nullptr) return work_loop_.stop();  // asked twice: at once
  stopping_ = std::make_unique<io::Timer>(work_loop_);
  stopping_->start(kHandOverMax, [this] { work_loop_.stop(); });
  group_->hand_over([this] { work_loop_.stop(); });
}

Member::~Member() {
  if (group_thread_.joinable()) {
    group_loop_.stop();
    group_thread_.join();
  }
  stopping_.reset();
  if (work_ != nullptr)
    work_->close();  // turns the work loop: what it may call must still be there
  watchdog_.reset();
  disk_.reset();  // what was queued is done, nothing new comes
  parser_.reset();
  group_.reset();
  work_.reset();
}

}  // namespace fettle::daemon
