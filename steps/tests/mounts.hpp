// What a table of mounts, such as /proc/self/mounts, says of a mount.

#pragma once

#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "steps/tests/host.hpp"

namespace host {

/// What the mount at `point` lacks of `wanted`, a type and flags such as "proc
/// nosuid noexec", in words; "" if it has them all. It can have more. Of
/// several mounts at `point`, the last is the one that is seen.
inline std::string lacks(const std::string& table, const std::string& point,
                         const std::string& wanted) {
  std::set<std::string> has;
  for (const auto& line : lines(table)) {
    std::istringstream words{line};
    std::string source;
    std::string where;
    std::string type;
    std::string flags;
    words >> source >> where >> type >> flags;
    if (where != point) continue;
    has = {type};
    std::istringstream list{flags};
    for (std::string flag; std::getline(list, flag, ',');) has.insert(flag);
  }
  if (has.empty()) return "there is no mount at " + point;
  std::istringstream words{wanted};
  for (std::string word; words >> word;)
    if (has.count(word) == 0)
      return "the mount at " + point + " is not " + word;
  return {};
}

}  // namespace host
