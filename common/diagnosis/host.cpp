#include "common/diagnosis/host.hpp"

#include <linux/capability.h>  // CAP_SYS_ADMIN
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "common/error.hpp"
#include "common/file.hpp"
#include "common/mount.hpp"
#include "common/text.hpp"

namespace sys {

namespace {

// "" if it is not there, or not for us.
std::string contents(const std::string& path) {
  try {
    return read_file(path);
  } catch (const Error&) {
    return {};
  }
}

bool exists(const char* path) {
  return ::access(path, F_OK) == 0;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != text.npos;
}

}  // namespace

bool shows_chroot(std::string_view own, std::string_view of_init) {
  std::string root;
  for (const auto& mount : parse_mountinfo(own))
    if (mount.point == "/") root = mount.id;
  if (root.empty()) return true;
  for (const auto& mount : parse_mountinfo(of_init))
    if (mount.id == root) return mount.point != "/";
  return false;
}

bool shows_us(std::string_view status, pid_t pid) {
  const std::string key = "\nNSpid:\t";
  const auto at = status.find(key);
  if (at == status.npos) return false;
  const auto numbers = status.substr(at + key.size());
  return numbers.substr(0, numbers.find('\n')) == sys::format("{}", pid);
}

bool shows_same_mounts(std::string_view own, std::string_view of_init) {
  const auto others = parse_mountinfo(of_init);
  for (const auto& mount : parse_mountinfo(own))
    for (const auto& other : others)
      if (mount.id == other.id) return true;
  return false;
}

std::string find_mask(std::string_view mountinfo) {
  for (const auto& mount : parse_mountinfo(mountinfo)) {
    if (mount.point == "/proc" && mount.root != "/") return mount.point;
    // Where a kernel keeps a place free for a mount, one hides nothing.
    if (mount.point.starts_with("/proc/") &&
        mount.point != "/proc/sys/fs/binfmt_misc" &&
        mount.point != "/proc/fs/nfsd")
      return mount.point;
  }
  return {};
}

std::string find_sys_mask(std::string_view mountinfo) {
  std::string mask;
  for (const auto& mount : parse_mountinfo(mountinfo)) {
    if (mount.point == "/sys") mask = mount.type == "sysfs" ? "" : "/sys";
    // Other file systems lie where the kernel keeps a place free for them.
    if (mask.empty() && mount.type.ends_with("tmpfs") &&
        mount.point.starts_with("/sys/") && mount.point != "/sys/fs/cgroup")
      mask = mount.point;
  }
  return mask;
}

std::string find_cgroup_cover(std::string_view mountinfo) {
  std::vector<std::string> seen;
  std::string cover;
  for (const auto& mount : parse_mountinfo(mountinfo)) {
    if (mount.type.starts_with("cgroup")) {
      seen.push_back(mount.point);
    } else if (std::erase_if(seen, [&](const auto& point) {
                 return (point + "/").starts_with(mount.point + "/");
               }) != 0) {
      cover = mount.point;
    }
  }
  return seen.empty() ? cover : "";
}

std::vector<std::string> find_read_only_cgroups(
    std::string_view mountinfo, const std::vector<std::string>& controllers,
    const std::string& directory) {
  std::vector<std::string> found;
  for (const auto& mount : parse_mountinfo(mountinfo)) {
    const bool is_wanted =
        (mount.type == "cgroup" &&
         std::any_of(controllers.begin(), controllers.end(),
                     [&](const auto& name) {
                       return has_word(mount.super_options, ',', name);
                     })) ||
        (mount.type.starts_with("cgroup") &&
         (directory + "/").starts_with(mount.point + "/"));
    const bool is_whole = has_word(mount.super_options, ',', "ro");
    if (is_wanted && (is_whole || has_word(mount.options, ',', "ro")))
      found.push_back((is_whole ? "remount,rw " : "remount,rw,bind ") +
                      shell_word(mount.point));
  }
  return found;
}

bool hides_processes(const std::string& cgroup) {
  return contains("\n" + contents(cgroup + "/cgroup.procs"), "\n0\n");
}

std::string find_cgroups_from_above(std::string_view mountinfo) {
  std::string found;
  for (const auto& mount : parse_mountinfo(mountinfo)) {
    if (mount.type != "cgroup2") continue;
    if (!mount.root.starts_with("/..")) return {};
    found = mount.point;
  }
  return found;
}

std::string find_mount_below(std::string_view mountinfo,
                             const std::string& directory) {
  for (const auto& mount : parse_mountinfo(mountinfo))
    if (mount.point.starts_with(directory + "/")) return mount.point;
  return {};
}

bool maps_our_ids(std::string_view uid_map) {
  constexpr long kFirst = 100000;
  constexpr long kCount = 65536;
  std::istringstream text{std::string{uid_map}};
  long inside = 0;
  long outside = 0;
  long count = 0;
  while (text >> inside >> outside >> count)
    if (inside <= kFirst && inside + count >= kFirst + kCount) return true;
  return false;
}

std::vector<std::string> find_v1_controllers(std::string_view cgroups) {
  std::vector<std::string> names;
  std::istringstream text{std::string{cgroups}};
  for (std::string line; std::getline(text, line);) {
    std::istringstream words{line};
    std::string name;
    int hierarchy = 0;
    if (words >> name >> hierarchy && hierarchy != 0) names.push_back(name);
  }
  return names;
}

bool is_too_old(const std::string& release) {
  int major = 0;
  int minor = 0;
  // NOLINTNEXTLINE(cert-err34-c): of a number too large it is not, either.
  if (std::sscanf(release.c_str(), "%d.%d", &major, &minor) != 2) return false;
  return major < 5 || (major == 5 && minor < 14);
}

namespace {

// Its files alone prove nothing: a virtual machine may be made of an image, and
// a privileged container forbids nothing.
std::string find_container() {
  if (::prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) != 0) return {};
  if (exists("/.dockerenv")) return "docker";
  if (exists("/run/.containerenv")) return "podman";
  const char* const name = std::getenv("container");
  return name != nullptr ? name : "of unknown name";
}

bool has_sudo() {
  const char* const path = std::getenv("PATH");
  std::istringstream directories{path == nullptr ? "" : path};
  for (std::string directory; std::getline(directories, directory, ':');)
    if (::access((directory + "/sudo").c_str(), X_OK) == 0) return true;
  return false;
}

std::vector<std::string> find_zero_limits() {
  std::vector<std::string> names;
  for (const std::string name :
       {"user", "pid", "uts", "mnt", "net", "ipc", "cgroup"})
    if (contents("/proc/sys/user/max_" + name + "_namespaces") == "0\n")
      names.push_back(name);
  return names;
}

}  // namespace

