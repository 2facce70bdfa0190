// The cgroups of a container. All processes of a container are in them,
// whatever its namespaces are. See cgroups(7).

#include <poll.h>

#include <climits>
#include <csignal>
#include <filesystem>
#include <sstream>

#include "common/file.hpp"
#include "common/mount.hpp"
#include "steps/oci/layers.hpp"

namespace fs = std::filesystem;

namespace {

// A controller is for those below only if each cgroup above hands it down. One
// that it cannot hand down is missed by the limit that needs it.
void hand_down(const std::string& directory) {
  std::istringstream names{sys::read_file(directory + "/cgroup.controllers")};
  for (std::string name; names >> name;) try {
      sys::write_file(directory + "/cgroup.subtree_control", "+" + name);
    } catch (const sys::Error&) {
    }
}

void make_cgroup(const std::string& directory, bool is_v2) {
  const auto parent = fs::path{directory}.parent_path().string();
  if (!fs::exists(parent)) make_cgroup(parent, is_v2);
  if (is_v2) hand_down(parent);
  if (!sys::make_new_directory(directory)) return;
  // A new cpuset of v1 is empty, and no process can go there.
  for (const std::string file : {"/cpuset.cpus", "/cpuset.mems"})
    if (!is_v2 && fs::exists(directory + file))
      sys::write_file(directory + file, sys::read_file(parent + file));
}

// A cgroup and those below it, which the container can make: the deepest first.
std::vector<std::string> with_those_below(const std::string& directory) {
  std::vector<std::string> all;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator{directory, missing})
    if (entry.is_directory())
      for (auto& below : with_those_below(entry.path())) all.push_back(below);
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

std::vector<sys::Cgroup> name_cgroups(const Json& config,
                                      const std::string& id) {
  auto path = get<std::string>(config, "/linux/cgroupsPath", "");
  if (path.empty()) path = id;
  if (!path.starts_with('/')) path = "/" + path;
  if (path == "/" || path.find("/..") != path.npos ||
      path.find(':') != path.npos)
    refuse_config("the cgroupsPath {} is not supported", path);
  const auto mounts = sys::read_file("/proc/self/mountinfo");
  std::istringstream own{sys::read_file("/proc/self/cgroup")};
  std::vector<sys::Cgroup> groups;
  // A line is "4:memory:/ours", or "0::/ours" on v2. With the path of the
  // container in the place of ours, the line names its directory.
  for (std::string number, name;
       std::getline(own, number, ':') && std::getline(own, name, ':');) {
    own.ignore(PATH_MAX, '\n');
    const auto found = sys::cgroup_directories(
        sys::format("{}:{}:{}", number, name, path), mounts);
    if (found.empty() || !found[0].ends_with(path)) continue;  // Not mounted.
    sys::Cgroup group{name.empty() ? 2 : 1, found[0], {}, {}, {}};
    std::istringstream names{name.empty() ? "unified" : name};
    for (std::string one; std::getline(names, one, ',');)
      group.controllers.push_back(one);
    groups.push_back(std::move(group));
  }
  return groups;
}

void make_cgroups(const std::vector<sys::Cgroup>& groups) {
  for (const auto& group : groups)
    if (with_those_below(group.directory).size() > 1 ||
        !members({group}).empty())
      throw std::runtime_error{
          sys::format("the cgroup {} is used by others", group.directory)};
  for (const auto& group : groups)
    make_cgroup(group.directory, group.version == 2);
}

std::vector<pid_t> members(const std::vector<sys::Cgroup>& groups) {
  std::vector<pid_t> pids;
  if (groups.empty()) return pids;
  for (const auto& directory : with_those_below(groups.back().directory)) {
    std::istringstream lines{sys::read_file(directory + "/cgroup.procs")};
    for (pid_t pid = 0; lines >> pid;) pids.push_back(pid);
  }
  return pids;
}

void remove_all(const std::vector<sys::Cgroup>& groups) {
  constexpr int kRounds = 1000;                  // Some might fork meanwhile.
  if (is_frozen(groups)) freeze(groups, false);  // On v1, SIGKILL waits for it.
  for (int round = 0; round < kRounds && !members(groups).empty(); ++round) {
    for (const pid_t pid : members(groups)) ::kill(pid, SIGKILL);
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
