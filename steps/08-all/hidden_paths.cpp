// Some files of /proc and /sys know no namespace: what is read there is the
// host's, and what is written there changes it. The lists are Docker's; a user
// namespace already denies most of them, and two walls are better than one.

#include <unistd.h>

#include "common/mount.hpp"
#include "steps/08-all/layers.hpp"

namespace {

bool is_there(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

}  // namespace

void hide_paths() {
  for (const char* const file :
       {"proc/interrupts", "proc/kcore", "proc/keys", "proc/latency_stats",
        "proc/sched_debug", "proc/timer_list", "proc/timer_stats"})
    if (is_there(file)) sys::mount("dev/null", file, nullptr, MS_BIND, nullptr);
  for (const char* const directory :
       {"proc/acpi", "proc/asound", "proc/scsi", "sys/firmware",
        "sys/devices/virtual/powercap"})
    if (is_there(directory))
      sys::mount("tmpfs", directory, "tmpfs", MS_RDONLY, "mode=0");
  for (const char* const path :
       {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"}) {
    if (!is_there(path)) continue;
    sys::mount(path, path, nullptr, MS_BIND, nullptr);
    sys::set_mount_attributes(path, MOUNT_ATTR_RDONLY);
  }
}
