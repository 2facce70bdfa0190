// The limits of linux.resources. Each is a file of a cgroup, which on v2 has
// another name and sometimes another unit. See cgroups(7).

#include "common/file.hpp"
#include "steps/oci/layers.hpp"

namespace {

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
    {"/cpu/shares", "cpu", "cpu.shares", "cpu.weight"},
    {"/cpu/period", "cpu", "cpu.cfs_period_us", "cpu.max"},
    {"/cpu/quota", "cpu", "cpu.cfs_quota_us", "cpu.max"},
    {"/cpu/cpus", "cpuset", "cpuset.cpus", "cpuset.cpus"},
    {"/cpu/mems", "cpuset", "cpuset.mems", "cpuset.mems"},
    {"/pids/limit", "pids", "pids.max", "pids.max"}};

// On v2, shares of 2 to 262144 are weights of 1 to 10000, swap is counted
// without memory, and quota and period stand in one file.
std::string value_of(const std::string& path, const Json& resources,
                     int version) {
  if (at(resources, path).is_string())
    return need<std::string>(resources, path);
  const auto number = need<std::int64_t>(resources, path);
  if (path == "/pids/limit" && number <= 0) return "max";
  if (version == 1) return sys::format("{}", number);
  if (path == "/cpu/shares")
    return sys::format("{}", 1 + (number - 2) * 9999 / 262142);
  if (path == "/cpu/period" || path == "/cpu/quota") {
    const auto quota = get<std::int64_t>(resources, "/cpu/quota", -1);
    const auto period = get<std::int64_t>(resources, "/cpu/period", 100000);
    return quota > 0 ? sys::format("{} {}", quota, period)
                     : sys::format("max {}", period);
  }
  if (number < 0) return "max";
  const auto memory = get<std::int64_t>(resources, "/memory/limit", 0);
  return sys::format("{}", path == "/memory/swap" ? number - memory : number);
}

const sys::Cgroup& group_for(const std::vector<sys::Cgroup>& groups,
                             const std::string& controller) {
  for (const auto& name : {controller, std::string{"unified"}})
    if (const auto* const group = sys::find_cgroup(groups, name)) return *group;
  throw std::runtime_error{"cgroups(7): no cgroup here limits " + controller};
}

}  // namespace

void limit_resources(const Json& resources,
                     const std::vector<sys::Cgroup>& groups) {
  for (const auto& [path, controller, v1, v2] : kLimits) {
    if (at(resources, path).is_null()) continue;
    const auto& group = group_for(groups, controller);
    sys::write_file(
        sys::format("{}/{}", group.directory, group.version == 2 ? v2 : v1),
        value_of(path, resources, group.version));
  }
  for (const Json& page : at(resources, "/hugepageLimits")) {
    const auto& group = group_for(groups, "hugetlb");
    sys::write_file(sys::format("{}/hugetlb.{}.{}", group.directory,
                                need<std::string>(page, "/pageSize"),
                                group.version == 2 ? "max" : "limit_in_bytes"),
                    sys::format("{}", need<std::uint64_t>(page, "/limit")));
  }
  for (const auto& [file, value] : at(resources, "/unified").items()) {
    if (file.find('/') != file.npos)
      refuse_config("{} is no file of a cgroup", file);
    sys::write_file(group_for(groups, "unified").directory + "/" + file,
                    value.get<std::string>());
  }
}
