// The host, as far as it can be the reason of a failure.

#pragma once

#include <sys/types.h>  // pid_t

#include <string>
#include <string_view>
#include <vector>

namespace sys {

/// What can be seen of a host that may be the reason of a failure.
struct Host {
  bool is_root = false;             ///< Of some user namespace: see has_ids.
  bool has_proc = true;             ///< Some procfs is on /proc.
  bool shows_us = true;             ///< It is ours; else most is unknown.
  bool shares_mounts = false;       ///< With PID 1 of /proc.
  bool hides_processes = false;     ///< In the cgroup that refused.
  bool has_ids = true;              ///< 100000 and on are there to be mapped.
  bool has_sudo = false;            ///< The program: it may still say no.
  bool is_chrooted = false;         ///< Surely. False may be unknown.
  bool has_filter = false;          ///< seccomp(2)
  bool selinux = false;             ///< Enforcing.
  bool apparmor_restricts = false;  ///< Ubuntu, from 23.10 on.
  bool forbids_users = false;       ///< Debian's unprivileged_userns_clone.
  bool wsl = false;
  bool systemd = false;
  bool raspberry = false;
  bool has_modules = true;           ///< Those of the kernel that runs.
  bool has_cgroups = true;           ///< Any cgroup file system.
  std::vector<std::string> on_v1;    ///< Controllers of a v1 hierarchy.
  std::vector<std::string> none_of;  ///< "user" if max_user_namespaces is 0.
  std::string container;             ///< One that forbids: "docker", or "".
  std::string mask;                  ///< What is mounted over a part of /proc.
  std::string sys_mask;              ///< What is mounted over /sys or a part.
  std::string cgroup_cover;          ///< What hides all cgroups, or "".
  std::string cgroups_from_above;    ///< Where only the host's are seen, or "".
  std::string mounts;                ///< /proc/self/mountinfo
  std::string directory{};           ///< The working one: a child's rootfs.
  std::string mount_below;           ///< One in the working directory, or "".
  std::string release;               ///< Of the kernel: see uname(2).
  std::string command_line;          ///< Of the kernel.
  std::string boot_options;          ///< The file of a Raspberry Pi's.
  std::string programs;              ///< The directory of our programs.
};

/// Looks at the host as this process sees it. What cannot be read is as above.
Host look_at_host();

/// Whether processes of a cgroup are in a PID namespace that is not ours, and
/// not below ours: each is a 0 in cgroup.procs. See cgroups(7).
bool hides_processes(const std::string& cgroup);

/// The read-only mounts of v1 cgroups that have one of `controllers`, and the
/// one in which `directory` is: for each, what mount(8) -o makes writable.
/// Takes /proc/self/mountinfo.
std::vector<std::string> find_read_only_cgroups(
    std::string_view mountinfo, const std::vector<std::string>& controllers,
    const std::string& directory);

// ---- What is behind look_at_host, for its tests ----------------------------

/// Whether a process is in a chroot: either nothing is mounted on its `/`, or
/// what is mounted there is elsewhere for PID 1. Takes /proc/PID/mountinfo of
/// both; PID 1's may be empty.
bool shows_chroot(std::string_view own, std::string_view of_init);

/// Whether a /proc shows the PID namespace of this process, which has the PID
/// `pid` in it. Takes /proc/self/status; "" for a /proc without a self.
bool shows_us(std::string_view status, pid_t pid);

/// Whether a process has the mount namespace of PID 1. The kernel numbers all
/// mounts of the machine, so two tables with one number are one. Takes
/// /proc/PID/mountinfo of both; either may be empty.
bool shows_same_mounts(std::string_view own, std::string_view of_init);

/// The first mount below /proc that hides a part of it, or "": with one, no new
/// proc may be mounted in a user namespace. Takes /proc/self/mountinfo.
std::string find_mask(std::string_view mountinfo);

/// The same for /sys.
std::string find_sys_mask(std::string_view mountinfo);

/// The mount that hides all cgroup file systems that were mounted before, or ""
/// if one can be seen, or there is none. Takes /proc/self/mountinfo.
std::string find_cgroup_cover(std::string_view mountinfo);

/// The mount of cgroup2 that shows what is above the root of our cgroup
/// namespace, if there is no other, or "". Takes /proc/self/mountinfo.
std::string find_cgroups_from_above(std::string_view mountinfo);

/// The first mount below `directory`, or "". Takes /proc/self/mountinfo.
std::string find_mount_below(std::string_view mountinfo,
                             const std::string& directory);

/// Whether all the 65536 ids from 100000 on are in a /proc/PID/uid_map.
bool maps_our_ids(std::string_view uid_map);

/// The controllers that /proc/cgroups has in a v1 hierarchy, mounted or not.
std::vector<std::string> find_v1_controllers(std::string_view cgroups);

/// Whether a kernel is older than 5.14, by its release: "6.1.0-18-amd64".
bool is_too_old(const std::string& release);

}  // namespace sys
