// Limits beside memory: processes and processor time. See cgroups(7).

#include <sys/resource.h>

#include "common/file.hpp"
#include "steps/08-all/layers.hpp"

std::vector<sys::Cgroup> name_cgroups(const sys::Arguments& args) {
  std::vector<std::string> controllers{"pids"};
  if (args.memory != sys::kNoLimit) controllers.emplace_back("memory");
  if (args.cpus > 0) controllers.emplace_back("cpu");
  try {
    return sys::name_cgroups(controllers);
  } catch (const sys::Error& error) {
    if (args.memory_was_said || args.cpus > 0) throw;
    if (args.memory != sys::kNoLimit)
      sys::note("no memory limit: cannot " + error.doing() +
                "; hint: " + error.hint());
    return {};
  }
}

void limit_processes(const std::vector<sys::Cgroup>& groups,
                     const sys::Arguments& args) {
  if (const auto* const group = sys::find_cgroup(groups, "pids"))
    sys::write_file(group->directory + "/pids.max",
                    fmt::format("{}", args.pids));
}

void limit_own_processes(const std::vector<sys::Cgroup>& groups,
                         const sys::Arguments& args) {
  if (sys::find_cgroup(groups, "pids") != nullptr) return;
  const auto most = static_cast<rlim_t>(args.pids);
  const rlimit limit{most, most};
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
                    fmt::format("{} {}", quota, kPeriod));
  } else {
    sys::write_file(group->directory + "/cpu.cfs_period_us",
                    fmt::format("{}", kPeriod));
    sys::write_file(group->directory + "/cpu.cfs_quota_us",
                    fmt::format("{}", quota));
  }
}
