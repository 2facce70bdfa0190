#include "steps/07-cgroup-memory/callers_limits.hpp"

#include <cstdlib>
#include <sstream>
#include <string>

#include "common/file.hpp"

namespace sys {

namespace {

// "100", or of cpu.max "50000 100000", which is a half.
double amount(const std::string& text) {
  char* behind = nullptr;
  const double number = std::strtod(text.c_str(), &behind);
  const double of = std::strtod(behind, nullptr);
  return of > 0 ? number / of : number;
}

// Of two numbers the lower counts. Of two lists, it is the one of the cgroup
// nearest to us.
void keep_limits(const std::string& callers, const std::string& group) {
  for (const auto& file : kLimitFiles) {
    const auto value = limit_in(callers, file);
    if (value.empty()) continue;
    const auto now = limit_in(group, file);
    if (!now.empty() && (file.is_list || amount(now) <= amount(value)))
      continue;
    std::istringstream lines{value};
    for (std::string line; std::getline(lines, line);)
      write_file(group + "/" + file.name, line);
  }
}

}  // namespace

void keep_callers_limits(const std::vector<Cgroup>& groups) {
  for (const auto& group : groups)
    for (const auto& callers : group.passed_over)
      keep_limits(callers, group.directory);
}

}  // namespace sys
