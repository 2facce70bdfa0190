// Some files of /proc and /sys know no namespace: what is read there is the
// host's, and what is written there changes it. The lists are Docker's; a user
// namespace already denies most of them, and two walls are better than one.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <stdexcept>

#include "common/mount.hpp"
#include "steps/08-all/layers.hpp"

void hide_paths() {
  hide_paths({"proc/interrupts", "proc/kcore", "proc/keys",
              "proc/latency_stats", "proc/sched_debug", "proc/timer_list",
              "proc/timer_stats", "proc/acpi", "proc/asound", "proc/scsi",
              "sys/firmware", "sys/devices/virtual/powercap"},
             {"proc/bus", "proc/fs", "proc/irq", "proc/pressure", "proc/sys",
              "proc/sysrq-trigger"});
}

namespace {

// The null device of the container. A link in its place would cover the paths
// with what it leads to: see CVE-2025-31133.
sys::Fd open_null() {
  sys::Fd null{sys::check(::open("dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC),
                          "open(2) /dev/null")};
  struct stat found {};
  sys::check(::fstat(null.get(), &found), "fstat(2) /dev/null");
  if (!S_ISCHR(found.st_mode) || found.st_rdev != makedev(1, 3))
    throw std::runtime_error{"/dev/null of the container is another file"};
  return null;
}

}  // namespace

void hide_paths(const std::vector<std::string>& hidden,
                const std::vector<std::string>& read_only) {
  const sys::Fd null = open_null();
  const auto cover = sys::format("/proc/self/fd/{}", null.get());
  struct stat found {};
  for (const auto& path : hidden) {
    if (::stat(path.c_str(), &found) == -1) continue;
    if (S_ISDIR(found.st_mode))
      sys::mount("tmpfs", path, "tmpfs", MS_RDONLY, "mode=0");
    else
      sys::mount(cover.c_str(), path, nullptr, MS_BIND, nullptr);
  }
  for (const auto& path : read_only) {
    if (::stat(path.c_str(), &found) == -1) continue;
    sys::mount(path.c_str(), path, nullptr, MS_BIND, nullptr);
    sys::set_mount_attributes(path, MOUNT_ATTR_RDONLY);
  }
}
