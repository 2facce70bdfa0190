// Some files of /proc and /sys know no namespace: what is read there is the
// host's, and what is written there changes it. The lists are Docker's; a user
// namespace already denies most of them, and two walls are better than one.

#include <sys/mount.h>

#include "common/mount.hpp"
#include "steps/08-all/layers.hpp"

namespace {

// Covers a path of the working directory. Not every kernel has them all.
bool cover(const char* source, const char* path, const char* type,
           unsigned long flags, const char* options) {
  const int covered = ::mount(source, path, type, flags, options);
  if (covered == -1 && errno == ENOENT) return false;
  sys::check(covered, "mount(2) over /{}", path);
  return true;
}

}  // namespace

void hide_paths() {
  for (const char* const file :
       {"proc/interrupts", "proc/kcore", "proc/keys", "proc/latency_stats",
        "proc/sched_debug", "proc/timer_list", "proc/timer_stats"})
    cover("dev/null", file, nullptr, MS_BIND, nullptr);
  for (const char* const directory :
       {"proc/acpi", "proc/asound", "proc/scsi", "sys/firmware",
        "sys/devices/virtual/powercap"})
    cover("tmpfs", directory, "tmpfs", MS_RDONLY, "mode=0");
  for (const char* const path :
       {"proc/bus", "proc/fs", "proc/irq", "proc/pressure", "proc/sys",
        "proc/sysrq-trigger"})
    if (cover(path, path, nullptr, MS_BIND, nullptr))
      sys::set_mount_attributes(path, MOUNT_ATTR_RDONLY);
}
