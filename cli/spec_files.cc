#include "cli/spec_files.h"

#include <algorithm>
#include <filesystem>

#include "io/files.h"
#include "spec/document.h"

namespace fettle::cli {

Result<std::vector<core::SourceFile>> read_spec_files(const std::vector<std::string>& paths) {
  std::vector<std::string> names;
  for (const std::string& path : paths) {
    std::error_code failed;
    if (!std::filesystem::is_directory(path, failed)) {
      names.push_back(path);
      continue;
    }
    std::vector<std::string> found = io::glob(path + "/*.yaml");
    std::ranges::copy(io::glob(path + "/*.yml"), std::back_inserter(found));
    if (found.empty()) return fail(Code::Invalid, path + ": no *.yaml file in it");
    std::ranges::sort(found);
    std::ranges::copy(found, std::back_inserter(names));
  }
  std::vector<core::SourceFile> files;
  for (const std::string& name : names) {
    auto text = io::read_file(name, spec::kFileBytesMax);
    if (!text && text.error().code == Code::Invalid) {
      return fail(Code::Invalid, to_string(spec::too_large(name)));
    }
    if (!text) return fail(Code::Invalid, text.error().what);
    files.push_back({name, std::move(*text)});
  }
  return files;
}

}  // namespace fettle::cli
