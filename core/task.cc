#include "core/task.h"

namespace fettle::core {

std::string to_string(const TaskKey& key) {
  return std::to_string(key.generation) + "/" + std::to_string(key.run.value) + "/" +
         std::to_string(key.step) + "/" + std::to_string(key.attempt) + "@" + key.host;
}

}  // namespace fettle::core
