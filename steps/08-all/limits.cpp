// Limits beside memory: processes and processor time. See cgroups(7).

#include <sys/resource.h>

#include <algorithm>

#include "common/file.hpp"
#include "common/mount.hpp"
#include "steps/08-all/layers.hpp"

std::vector<sys::Cgroup> name_cgroups(const sys::Arguments& args) {
  // The first that cannot be had is what an error names: so what was said
  // first.
  std::vector<std::string> controllers;
  if (args.cpus > 0) controllers.emplace_back("cpu");
  if (args.memory != sys::kNoLimit) controllers.emplace_back("memory");
  controllers.emplace_back("pids");
  try {
    return sys::name_cgroups(controllers);
  } catch (const sys::Error& error) {
    const bool wants_memory = args.memory != sys::kNoLimit;
    const bool has_no_place =
        error.code().value() == ENOENT || error.code().value() == EACCES;
    if (!has_no_place || (wants_memory && args.memory_was_said) ||
        args.cpus > 0)
      throw;
    if (wants_memory)
      sys::note("no memory limit: cannot " + error.doing() +
                (error.hint().empty() ? "" : "; hint: " + error.hint()));
    return {};
  }
}

void limit_processes(const std::vector<sys::Cgroup>& groups,
                     const sys::Arguments& args) {
  if (const auto* const group = sys::find_cgroup(groups, "pids"))
    sys::write_file(group->directory + "/pids.max",
                    sys::format("{}", args.pids));
}

void limit_own_processes(const std::vector<sys::Cgroup>& groups,
                         const sys::Arguments& args) {
  if (sys::find_cgroup(groups, "pids") != nullptr) return;
  auto most = static_cast<rlim_t>(args.pids);
  rlimit limit{};
  sys::check(::getrlimit(RLIMIT_NPROC, &limit), "get the limit on processes");
  if (!args.pids_was_said) most = std::min(most, limit.rlim_max);
  limit = {most, most};
  sys::check(::setrlimit(RLIMIT_NPROC, &limit), "allow {} processes", most);
}

void limit_cpus(const std::vector<sys::Cgroup>& groups,
                const sys::Arguments& args) {
  const auto* const group = sys::find_cgroup(groups, "cpu");
  if (group == nullptr) return;
  constexpr int kPeriod = 100000;  // Microseconds.
  const auto quota = static_cast<long>(args.cpus * kPeriod);
  if (group->version == 2) {
    sys::write_file(group->directory + "/cpu.max",
                    sys::format("{} {}", quota, kPeriod));
  } else {
    sys::write_file(group->directory + "/cpu.cfs_period_us",
                    sys::format("{}", kPeriod));
    sys::write_file(group->directory + "/cpu.cfs_quota_us",
                    sys::format("{}", quota));
  }
}

void mount_cgroups(const std::vector<sys::Cgroup>& groups) {
  constexpr auto kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;
  const std::string place = "sys/fs/cgroup";
  if (groups.empty()) return;
  if (groups.back().version == 2) {
    sys::mount("cgroup2", place, "cgroup2", kFlags, nullptr);
    return;
  }
  sys::mount("tmpfs", place, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
  for (const auto& group : groups)
    for (const auto& controller : group.controllers) {
      if (controller == "cpu") continue;  // Often mounted with others.
      const auto directory = place + "/" + controller;
      sys::make_directory(directory);
      sys::mount("cgroup", directory, "cgroup", kFlags, controller.c_str());
    }
  sys::set_mount_attributes(place, MOUNT_ATTR_RDONLY);
}
