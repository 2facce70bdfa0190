// Cgroups, and the limits of linux.resources: each is a file of a cgroup, which
// on v2 has another name and sometimes another unit. See cgroups(7).

#include <sys/stat.h>

#include <climits>
#include <filesystem>
#include <sstream>

#include "common/file.hpp"
#include "common/mount.hpp"
#include "steps/oci/layers.hpp"

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
  const auto parent = std::filesystem::path{directory}.parent_path().string();
  if (!std::filesystem::exists(parent)) make_cgroup(parent, is_v2);
  if (is_v2) hand_down(parent);
  if (!sys::make_new_directory(directory)) return;
  // A new cpuset of v1 is empty, and no process can go there.
  for (const std::string file : {"/cpuset.cpus", "/cpuset.mems"})
    if (!is_v2 && std::filesystem::exists(directory + file))
      sys::write_file(directory + file, sys::read_file(parent + file));
}

// Whether nothing is there that is not ours: no process, and no cgroup below.
bool is_unused(const std::string& directory) {
  for (const auto& entry : std::filesystem::directory_iterator{directory})
    if (entry.is_directory()) return false;
  return sys::read_file(directory + "/cgroup.procs").empty();
}

struct Limit {
  const char* path;  // Below linux.resources.
  const char* controller;
  const char* v1;
  const char* v2;
};

constexpr Limit kLimits[] = {
    {"/memory/limit", "memory", "memory.limit_in_bytes", "memory.max"},
    {"/memory/swap", "memory", "memory.memsw.limit_in_bytes",
     "memory.swap.max"},
    {"/memory/reservation", "memory", "memory.soft_limit_in_bytes",
     "memory.low"},
    {"/memory/kernelTCP", "memory", "memory.kmem.tcp.limit_in_bytes", ""},
    {"/memory/swappiness", "memory", "memory.swappiness", ""},
    {"/cpu/shares", "cpu", "cpu.shares", "cpu.weight"},
    {"/cpu/period", "cpu", "cpu.cfs_period_us", "cpu.max"},
    {"/cpu/quota", "cpu", "cpu.cfs_quota_us", "cpu.max"},
    {"/cpu/burst", "cpu", "cpu.cfs_burst_us", "cpu.max.burst"},
    {"/cpu/idle", "cpu", "cpu.idle", "cpu.idle"},
    {"/cpu/cpus", "cpuset", "cpuset.cpus", "cpuset.cpus"},
    {"/cpu/mems", "cpuset", "cpuset.mems", "cpuset.mems"},
    {"/pids/limit", "pids", "pids.max", "pids.max"}};

// On v2, shares of 2 to 262144 are weights of 1 to 10000, swap is counted
// without memory, and quota and period stand in one file.
std::string value_of(const std::string& path, const Json& resources,
                     int version) {
  if (at(resources, path).is_string())
    return get<std::string>(resources, path, "");
  auto number = need<std::int64_t>(resources, path);
  if (path == "/pids/limit" && number <= 0) return "max";
  if (version == 1) return sys::format("{}", number);
  if (path == "/cpu/shares")
    return sys::format("{}", 1 + (number - 2) * 9999 / 262142);
  if (path == "/cpu/period" || path == "/cpu/quota") {
    const auto quota = get<std::int64_t>(resources, "/cpu/quota", -1);
    const auto period = get<std::int64_t>(resources, "/cpu/period", 100000);
    return (quota > 0 ? sys::format("{} ", quota) : "max ") +
           sys::format("{}", period);
  }
  if (path == "/memory/swap" && number > 0)
    number -= get<std::int64_t>(resources, "/memory/limit", 0);
  return number < 0 ? "max" : sys::format("{}", number);
}

const sys::Cgroup& group_for(const std::vector<sys::Cgroup>& groups,
                             const std::string& controller) {
  for (const auto& name : {controller, std::string{"unified"}})
    if (const auto* const group = sys::find_cgroup(groups, name)) return *group;
  throw std::runtime_error{"cgroups(7): no cgroup here limits " + controller};
}

}  // namespace

std::vector<sys::Cgroup> name_cgroups(const Json& config,
                                      const std::string& id) {
  auto path = get<std::string>(config, "/linux/cgroupsPath", "");
  if (path.empty()) path = id;
  if (!path.starts_with('/')) path = "/" + path;
  if (path.find("/..") != path.npos || path.find(':') != path.npos)
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
  for (const auto& [version, directory, controllers, above, missing] : groups) {
    make_cgroup(directory, version == 2);
    if (!is_unused(directory))
      throw std::runtime_error{
          sys::format("the cgroup {} is used by others", directory)};
  }
}

void limit_resources(const Json& resources,
                     const std::vector<sys::Cgroup>& groups) {
  const auto set = [](const sys::Cgroup& group, const std::string& file,
                      const std::string& value) {
    if (file.empty())
      refuse_config("cgroup v2 has no file for a limit of {}", value);
    sys::write_file(group.directory + "/" + file, value);
  };
  for (const auto& [path, controller, v1, v2] : kLimits) {
    if (at(resources, path).is_null()) continue;
    const auto& group = group_for(groups, controller);
    set(group, group.version == 2 ? v2 : v1,
        value_of(path, resources, group.version));
  }
  for (const Json& page : at(resources, "/hugepageLimits")) {
    const auto& group = group_for(groups, "hugetlb");
    set(group,
        sys::format("hugetlb.{}.{}", need<std::string>(page, "/pageSize"),
                    group.version == 2 ? "max" : "limit_in_bytes"),
        sys::format("{}", need<std::uint64_t>(page, "/limit")));
  }
  for (const auto& [file, value] : at(resources, "/unified").items()) {
    if (file.find('/') != file.npos)
      refuse_config("the file {} is no limit", file);
    set(group_for(groups, "unified"), file, value.get<std::string>());
  }
}
