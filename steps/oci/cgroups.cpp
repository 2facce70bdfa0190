// The cgroups of a container, and the limits of linux.resources. All processes
// of a container are in its cgroups, whatever its namespaces are. A limit is a
// file there, which on v2 has another name, and sometimes another unit. See
// cgroups(7).

#include <poll.h>

#include <csignal>
#include <filesystem>
#include <sstream>

#include "common/cgroup.hpp"
#include "common/file.hpp"
#include "steps/oci/layers.hpp"

namespace fs = std::filesystem;

namespace {

struct Limit {
  std::string path, v1, v2;  // Below linux.resources, and in a cgroup.
};

const Limit kLimits[] = {
    {"/memory/limit", "memory.limit_in_bytes", "memory.max"},
    {"/memory/swap", "memory.memsw.limit_in_bytes", "memory.swap.max"},
    {"/memory/reservation", "memory.soft_limit_in_bytes", "memory.low"},
    {"/cpu/shares", "cpu.shares", "cpu.weight"},
    {"/cpu/period", "cpu.cfs_period_us", "cpu.max"},
    {"/cpu/quota", "cpu.cfs_quota_us", "cpu.max"},
    {"/cpu/cpus", "cpuset.cpus", "cpuset.cpus"},
    {"/cpu/mems", "cpuset.mems", "cpuset.mems"},
    {"/pids/limit", "pids.max", "pids.max"}};

// On v2, shares of 2 to 262144 are weights of 1 to 10000, swap is counted
// without memory, and quota and period stand in one file.
std::string value_of(const std::string& path, const Json& resources,
                     bool is_v2) {
  if (at(resources, path).is_string()) return at(resources, path);
  const auto number = need<std::int64_t>(resources, path);
  const auto memory = get<std::int64_t>(resources, "/memory/limit", 0);
  const auto quota = get<std::int64_t>(resources, "/cpu/quota", -1);
  const auto period = get<std::int64_t>(resources, "/cpu/period", 100000);
  if (path == "/pids/limit" && number <= 0) return "max";
  if (!is_v2) return sys::format("{}", number);
  if (path == "/cpu/shares")
    return sys::format("{}", 1 + (number - 2) * 9999 / 262142);
  if (path == "/cpu/period" || path == "/cpu/quota")
    return quota > 0 ? sys::format("{} {}", quota, period)
                     : sys::format("max {}", period);
  if (number < 0) return "max";
  return sys::format("{}", path == "/memory/swap" ? number - memory : number);
}

// A controller is for those below only if each cgroup above hands it down. One
// that it cannot hand down is missed by the limit that needs it.
void hand_down(const std::string& directory) {
  std::istringstream names{
      sys::read_file_if_there(directory + "/cgroup.controllers")};
  for (std::string name; names >> name;) try {
      sys::write_file(directory + "/cgroup.subtree_control", "+" + name);
    } catch (const sys::Error&) {
    }
}

void make_cgroup(const std::string& directory) {
  const auto parent = fs::path{directory}.parent_path().string();
  if (!fs::exists(parent)) make_cgroup(parent);
  hand_down(parent);
  if (!sys::make_new_directory(directory)) return;
  // A new cpuset of v1 is empty, and no process can go there.
  if (fs::exists(directory + "/cgroup.clone_children"))
    for (const std::string file : {"/cpuset.cpus", "/cpuset.mems"})
      sys::write_file_if_there(directory + file,
                               sys::read_file_if_there(parent + file));
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

}  // namespace

std::string find_file(const std::vector<std::string>& groups,
                      const std::string& v1, const std::string& v2) {
  for (const auto& name : {v1, v2})
    for (const auto& directory : groups)
      if (fs::exists(directory + "/" + name)) return directory + "/" + name;
  throw std::runtime_error{
      sys::format("cgroups(7): no cgroup here has a file {} or {}", v1, v2)};
}

std::vector<std::string> name_cgroups(const Json& config) {
  const auto path = need<std::string>(config, "/linux/cgroupsPath");
  if (path == "/" || path.find("/..") != path.npos ||
      path.find(':') != path.npos)
    refuse_config("the cgroupsPath {} is not supported", path);
  // A line is "4:memory:/ours", or "0::/ours" on v2. With the path of the
  // container in the place of ours, the line names its directory.
  std::istringstream ours{sys::read_file("/proc/self/cgroup")};
  std::string its;
  for (std::string line; std::getline(ours, line);)
    its += line.substr(0, line.find(':', line.find(':') + 1) + 1) + path + "\n";
  auto groups =
      sys::cgroup_directories(its, sys::read_file("/proc/self/mountinfo"));
  std::erase_if(groups, [&](const std::string& directory) {
    return !directory.ends_with(path);  // Its mount shows another part.
  });
  if (groups.empty()) throw std::runtime_error{"cgroups(7): there is none"};
  return groups;
}

void make_cgroups(const std::vector<std::string>& groups) {
  for (const auto& group : groups)
    if (with_those_below(group).size() > 1 || !members({group}).empty())
      throw std::runtime_error{
          sys::format("the cgroup {} is used by others", group)};
  for (const auto& group : groups) make_cgroup(group);
}

void limit_resources(const Json& resources,
                     const std::vector<std::string>& groups) {
  // On v1, a limit on memory is never above the one with swap. The order in
  // which the two can change depends on what they were, so we try both.
  for (const bool is_last : {false, true})
    for (const auto& [path, v1, v2] : kLimits) try {
        if (at(resources, path).is_null()) continue;
        const auto file = find_file(groups, v1, v2);
        const bool is_v2 = !file.ends_with(v1);
        sys::write_file(file, value_of(path, resources, is_v2));
      } catch (const sys::Error&) {
        if (is_last) throw;
      }
  for (const Json& page : at(resources, "/hugepageLimits")) {
    const auto name = "hugetlb." + need<std::string>(page, "/pageSize");
    sys::write_file(find_file(groups, name + ".limit_in_bytes", name + ".max"),
                    sys::format("{}", need<std::uint64_t>(page, "/limit")));
  }
  for (const auto& [file, value] : at(resources, "/unified").items()) {
    if (file.find('/') != file.npos)
      refuse_config("{} is no file of a cgroup", file);
    sys::write_file(find_file(groups, file, file),
                    need<std::string>(resources, "/unified/" + file));
  }
}

std::vector<sys::Fd> open_cgroups(const std::vector<std::string>& groups) {
  std::vector<sys::Fd> files;
  for (const auto& group : groups)
    files.push_back(open_file(group + "/cgroup.procs", O_WRONLY));
  return files;
}

std::vector<pid_t> members(const std::vector<std::string>& groups) {
  std::vector<pid_t> pids;
  if (groups.empty()) return pids;
  for (const auto& directory : with_those_below(groups.back())) {
    std::istringstream lines{sys::read_file(directory + "/cgroup.procs")};
    for (pid_t pid = 0; lines >> pid;) pids.push_back(pid);
  }
  return pids;
}

void remove_cgroups(const std::vector<std::string>& groups) {
  constexpr int kRounds = 1000;  // Some might fork meanwhile.
  for (int round = 0; round < kRounds && !members(groups).empty(); ++round) {
    for (const pid_t pid : members(groups)) ::kill(pid, SIGKILL);
    ::poll(nullptr, 0, 1);
  }
  for (const auto& group : groups)
    for (const auto& directory : with_those_below(group))
      sys::remove_cgroups({{0, directory, {}, {}, {}}});
}