Host look_at_host() {
  Host host;
  host.is_root = ::geteuid() == 0;
  host.has_sudo = has_sudo();
  host.has_filter = ::prctl(PR_GET_SECCOMP) > 0;
  host.container = find_container();
  host.systemd = exists("/run/systemd/system");
  utsname name{};
  if (::uname(&name) == 0) host.release = name.release;
  host.wsl = contains(host.release, "icrosoft");
  host.has_modules = exists(("/lib/modules/" + host.release).c_str());

  host.has_proc = exists("/proc/filesystems");
  host.shows_us = shows_us(contents("/proc/self/status"), ::getpid());
  const auto mounts = contents("/proc/self/mountinfo");
  const auto of_init = contents("/proc/1/mountinfo");
  host.shares_mounts = shows_same_mounts(mounts, of_init);
  if (!host.shows_us) return host;
  host.mounts = mounts;
  host.is_chrooted = shows_chroot(mounts, of_init);
  host.mask = find_mask(mounts);
  host.sys_mask = find_sys_mask(mounts);
  host.has_cgroups = contains(mounts, " - cgroup");
  host.cgroup_cover = find_cgroup_cover(mounts);
  host.cgroups_from_above = find_cgroups_from_above(mounts);
  std::error_code ignored;
  host.directory = std::filesystem::current_path(ignored).string();
  host.mount_below = find_mount_below(mounts, host.directory);
  host.has_ids = maps_our_ids(contents("/proc/self/uid_map"));
  host.none_of = find_zero_limits();
  host.selinux = contents("/sys/fs/selinux/enforce") == "1";
  const std::string kernel = "/proc/sys/kernel/";
  host.apparmor_restricts =
      contents(kernel + "apparmor_restrict_unprivileged_userns") == "1\n";
  host.forbids_users = contents(kernel + "unprivileged_userns_clone") == "0\n";
  host.on_v1 = find_v1_controllers(contents("/proc/cgroups"));
  host.command_line = contents("/proc/cmdline");
  host.raspberry =
      contains(contents("/proc/device-tree/model"), "Raspberry Pi");
  // Until Debian 11 the firmware's partition was mounted one higher.
  host.boot_options = exists("/boot/firmware/cmdline.txt")
                          ? "/boot/firmware/cmdline.txt"
                          : "/boot/cmdline.txt";
  host.programs =
      std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  return host;
}

}  // namespace sys
