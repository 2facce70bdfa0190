#include "common/diagnosis/causes.hpp"

#include <linux/sched.h>  // CLONE_*

#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "common/text.hpp"

namespace sys {

namespace {

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != text.npos;
}

// Where no command mends a machine, another machine does: a virtual one.
constexpr const char* kElsewhere = "make lab";
constexpr const char* kAsRoot = "run it as root, or in make lab";
constexpr const char* kOutside = "run it outside, or in make lab";

bool makes_process(const Attempt& attempt) {
  return attempt.call() == "clone3(2)";
}

// Makes, changes or moves a mount.
bool is_about_mounts(const Attempt& attempt) {
  return contains(attempt.call(), "mount") ||
         attempt.call() == "open_tree(2)" || attempt.call() == "pivot_root(2)";
}

// A mount of a file system of that type.
bool is_mount_of(const Attempt& attempt, std::string_view type) {
  return attempt.call() == "mount(2)" &&
         attempt.subject().starts_with(std::string{type} + " on ");
}

bool makes_veth(const Attempt& attempt) {
  return attempt.call() == "rtnetlink(7)" &&
         attempt.subject().starts_with("RTM_NEWLINK veth");
}

// Whether a word of the subject is a path at or below `directory`.
bool names_path_in(const Attempt& attempt, const std::string& directory) {
  const auto words = sys::format(" {} ", attempt.subject());
  for (const char* const end : {" ", "/", ":"})
    if (contains(words, " " + directory + end)) return true;
  return false;
}

bool is_one_of(int errnum, std::initializer_list<int> set) {
  for (const int one : set)
    if (one == errnum) return true;
  return false;
}

std::string forbidden_one(const Attempt& attempt) {
  const auto call = attempt.call();
  return call.empty() ? "this is" : sys::format("{} is", call);
}

Cause in_container(const Host& host, const std::string& what) {
  if (host.container == "docker" || host.container == "podman")
    return {what + " by " + host.container,
            "exit, then " + host.container + " run --privileged ..."};
  return {what + " by a container manager, " + host.container, kElsewhere};
}

Cause filtered(const Host& host, const std::string& what) {
  if (!host.container.empty())
    return in_container(host, what + " forbidden with seccomp");
  // A filter stays for good, but systemd's children never had it.
  return {what + " forbidden by a seccomp filter on this shell",
          !host.systemd  ? kElsewhere
          : host.is_root ? "systemd-run --pty --same-dir sh"
                         : "systemd-run --user --pty --same-dir sh"};
}

Cause no_module(const Host& host, const std::string& name) {
  if (!host.has_modules && host.container.empty() && !host.wsl)
    return {"the modules of the kernel that runs (" + host.release +
                ") are gone, as after an update",
            "sudo reboot"};
  return {"the kernel has no " + name, "sudo modprobe " + name};
}

const Cause kNoIds{
    "you are root only of a user namespace, that of your own ids", "exit"};

// Which of the namespaces of a clone may not be had at all?
Cause at_a_limit(const Attempt& attempt, const Host& host) {
  // The container asks, and cannot see the host's own limit: see namespaces(7).
  if (attempt.call() == "unshare(2)")
    return {"user.max_cgroup_namespaces of the host is reached",
            "sudo sysctl -w user.max_cgroup_namespaces=15000"};
  // With a higher limit it would be the next to fail.
  if (host.is_root && !host.has_ids) return kNoIds;
  for (const auto& name : host.none_of)
    if (name == "user" || contains(attempt.subject(), [&] {
          std::string flag = "CLONE_NEW";
          for (const char c : name == "mnt" ? std::string{"ns"} : name)
            flag += static_cast<char>(c - 'a' + 'A');
          return flag;
        }()))
      return {sys::format("user.max_{}_namespaces is 0", name),
              sys::format("sudo sysctl -w user.max_{}_namespaces=15000", name)};
  return {"a limit on namespaces is reached",
          "echo 2147483647 | sudo tee /proc/sys/user/max_*_namespaces"};
}

// Not a profile for our programs: the lessons also use unshare(1), and with a
// profile for that one, every program of every user may do the same.
const Cause kAppArmor{
    "AppArmor leaves no rights in a user namespace to programs without a "
    "profile",
    "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    Stops::kUsers};

// A procfs that shows another PID namespace, or none at all. A new one covers
// both. In 02, one that is mounted on the host's /proc stays when the container
// has ended. After unshare(1) without --mount-proc, it would cover that of the
// whole host.
Cause no_proc(const Host& host) {
  if (host.shares_mounts)
    return {
        "/proc shows another PID namespace, and the mounts are those of "
        "its PID 1",
        "exit, then unshare --pid --fork --mount-proc ..."};
  return {host.has_proc ? "/proc shows another PID namespace"
                        : "/proc is not mounted here",
          "sudo mount -t proc proc /proc"};
}

Cause masked(const Host& host, const std::string& mask) {
  const auto what = sys::format("a part of {} is hidden",
                                mask.starts_with("/sys") ? "/sys" : "/proc");
  if (!host.container.empty()) return in_container(host, what);
  return {what + " by the mount " + mask, "sudo umount " + shell_word(mask)};
}

// Those of the controllers wanted that v1 has. Where nothing is mounted, or for
// reading only, what the next program will want is among them.
std::vector<std::string> wanted_on_v1(const Attempt& attempt,
                                      const Host& host) {
  auto wanted = attempt.controllers;
  if (!host.has_cgroups || attempt.errnum == EROFS)
    wanted.insert(wanted.end(), {"memory", "pids"});
  std::vector<std::string> names;
  for (const auto& name : host.on_v1)
    if (std::find(wanted.begin(), wanted.end(), name) != wanted.end())
      names.push_back(name);
  return names;
}

// A Pi's firmware says cgroup_disable=memory in front of what cmdline.txt has.
Cause memory_disabled(const Host& host) {
  const std::string why = "the kernel was started with cgroup_disable=memory";
  if (!host.raspberry)
    return {why,
            "sudo sed -i s/cgroup_disable=memory// /etc/default/grub && "
            "sudo update-grub && sudo reboot"};
  if (contains(host.command_line, "cgroup_enable=memory"))
    return {why + ", and cgroup_enable=memory did not help", kElsewhere};
  return {why, sys::format("sudo sed -i 's/$/ cgroup_enable=memory/' {} && "
                           "sudo reboot",
                           host.boot_options)};
}

// Processes of a v2 cgroup have to be in its leaves, before it can hand down
// what limits memory. Each PID takes a write(2) of its own.
Cause full_cgroup(const std::string& directory, const Host& host) {
  if (host.hides_processes)
    return {sys::format("the cgroup {} has processes outside this PID "
                        "namespace, so it hands nothing down",
                        directory),
            kOutside};
  const auto procs = shell_word(directory + "/cgroup.procs");
  const auto leaf = directory + "/leaf";
  return {sys::format("the cgroup {} has processes, so it hands nothing down",
                      directory),
          sys::format("mkdir -p {} && xargs -n1 <{} >{}", shell_word(leaf),
                      procs, shell_word(leaf + "/cgroup.procs"))};
}

Cause read_only_cgroups(const Attempt& attempt, const Host& host) {
  std::vector<std::string> commands;
  for (const auto& words : find_read_only_cgroups(
           host.mounts, wanted_on_v1(attempt, host), attempt.directory))
    commands.push_back("sudo mount -o " + words);
  return {"the cgroups are mounted read-only",
          commands.empty() ? kElsewhere
                           : sys::format("{}", fmt::join(commands, " && "))};
}

Cause covered(const Host& host) {
  // What hides /sys stops a new sysfs, too.
  if (host.cgroup_cover == host.sys_mask) return masked(host, host.sys_mask);
  return {"the cgroups are hidden by the mount " + host.cgroup_cover,
          "sudo umount " + shell_word(host.cgroup_cover)};
}

Cause no_cgroup(const Attempt& attempt, const Host& host) {
  const auto v1 = wanted_on_v1(attempt, host);
  if (host.is_root && !host.has_ids && host.container.empty()) return kNoIds;
  if (!host.cgroup_cover.empty() && host.container.empty())
    return covered(host);
  if (attempt.errnum == EBUSY) return full_cgroup(attempt.directory, host);
  if (attempt.errnum == EOPNOTSUPP)
    return {sys::format("the cgroup {} is threaded, so it accepts no container",
                        attempt.directory),
            kElsewhere};
  if (attempt.errnum == ENOENT) {
    if (!host.container.empty())
      return in_container(host, "cgroups are kept away");
    if (!host.cgroups_from_above.empty())
      return {sys::format("{} shows the host's cgroups, and not those of this "
                          "cgroup namespace",
                          host.cgroups_from_above),
              // In a user namespace, what is there cannot be unmounted, and
              // nothing may be mounted twice on one place.
              sys::format("sudo mount -t tmpfs tmpfs {0} && "
                          "sudo mount -t cgroup2 cgroup2 {0}",
                          host.cgroups_from_above)};
    if (contains(host.command_line, "cgroup_disable=memory"))
      return memory_disabled(host);
    if (host.wsl && !v1.empty())
      return {"WSL keeps the " + v1.front() + " controller on cgroup v1",
              "printf '[wsl2]\\nkernelCommandLine=cgroup_no_v1=all\\n' "
              ">>\"$(wslpath \"$(wslvar USERPROFILE)\")/.wslconfig\" && "
              "wsl.exe --shutdown"};
    if (!v1.empty())
      return {sys::format("cgroup v1, which has {}, is not mounted",
                          fmt::join(v1, " and ")),
              sys::format("sudo sh -c 'for v1 in {}; do mkdir -p /run/$v1 && "
                          "mount -t cgroup -o $v1 cgroup /run/$v1; done'",
                          fmt::join(v1, " "))};
    if (!host.has_cgroups)
      return {"no cgroup file system is mounted",
              "sudo mount -t cgroup2 cgroup2 /sys/fs/cgroup"};
    return {
        "the kernel has no such controller, or hands it down to no cgroup "
        "that can be seen here",
        kElsewhere};
  }
  if (!host.container.empty())
    return in_container(host, "cgroups are kept away");
  if (attempt.errnum == EROFS) return read_only_cgroups(attempt, host);
  if (host.is_root)
    return {"the cgroup file system is not root's to change", kElsewhere};
  if (host.systemd && v1.empty())
    return {"no cgroup is delegated to this user",
            "systemd-run --user --scope -p Delegate=yes ...", Stops::kUsers};
  return {"the cgroups here are root's", kAsRoot, Stops::kUsers};
}

// Whatever a host has that forbids things and does not say which.
std::optional<Cause> policy(const std::string& what, const Host& host) {
  if (!host.is_root && host.apparmor_restricts) return kAppArmor;
  if (host.has_filter) return filtered(host, what);
  if (!host.container.empty()) return in_container(host, what + " forbidden");
  if (host.selinux)
    return Cause{what + " forbidden by SELinux", "sudo setenforce 0"};
  return {};
}

const Cause kChroot{
    "this is a chroot, where the kernel makes no user namespace", "exit"};

std::optional<Cause> no_user_namespace(const Attempt& attempt,
                                       const Host& host) {
  if (host.is_chrooted) return kChroot;
  if (!host.is_root && host.forbids_users)
    return Cause{"kernel.unprivileged_userns_clone is 0",
                 "sudo sysctl -w kernel.unprivileged_userns_clone=1",
                 Stops::kUsers};
  auto cause = policy("user namespaces are", host);
  // Nothing else is left for which the kernel refuses one.
  if (!cause && attempt.errnum == EPERM) return kChroot;
  return cause;
}

// EPERM and EACCES have many fathers. Those that are sure come first.
std::optional<Cause> forbidden(const Attempt& attempt, const Host& host) {
  const bool makes_user_namespace =
      makes_process(attempt) && contains(attempt.subject(), "CLONE_NEWUSER");
  const bool has_user_namespace = makes_user_namespace ||
                                  (attempt.flags & CLONE_NEWUSER) != 0 ||
                                  contains(attempt.subject(), "id_map");
  if (!has_user_namespace && !host.is_root) {
    if (attempt.errnum != EPERM) return {};
    return Cause{"this needs root", kAsRoot, Stops::kUsersAnywhere};
  }
  if (!host.shows_us) return no_proc(host);
  if (makes_user_namespace) return no_user_namespace(attempt, host);
  // Where a container manager forbids, it forbids that as well.
  if (host.is_root && !host.has_ids && host.container.empty()) return kNoIds;
  if (is_mount_of(attempt, "proc") && !host.mask.empty())
    return masked(host, host.mask);
  if (is_mount_of(attempt, "sysfs") && !host.sys_mask.empty())
    return masked(host, host.sys_mask);
  if (contains(attempt.subject(), "id_map") && host.is_root &&
      host.container.empty())
    return Cause{sys::format("root has no CAP_SET{}ID here",
                             contains(attempt.subject(), "uid") ? 'U' : 'G'),
                 "exit"};
  return policy(
      is_about_mounts(attempt) ? "mounts are" : forbidden_one(attempt), host);
}

Cause no_overlay(int errnum, const Host& host) {
  if (errnum == ENODEV) return no_module(host, "overlay");
  for (const std::string kernels : {"/proc", "/sys", "/dev"})
    if ((host.directory + "/").starts_with(kernels + "/"))
      return {kernels + " is the kernel's and no rootfs", "make rootfs"};
  if (host.mount_below.empty())
    return {"an overlay cannot lie on the file system of the rootfs",
            "cp -a . /var/tmp/box && cd /var/tmp/box"};
  // A user namespace must not show what a mount of the host hides. What 02 has
  // not mounted may be needed where it is.
  if (host.mount_below != host.directory + "/proc")
    return {"an overlay accepts no rootfs with a mount in it, and there is " +
                host.mount_below,
            "make rootfs"};
  return {
      "an overlay accepts no rootfs with a mount in it, as a killed 02 leaves",
      host.mount_below == host.programs + "/rootfs/proc"
          ? "make reset"
          : "sudo umount " + shell_word(host.mount_below)};
}

// EACCES is mostly about a file, and not about what a host forbids at all.
bool is_forbidden(const Attempt& attempt) {
  return attempt.errnum == EPERM ||
         (attempt.errnum == EACCES &&
          (makes_process(attempt) || attempt.call() == "mount(2)"));
}

// A limit of the caller's.
std::optional<Cause> used_up(const Attempt& attempt, const Host& host) {
  if (attempt.errnum == EMFILE)
    return Cause{"ulimit -n permits no more open descriptors",
                 host.is_root ? "ulimit -n 1024" : "exit"};
  if (attempt.errnum == EAGAIN && makes_process(attempt))
    return Cause{
        "ulimit -u, or pids.max of the cgroup, permits no more "
        "processes",
        "exit"};
  return {};
}

// A process that has ended, or a directory that is closed to this user.
std::optional<Cause> out_of_reach(const Attempt& attempt, const Host& host) {
  const auto call = attempt.call();
  if (attempt.errnum == ESRCH &&
      (call == "setns(2)" || call == "read(2)" || call == "poll(2)"))
    return Cause{"the container has ended",
                 "pgrep 08-all prints those of 08-all"};
  if (attempt.errnum == EACCES && !host.is_root &&
      (call == "chdir(2)" || call == "stat(2)"))
    return Cause{"this user may not enter that directory, or one above it",
                 kAsRoot, Stops::kUsers};
  return {};
}

bool makes_namespaces(const Attempt& attempt) {
  return makes_process(attempt) || attempt.call() == "unshare(2)";
}

// What the kernel, /dev or the rootfs lacks for one call.
std::optional<Cause> missing(const Attempt& attempt, const Host& host) {
  const int errnum = attempt.errnum;
  if (names_path_in(attempt, "/dev/ptmx") && errnum == ENODEV)
    return Cause{"/dev/pts is no devpts",
                 "sudo mount -t devpts -o ptmxmode=666 devpts /dev/pts"};
  if (makes_veth(attempt) && errnum == EOPNOTSUPP)
    return no_module(host, "veth");
  if (is_mount_of(attempt, "overlay") && is_one_of(errnum, {ENODEV, EINVAL}))
    return no_overlay(errnum, host);
  if (attempt.call() == "open(2)" && errnum == ENOENT &&
      attempt.subject().ends_with("/proc"))
    return Cause{"a root filesystem has a directory proc", "make rootfs"};
  if (attempt.call() == "pivot_root(2)" && errnum == EINVAL)
    return Cause{
        "pivot_root(2) needs the top of a mount, and no mount above it may be "
        "shared",
        "see Pitfalls in steps/05-mountns/README.md"};
  return {};
}

std::optional<Cause> find_cause(const Attempt& attempt, const Host& host) {
  const int errnum = attempt.errnum;
  // The command has its path in the container, whose /proc is another one.
  if (attempt.call() == "execve(2)") return {};
  // Without a free descriptor we could not look at /proc.
  if (auto cause = used_up(attempt, host)) return cause;
  if (auto cause = out_of_reach(attempt, host)) return cause;
  const bool wants_cgroup = !attempt.controllers.empty();
  if (!host.shows_us && (names_path_in(attempt, "/proc") || wants_cgroup))
    return no_proc(host);
  if (wants_cgroup) return no_cgroup(attempt, host);
  if (is_one_of(errnum, {ENOSYS, EINVAL, E2BIG}) && is_too_old(host.release))
    return Cause{
        sys::format("Linux {} is too old, 5.14 is needed", host.release),
        kElsewhere};
  if (errnum == ENOSYS && host.has_filter)
    return filtered(host, forbidden_one(attempt));
  if (names_path_in(attempt, "/proc/sys") && !host.mask.empty())
    return masked(host, host.mask);
  if (makes_namespaces(attempt) && is_one_of(errnum, {ENOSPC, EUSERS}))
    return at_a_limit(attempt, host);
  auto cause = missing(attempt, host);
  if (!cause && is_forbidden(attempt)) cause = forbidden(attempt, host);
  if (!cause && makes_veth(attempt))
    return Cause{"a container can do without a cable", "--net none"};
  return cause;
}

}  // namespace

const char* name_of(Stops stops) noexcept {
  return stops == Stops::kEverybody ? "everybody"
         : stops == Stops::kUsers   ? "users"
                                    : "users anywhere";
}

std::optional<Cause> explain(const Attempt& attempt, const Host& host) {
  auto cause = find_cause(attempt, host);
  constexpr std::string_view kSudo = "sudo ";
  if (!cause || !contains(cause->mend, kSudo) ||
      (host.has_sudo && !host.is_root))
    return cause;
  for (auto at = cause->mend.find(kSudo); at != cause->mend.npos;
       at = cause->mend.find(kSudo))
    cause->mend.erase(at, kSudo.size());
  if (!host.is_root) cause->mend = "as root: " + cause->mend;
  return cause;
}

namespace {

std::optional<Host> kept_host;

}  // namespace

void keep_host() {
  kept_host = look_at_host();
}

std::optional<Cause> cause_of(const Attempt& attempt) {
  auto host = kept_host ? *kept_host : look_at_host();
  host.hides_processes =
      attempt.errnum == EBUSY && hides_processes(attempt.directory);
  return explain(attempt, host);
}

std::string hint_for(const Attempt& attempt) {
  const auto cause = cause_of(attempt);
  return cause ? sys::format("{}: {}", cause->why, cause->mend) : "";
}

std::string hint_of(const Error& error) {
  return error.hint().empty() ? hint_for(error.attempt()) : error.hint();
}

}  // namespace sys
