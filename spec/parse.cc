#include "spec/parse.h"

#include <algorithm>

#include "spec/sections.h"
#include "spec/text.h"

namespace fettle::spec {
namespace {

void parse_file(Section& section, const Value& root) {
  Reader reader(section.report, root, "");
  if (const Value* version = reader.need("version", "version: 1");
      version != nullptr && version->text != "1") {
    reader.wrong(*version, "version", version->describe() + " is not a version of this language",
                 "1");
  }
  reader.each("services", [&](const Value& item, const std::string& path) {
    parse_service(section, item, path);
  });
  reader.each("playbooks", [&](const Value& item, const std::string& path) {
    parse_playbook(section, item, path);
  });
  reader.each("receivers", [&](const Value& item, const std::string& path) {
    parse_receiver(section, item, path);
  });
  if (const Value* route = reader.take("route"); route != nullptr) {
    if (!section.spec.route_receiver.empty()) {
      section.report.add(route->place, "route", "a second route; there is one for all files");
    }
    parse_route(section, *route);
  }
  reader.later({"deadman", "maintenance"});
}

void check_references(const std::vector<Reference>& references,
                      const std::map<std::string, std::string>& taken, const std::string& kind,
                      std::vector<Diagnostic>& diagnostics) {
  std::vector<std::string> names;
  for (const auto& [name, place] : taken) names.push_back(name);
  for (const Reference& use : references) {
    if (taken.contains(use.name)) continue;
    if (diagnostics.size() >= kDiagnosticsMax) return;
    diagnostics.push_back({use.file, use.place.line, use.place.column, use.path,
                           "there is no " + kind + " named '" + shown(use.name) + "'", "",
                           nearest(use.name, names)});
  }
}

/// The first node that the playbook may take and that names no host, or null.
const core::NodeSpec* without_host(const core::Spec& spec, const core::PlaybookSpec& playbook) {
  const auto& wanted = playbook.trigger.services;
  for (const core::ServiceSpec& service : spec.services) {
    if (!wanted.empty() && std::ranges::find(wanted, service.name) == wanted.end()) continue;
    const auto node = std::ranges::find(service.nodes, "", &core::NodeSpec::host);
    if (node != service.nodes.end()) return &*node;
  }
  return nullptr;
}

void check_hosts(const std::vector<HostUse>& uses, const core::Spec& spec,
                 std::vector<Diagnostic>& diagnostics) {
  for (const HostUse& use : uses) {
    const core::NodeSpec* node = without_host(spec, spec.playbooks.at(use.playbook));
    if (node == nullptr || diagnostics.size() >= kDiagnosticsMax) continue;
    diagnostics.push_back({use.file, use.place.line, use.place.column, use.path,
                           "no member to act: '" + node->name + "' has no host",
                           "`on: MEMBER` here, or `host: MEMBER` at each node", ""});
  }
}

}  // namespace

std::string take_name(Section& section, Reader& reader, std::map<std::string, std::string>& taken) {
  std::string name = reader.need_text("name", "a name");
  const Value* value = reader.take("name");
  if (name.empty() || value == nullptr) return name;
  if (!is_name(name)) {
    reader.wrong(*value, "name", "'" + shown(name) + "' is no name",
                 "letters, digits, '.', '_' and '-', at most 63");
  }
  const auto [first, fresh] =
      taken.emplace(name, section.report.file + ":" + std::to_string(value->place.line));
  if (!fresh)
    reader.wrong(*value, "name", "'" + shown(name) + "' is taken; first in " + first->second);
  return name;
}

void need_some(Reader& reader, const std::string& key, const std::string& expected) {
  const Value* found = reader.need(key, expected);
  if (found == nullptr) return;
  const bool nothing = found->kind == Value::Kind::Null;
  if (nothing || (found->kind == Value::Kind::List && found->list.empty())) {
    reader.wrong(*found, key, "the list is empty", expected);
  }
}

const core::KindSpec* take_kind(Reader& reader, const std::vector<core::KindSpec>& kinds,
                                const std::vector<std::string>& later, const std::string& key) {
  const Value* value = reader.need(key, "a kind");
  if (value == nullptr) return nullptr;
  std::vector<std::string> words;
  for (const core::KindSpec& kind : kinds) {
    if (kind.name == value->text) return &kind;
    words.push_back(kind.name);
  }
  if (std::ranges::find(later, value->text) != later.end()) {
    reader.report().later(value->place, reader.path_of(key) + ": " + value->text);
    return nullptr;
  }
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ", ") + word;
  words.insert(words.end(), later.begin(), later.end());
  reader.wrong(*value, key, value->describe() + " is not known here", "one of " + list,
               nearest(value->text, words));
  return nullptr;
}

Parsed parse(const std::vector<core::SourceFile>& files, Strictness strictness) {
  Parsed parsed;
  core::Spec spec;
  Names names;
  References references;
  std::vector<std::string> file_names;
  std::size_t bytes = 0;
  for (const core::SourceFile& file : files) {
    if (parsed.diagnostics.size() >= kDiagnosticsMax) break;
    file_names.push_back(file.name);
    bytes += file.text.size();
    if (bytes > kAllFilesBytesMax) {
      parsed.diagnostics.push_back(
          {file.name, 1, 1, "", "all files together are larger than 8 MiB", "", ""});
      break;
    }
    const std::size_t before = parsed.diagnostics.size();
    const Value root = read_document(file.name, file.text, parsed.diagnostics);
    if (parsed.diagnostics.size() != before) continue;
    Report report{file.name, strictness, parsed.diagnostics};
    Section section{report, spec, names, references};
    parse_file(section, root);
  }
  check_references(references.services, names.services, "service", parsed.diagnostics);
  check_references(references.receivers, names.receivers, "receiver", parsed.diagnostics);
  check_hosts(references.hosts, spec, parsed.diagnostics);
  sort_by_place(file_names, parsed.diagnostics);
  if (parsed.diagnostics.empty()) {
    spec.sources = files;
    parsed.spec = std::move(spec);
  }
  return parsed;
}

}  // namespace fettle::spec
