// A folder of its own for each test, gone at its end.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "base/check.h"

namespace fettle::store {

class TempFolder {
 public:
  TempFolder() : path_((std::filesystem::temp_directory_path() / "fettle-store-XXXXXX").string()) {
    FETTLE_ASSERT(mkdtemp(path_.data()) != nullptr);
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace fettle::store
