#include "steps/07-cgroup-memory/callers_limits.hpp"

#include <array>
#include <cstdlib>
#include <limits>
#include <sstream>
#include <string>

#include "common/file.hpp"

namespace sys {

namespace {

// What limits the processes of a v2 cgroup. Of two numbers the lower counts. Of
// two lists, such as "0-3", it is the one of the cgroup nearest to us.
struct Limit {
  const char* file;
  bool is_list;
};
constexpr std::array kLimits{
    Limit{"memory.max", false},      Limit{"memory.high", false},
    Limit{"memory.swap.max", false}, Limit{"pids.max", false},
    Limit{"cpu.max", false},         Limit{"cpuset.cpus", true},
    Limit{"cpuset.mems", true},      Limit{"io.max", true}};

// "max", "100", or of cpu.max "50000 100000", which is a half.
double amount(const std::string& text) {
  if (text.starts_with("max")) return std::numeric_limits<double>::infinity();
  char* behind = nullptr;
  const double number = std::strtod(text.c_str(), &behind);
  const double of = std::strtod(behind, nullptr);
  return of > 0 ? number / of : number;
}

void keep_limits(const std::string& callers, const std::string& group) {
  for (const auto& limit : kLimits) {
    const auto value = read_file_if_there(callers + "/" + limit.file);
    if (value.empty() || value.starts_with("max")) continue;
    const auto path = group + "/" + limit.file;
    const auto now = read_file_if_there(path);
    if (!now.empty() && (limit.is_list || amount(now) <= amount(value)))
      continue;
    std::istringstream lines{value};
    for (std::string line; std::getline(lines, line);) write_file(path, line);
  }
}

}  // namespace

void keep_callers_limits(const std::vector<Cgroup>& groups) {
  for (const auto& group : groups)
    for (const auto& callers : group.passed_over)
      keep_limits(callers, group.directory);
}

}  // namespace sys
