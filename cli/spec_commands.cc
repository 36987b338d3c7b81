// apply, diff, validate: the spec's files.
#include <cstdio>

#include "cli/commands.h"
#include "cli/spec_files.h"
#include "io/service.h"
#include "spec/member_file.h"
#include "spec/parse.h"
#include "spec/text.h"

namespace fettle::cli {
namespace {

/// What is no text cannot be sent; the daemon would see other bytes than the file has.
Status check_texts(const std::vector<core::SourceFile>& files) {
  std::string wrong;
  for (const core::SourceFile& file : files) {
    const auto bad = spec::bad_text(file.text);
    if (!bad) continue;
    wrong += wrong.empty() ? "" : "\n";
    wrong += to_string(spec::Diagnostic{file.name, bad->place.line, bad->place.column, "",
                                        bad->what, "plain text", ""});
  }
  if (wrong.empty()) return {};
  return fail(Code::Invalid, wrong);
}

Result<ordered_json> send(Client& client, const std::vector<core::SourceFile>& files,
                          const std::string& query) {
  ordered_json list = ordered_json::array();
  for (const core::SourceFile& file : files) {
    list.push_back({{"name", file.name}, {"text", file.text}});
  }
  return client.post("/v1/spec" + query, {{"files", std::move(list)}});
}

/// A member's file is judged by itself, as `fettled --check` does; the others together are a spec.
std::vector<spec::Diagnostic> judge(const std::vector<core::SourceFile>& files,
                                    spec::Strictness strictness) {
  std::vector<core::SourceFile> of_spec;
  std::vector<spec::Diagnostic> diagnostics;
  for (const core::SourceFile& file : files) {
    if (!spec::is_member_file(file)) {
      of_spec.push_back(file);
      continue;
    }
    const auto wrong = spec::parse_member(file, io::host_name()).diagnostics;
    diagnostics.insert(diagnostics.end(), wrong.begin(), wrong.end());
  }
  const auto wrong = spec::parse(of_spec, strictness).diagnostics;
  diagnostics.insert(diagnostics.end(), wrong.begin(), wrong.end());
  return diagnostics;
}

void print_changes(const ordered_json& answer) {
  for (const ordered_json& line : answer["changes"]) {
    std::printf("%s\n", line.get_ref<const std::string&>().c_str());
  }
}

}  // namespace

int apply(const Common& common, const SpecOptions& options) {
  const auto files = read_spec_files(options.files);
  if (!files) return say(files.error());
  if (const Status texts = check_texts(*files); !texts) return say(texts.error());
  Client client(common.socket, common.server);
  const auto planned = send(client, *files, "?dry_run=true");
  if (!planned) return say(planned.error());
  const bool people = common.format == Format::Table;
  if (people) print_changes(*planned);
  if (options.dry_run) {
    if (!people) print_document(common.format, *planned);
    return 0;
  }
  const std::string base = (*planned)["revision"].dump();
  const std::string force = options.force.empty() ? "" : "&force=" + options.force;
  const auto applied =
      send(client, *files, "?base=" + base + (options.prune ? "&prune=true" : "") + force);
  if (!applied) return say(applied.error());
  if (people) {
    std::printf("%s\n", applied->value("message", "").c_str());
  } else {
    print_document(common.format, *applied);
  }
  return 0;
}

int diff(const Common& common, const SpecOptions& options) {
  SpecOptions only = options;
  only.dry_run = true;
  return apply(common, only);
}

int validate(const Common& common, const SpecOptions& options) {
  const auto files = read_spec_files(options.files);
  if (!files) return say(files.error());
  const auto strictness = options.syntax ? spec::Strictness::Syntax : spec::Strictness::Apply;
  const auto diagnostics = judge(*files, strictness);
  if (common.format == Format::Table) {
    for (const spec::Diagnostic& one : diagnostics) {
      std::fprintf(stderr, "%s\n", to_string(one).c_str());
    }
    if (diagnostics.empty()) std::printf("%zu files are good\n", files->size());
  } else {
    ordered_json list = ordered_json::array();
    for (const spec::Diagnostic& one : diagnostics) {
      list.push_back({{"file", one.file},
                      {"line", one.line},
                      {"column", one.column},
                      {"path", one.path},
                      {"message", one.message},
                      {"expected", one.expected},
                      {"did_you_mean", one.did_you_mean}});
    }
    print_document(common.format, {{"ok", diagnostics.empty()}, {"diagnostics", list}});
  }
  return diagnostics.empty() ? 0 : exit_code(Code::Invalid);
}

}  // namespace fettle::cli
