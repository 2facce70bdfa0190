// The processes of a container, all together. Those of a container have its
// cgroups in common, whatever namespaces it has.

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "common/file.hpp"
#include "steps/oci/layers.hpp"

namespace {

// A cgroup and those below it, which the container might have made, from the
// deepest on.
std::vector<std::string> with_those_below(const std::string& directory) {
  std::vector<std::string> all;
  std::error_code missing;
  for (const auto& entry :
       std::filesystem::directory_iterator{directory, missing})
    if (entry.is_directory())
      for (auto& below : with_those_below(entry.path()))
        all.push_back(std::move(below));
  if (!missing) all.push_back(directory);
  return all;
}

// The file that stops the processes of a cgroup, and the words for it.
struct Freezer {
  std::string file, stop, go;
};

Freezer find_freezer(const std::vector<sys::Cgroup>& groups) {
  if (const auto* const v1 = sys::find_cgroup(groups, "freezer"))
    return {v1->directory + "/freezer.state", "FROZEN", "THAWED"};
  if (const auto* const v2 = sys::find_cgroup(groups, "unified"))
    return {v2->directory + "/cgroup.freeze", "1", "0"};
  return {};
}

}  // namespace

void signal_all(const std::vector<sys::Cgroup>& groups, int signal) {
  if (groups.empty())
    throw std::runtime_error{"cgroups(7): no cgroup tells which processes"};
  for (const auto& directory : with_those_below(groups.front().directory)) {
    std::istringstream pids{sys::read_file(directory + "/cgroup.procs")};
    for (pid_t pid = 0; pids >> pid;) ::kill(pid, signal);
  }
}

void remove_with_members(const std::vector<sys::Cgroup>& groups) {
  constexpr int kRounds = 1000;  // One that forks needs more than one.
  if (groups.empty()) return;
  if (is_frozen(groups))
    freeze(groups, false);  // v1 kills none that is frozen.
  for (int round = 0; round < kRounds; ++round) {
    bool is_empty = true;
    for (const auto& directory : with_those_below(groups.front().directory))
      is_empty &= sys::read_file(directory + "/cgroup.procs").empty();
    if (is_empty) break;
    signal_all(groups, SIGKILL);
    ::poll(nullptr, 0, 1);
  }
  for (const auto& group : groups)
    for (const auto& directory : with_those_below(group.directory))
      sys::remove_cgroups({{group.version, directory, {}, {}, {}}});
}

void freeze(const std::vector<sys::Cgroup>& groups, bool is_frozen) {
  const auto [file, stop, go] = find_freezer(groups);
  if (file.empty())
    throw std::runtime_error{"cgroups(7): no cgroup here stops processes"};
  sys::write_file(file, is_frozen ? stop : go);
}

bool is_frozen(const std::vector<sys::Cgroup>& groups) {
  const auto [file, stop, go] = find_freezer(groups);
  const auto now = file.empty() ? file : sys::read_file_if_there(file);
  return !now.empty() && now != go;
}

int signal_number(const std::string& name) {
  for (int signal = 1; signal < NSIG; ++signal) {
    const char* const known = ::sigabbrev_np(signal);
    const std::string word{known == nullptr ? "" : known};
    if (name == sys::format("{}", signal) ||
        (!word.empty() && (name == word || name == "SIG" + word)))
      return signal;
  }
  throw std::invalid_argument{"there is no signal " + name};
}
