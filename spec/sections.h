// Sections: the parts of a spec file, one parser each. Internal to parse.cc.
#pragma once

#include <map>
#include <string>

#include "spec/parse.h"

namespace fettle::spec {

/// Where each name was first given, so that a second one can point at it.
struct Names {
  std::map<std::string, std::string> services, nodes, playbooks, receivers;  // name → file:line
};

/// A use of a name that must exist once all files are read.
struct Reference {
  std::string file;
  Place place;
  std::string path;
  std::string name;
};
/// A step that acts at the host of whatever node its playbook takes.
struct HostUse {
  std::string file;
  Place place;
  std::string path;
  std::size_t playbook = 0;  // its position in the spec
};
struct References {
  std::vector<Reference> services;
  std::vector<Reference> receivers;
  std::vector<HostUse> hosts;
};

struct Section {
  Report& report;
  core::Spec& spec;
  Names& names;
  References& references;
};

void parse_service(Section& section, const Value& item, const std::string& path);
void parse_playbook(Section& section, const Value& item, const std::string& path);
void parse_receiver(Section& section, const Value& item, const std::string& path);
void parse_route(Section& section, const Value& value);

/// Takes `name`, checks it, and that nobody in `taken` has it.
std::string take_name(Section& section, Reader& reader, std::map<std::string, std::string>& taken);
/// Reports a list `key` that is missing or holds nothing.
void need_some(Reader& reader, const std::string& key, const std::string& expected);
/// The kind named by key `kind`, or null (and reported, unless it comes later).
const core::KindSpec* take_kind(Reader& reader, const std::vector<core::KindSpec>& kinds,
                                const std::vector<std::string>& later, const std::string& key);

}  // namespace fettle::spec
