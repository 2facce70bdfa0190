// Limits beside memory: processes and processor time. See cgroups(7).

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "common/diagnosis/causes.hpp"
#include "common/file.hpp"
#include "common/mount.hpp"
#include "steps/08-all/layers.hpp"

std::vector<sys::Cgroup> find_cgroup_parents(
    const std::vector<std::string>& wanted, std::vector<std::string> optional) {
  // On v1, huge pages have a hierarchy, alone or with another controller. It is
  // the first to give way.
  const auto cgroup = sys::read_file_if_there("/proc/self/cgroup");
  if (cgroup.find("hugetlb") != cgroup.npos) optional.emplace_back("hugetlb");
  while (true) {
    auto controllers = wanted;
    controllers.insert(controllers.end(), optional.begin(), optional.end());
    try {
      return sys::find_cgroup_parents(controllers);
    } catch (const sys::Error& error) {
      const bool has_no_place = !error.attempt().controllers.empty() ||
                                error.code().value() == ENOENT;
      if (!has_no_place || optional.empty()) throw;
      // For one on processes, limit_own_processes does without.
      if (optional.back() == "memory")
        sys::lack("memory limit",
                  "no cgroup for it; hint: " + sys::hint_of(error));
      optional.pop_back();
    }
  }
}

void limit_huge_pages(const std::vector<sys::Cgroup>& groups) {
  // A v2 cgroup has these files if the one above hands the controller down.
  for (const auto& group : groups)
    for (const char* const size :
         {"64KB", "2MB", "32MB", "512MB", "1GB", "16GB"})
      for (const char* const kind : {".", ".rsvd."})
        sys::write_file_if_there(
            sys::format("{}/hugetlb.{}{}{}", group.directory, size, kind,
                        group.version == 2 ? "max" : "limit_in_bytes"),
            "0");
}

void limit_processes(const std::vector<sys::Cgroup>& groups,
                     std::int64_t pids) {
  if (const auto* const group = sys::find_cgroup(groups, "pids"))
    sys::write_file(group->directory + "/pids.max", sys::format("{}", pids));
}

void limit_own_processes(const std::vector<sys::Cgroup>& groups,
                         std::optional<std::int64_t> pids) {
  if (sys::find_cgroup(groups, "pids") != nullptr) return;
  auto most = static_cast<rlim_t>(pids.value_or(sys::kDefaultPids));
  rlimit limit{};
  sys::check(::getrlimit(RLIMIT_NPROC, &limit), "getrlimit(2) RLIMIT_NPROC");
  if (!pids) most = std::min(most, limit.rlim_max);
  limit = {most, most};
  sys::check(::setrlimit(RLIMIT_NPROC, &limit), "setrlimit(2) RLIMIT_NPROC {}",
             most);
}

namespace {

// glibc's C++ headers give the resources a type of their own, musl's do not.
using Resource = decltype(RLIMIT_NOFILE);

rlimit limit_on(Resource resource) {
  rlimit limit{};
  (void)::getrlimit(resource, &limit);  // There is no such error.
  return limit;
}

void set_limit(Resource resource, const char* name, const rlimit& limit) {
  sys::check(::setrlimit(resource, &limit), "setrlimit(2) {} {}", name,
             limit.rlim_cur);
}

}  // namespace

void leave_half_to_caller() {
  for (const auto& [resource, name] :
       {std::pair{RLIMIT_SIGPENDING, "RLIMIT_SIGPENDING"},
        {RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE"}}) {
    auto limit = limit_on(resource);
    limit.rlim_cur /= 2;
    set_limit(resource, name, limit);
  }
}

void limit_what_a_user_has() {
  struct Most {
    Resource resource;
    const char* name;
    rlim_t most;
  };
  for (const auto& [resource, name, most] :
       {Most{RLIMIT_SIGPENDING, "RLIMIT_SIGPENDING", 1024},
        // Each may be a socket, whose queue is charged to nobody. Linux itself
        // begins with as many.
        Most{RLIMIT_NOFILE, "RLIMIT_NOFILE", 4096},
        Most{RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK", 8 << 20},
        // The half that leave_half_to_caller has left.
        Most{RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE",
             limit_on(RLIMIT_MSGQUEUE).rlim_cur}}) {
    auto limit = limit_on(resource);
    limit.rlim_max = std::min(most, limit.rlim_max);
    limit.rlim_cur = std::min(limit.rlim_cur, limit.rlim_max);
    set_limit(resource, name, limit);
  }
}

void limit_watches() {
  for (const auto& [name, most] :
       {std::pair<std::string, long>{"instances", 32}, {"watches", 8192}}) {
    const auto of_host = "proc/sys/fs/inotify/max_user_" + name;
    if (::access(of_host.c_str(), F_OK) == -1) continue;
    const long quarter =
        std::strtol(sys::read_file(of_host).c_str(), nullptr, 10) / 4;
    sys::write_file("proc/sys/user/max_inotify_" + name,
                    sys::format("{}", std::min(most, quarter)));
  }
}

void limit_terminals() {
  sys::mount("devpts", "dev/pts", "devpts", MS_REMOUNT | MS_NOSUID | MS_NOEXEC,
             "newinstance,ptmxmode=0666,mode=0620,max=256");
}

void limit_cpus(const std::vector<sys::Cgroup>& groups, std::int64_t milli) {
  const auto* const group = sys::find_cgroup(groups, "cpu");
  if (group == nullptr) return;
  constexpr int kPeriod = 100000;  // Microseconds.
  const auto quota = milli * (kPeriod / 1000);
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
