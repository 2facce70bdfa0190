#include "common/diagnosis/causes.hpp"

#include <doctest/doctest.h>
#include <linux/sched.h>  // CLONE_*
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "common/cgroup.hpp"
#include "common/file.hpp"
#include "common/testing.hpp"

namespace {

using sys::Attempt;
using sys::Host;

// A host on which nothing is amiss, and one who is not root there.
Host user_on_good_host() {
  Host host;
  host.release = "6.1.0-18-amd64";
  host.programs = "/home/me/box/build";
  host.has_sudo = true;
  return host;
}

Host root_on_good_host() {
  auto host = user_on_good_host();
  host.is_root = true;
  return host;
}

const Attempt kUserNamespace{"clone3(2) CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWNS",
                             EPERM, 0};
const Attempt kChroot{"chroot(2) to the working directory", EPERM, 0};
const Attempt kMountInside{"mount(2) tmpfs on /tmp", EPERM, CLONE_NEWUSER};
const Attempt kProcInside{"mount(2) proc on /proc", EPERM, CLONE_NEWUSER};

std::string why(const Attempt& attempt, const Host& host) {
  const auto cause = explain(attempt, host);
  return cause ? cause->why : "";
}

std::string mend(const Attempt& attempt, const Host& host) {
  const auto cause = explain(attempt, host);
  return cause ? cause->mend : "";
}

Attempt no_cgroup(int errnum, const std::string& directory = {}) {
  return {"cgroups(7): no cgroup for a limit on memory",
          errnum,
          0,
          directory,
          {"memory"}};
}

Attempt with(Attempt attempt, int errnum) {
  attempt.errnum = errnum;
  return attempt;
}

}  // namespace

TEST_SUITE_BEGIN("common/diagnosis/causes");

// ---- What can be seen ------------------------------------------------------

TEST_CASE("a chroot shows: its / is no mount, or elsewhere for PID 1") {
  const std::string whole = "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
  CHECK_FALSE(sys::shows_chroot(whole, whole));
  CHECK_FALSE(sys::shows_chroot(whole, ""));
  CHECK_FALSE(sys::shows_chroot("77 1 8:1 / / rw - ext4 x rw\n", whole));
  CHECK(sys::shows_chroot("40 21 0:5 / /proc rw - proc proc rw\n", whole));
  const std::string tree = "50 21 8:2 / /srv/tree rw - ext4 /dev/sda2 rw\n";
  CHECK(sys::shows_chroot("50 21 8:2 / / rw - ext4 /dev/sda2 rw\n",
                          whole + tree));
  // The last mount on a place is the one that counts.
  CHECK_FALSE(sys::shows_chroot(whole + "22 21 0:9 / / rw - overlay o rw\n",
                                whole + "22 21 0:9 / / rw - overlay o rw\n"));
}

TEST_CASE("a /proc shows us if our number in it is our only one") {
  const std::string head = "Name:\tx\nNgid:\t0\nNStgid:\t7\n";
  CHECK(sys::shows_us(head + "NSpid:\t7\nNSpgid:\t1\n", 7));
  CHECK_FALSE(sys::shows_us(head + "NSpid:\t8\n", 7));
  CHECK_FALSE(sys::shows_us(head + "NSpid:\t4711\t7\n", 7));
  CHECK_FALSE(sys::shows_us(head + "NSpid:\t7\t7\n", 7));
  CHECK_FALSE(sys::shows_us("", 7));
  CHECK(sys::shows_us(sys::read_file("/proc/self/status"), ::getpid()));
}

TEST_CASE(
    "what hides a part of /proc is found, and what is at home there not") {
  const std::string proc = "40 21 0:5 / /proc rw - proc proc rw\n";
  CHECK(sys::find_mask(proc).empty());
  CHECK(sys::find_mask(proc + "41 40 0:6 / /proc/sys/fs/binfmt_misc rw - "
                              "autofs systemd-1 rw\n")
            .empty());
  CHECK(
      sys::find_mask(proc + "42 40 0:7 /null /proc/kcore rw - tmpfs t rw\n") ==
      "/proc/kcore");
  CHECK(sys::find_mask("43 40 0:5 /sys /proc rw - proc proc rw\n") == "/proc");
}

TEST_CASE("cgroups can be seen, or are hidden by a mount, or are not there") {
  const std::string v1 =
      "40 21 0:5 / /sys/fs/cgroup rw - tmpfs x rw\n"
      "41 40 0:6 / /sys/fs/cgroup/memory rw shared:3 - cgroup x rw,memory\n";
  const std::string v2 = "40 21 0:5 / /sys/fs/cgroup rw - cgroup2 x rw\n";
  const std::string cover = "50 21 0:7 / /sys/fs/cgroup rw - tmpfs x rw\n";
  for (const auto& mounts : {v1, v2, cover, cover + v2})
    CHECK(sys::find_cgroup_cover(mounts).empty());
  for (const auto& mounts : {v1, v2, v1 + v2})
    CHECK(sys::find_cgroup_cover(mounts + cover) == "/sys/fs/cgroup");
  CHECK(sys::find_cgroup_cover(v2 + "51 21 0:8 / /sys rw - sysfs x rw\n") ==
        "/sys");
  CHECK(sys::find_cgroup_cover(v1 + cover + v2).empty());
}

TEST_CASE("a read-only cgroup mount is found, with what makes it writable") {
  const std::string memory =
      "41 40 0:6 / /c/memory ro,nosuid shared:3 - cgroup x rw,memory\n";
  const std::string pids = "42 40 0:7 / /c/pids ro - cgroup x ro,pids\n";
  const std::string cpu = "43 40 0:8 / /c/cpu ro - cgroup x rw,cpu,cpuacct\n";
  const std::string v2 = "44 40 0:9 / /c/unified ro - cgroup2 x rw,ro_not\n";
  const std::string good = "45 40 0:6 / /d/memory rw - cgroup x rw,memory\n";
  using Words = std::vector<std::string>;
  const auto all = good + memory + pids + cpu + v2;
  CHECK(sys::find_read_only_cgroups(all, {"memory", "pids"}, "/c/memory/a") ==
        Words{"remount,rw,bind /c/memory", "remount,rw /c/pids"});
  CHECK(sys::find_read_only_cgroups(all, {"cpuacct"}, "/c/cpu") ==
        Words{"remount,rw,bind /c/cpu"});
  CHECK(sys::find_read_only_cgroups(all, {}, "/c/unified/user.slice") ==
        Words{"remount,rw,bind /c/unified"});
  CHECK(sys::find_read_only_cgroups(good, {"memory"}, "/d/memory").empty());
}

TEST_CASE("the mounts of PID 1 are ours if they have the same numbers") {
  const std::string host =
      "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
      "40 21 0:5 / /proc rw - proc proc rw\n";
  const std::string copy =
      "77 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
      "78 77 0:5 / /proc rw - proc proc rw\n";
  CHECK(sys::shows_same_mounts(host, host));
  CHECK(sys::shows_same_mounts("40 21 0:5 / /proc rw - proc proc rw\n", host));
  CHECK_FALSE(sys::shows_same_mounts(copy, host));
  CHECK_FALSE(sys::shows_same_mounts(host, ""));
  CHECK_FALSE(sys::shows_same_mounts("", host));
}

TEST_CASE("the ids that root hands out are in a map or not") {
  CHECK(sys::maps_our_ids("         0          0 4294967295\n"));
  CHECK(sys::maps_our_ids("0 1000 1\n100000 500000 65536\n"));
  CHECK_FALSE(sys::maps_our_ids("         0       1000          1\n"));
  CHECK_FALSE(sys::maps_our_ids("0 100000 65536\n"));
  CHECK_FALSE(sys::maps_our_ids(""));
}

TEST_CASE("a mount below a directory is found, and none beside it") {
  const std::string mounts =
      "40 21 0:5 / /srv/rootfs rw - ext4 x rw\n"
      "41 40 0:6 / /srv/rootfs2/proc rw - proc proc rw\n";
  CHECK(sys::find_mount_below(mounts, "/srv/rootfs").empty());
  CHECK(sys::find_mount_below(mounts, "/srv/rootfs2") == "/srv/rootfs2/proc");
  CHECK(sys::find_mount_below("41 40 0:6 / /a\\040b\\134/c rw - proc p rw\n",
                              "/a b\\") == "/a b\\/c");
}

TEST_CASE("a controller is on v1 if it has a hierarchy") {
  const std::string head = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n";
  using Names = std::vector<std::string>;
  CHECK(sys::find_v1_controllers(head + "cpu\t0\t1\t1\nmemory\t4\t20\t1\n") ==
        Names{"memory"});
  CHECK(sys::find_v1_controllers(head).empty());
}

TEST_CASE("5.14 is the first kernel that will do") {
  for (const auto* const old : {"5.13.0-1-generic", "4.18.0-553.el8", "5.4"})
    CHECK(sys::is_too_old(old));
  for (const auto* const good : {"5.14.0-70.el9", "6.1.0", "10.0", "odd", ""})
    CHECK_FALSE(sys::is_too_old(good));
}

// ---- What follows ----------------------------------------------------------

TEST_CASE("on a good host nothing is made up") {
  CHECK_FALSE(explain(kMountInside, user_on_good_host()));
  CHECK_FALSE(explain(kMountInside, root_on_good_host()));
  CHECK_FALSE(explain(kChroot, root_on_good_host()));
  CHECK_FALSE(
      explain({"run /bin/x", EPERM, CLONE_NEWUSER}, user_on_good_host()));
  CHECK_FALSE(explain({"run /bin/x", EACCES, 0}, user_on_good_host()));
  CHECK_FALSE(explain({"open(2) /etc/shadow", EACCES, 0}, user_on_good_host()));
  CHECK_FALSE(
      explain({"mount(2) proc on /proc", EBUSY, 0}, root_on_good_host()));
}

TEST_CASE("who is not root is told so, but not of what is no root's matter") {
  CHECK(why(kChroot, user_on_good_host()) == "this needs root");
  auto ubuntu = user_on_good_host();
  ubuntu.apparmor_restricts = true;
  CHECK(why(kChroot, ubuntu) == "this needs root");
}

TEST_CASE("Ubuntu's AppArmor: wherever it says no") {
  auto ubuntu = user_on_good_host();
  ubuntu.apparmor_restricts = true;
  Attempt chroot_inside = kChroot;
  chroot_inside.flags = CLONE_NEWUSER | CLONE_NEWPID;
  for (const auto& attempt :
       {kUserNamespace, kMountInside, with(kMountInside, EACCES), chroot_inside,
        Attempt{"write(2) '0 1000 1' to /proc/7/uid_map", EPERM, 0}}) {
    CAPTURE(attempt.text);
    CHECK(why(attempt, ubuntu).starts_with("AppArmor leaves no rights"));
    CHECK(mend(attempt, ubuntu) ==
          "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
  }
  ubuntu.is_root = true;
  CHECK_FALSE(explain(kMountInside, ubuntu));
}

TEST_CASE("a switch that is off is named, with the command that turns it on") {
  auto host = user_on_good_host();
  host.forbids_users = true;
  CHECK(mend(kUserNamespace, host) ==
        "sudo sysctl -w kernel.unprivileged_userns_clone=1");
  host = user_on_good_host();
  host.none_of = {"user"};
  CHECK(why(with(kUserNamespace, ENOSPC), host) ==
        "user.max_user_namespaces is 0");
  host.none_of = {"net", "mnt"};  // No network namespace was asked for.
  CHECK(mend(with(kUserNamespace, ENOSPC), host) ==
        "sudo sysctl -w user.max_mnt_namespaces=15000");
  host.none_of = {};
  CHECK(why(with(kUserNamespace, ENOSPC), host) ==
        "a limit on namespaces is reached");
  CHECK(mend(with(kUserNamespace, ENOSPC), host) ==
        "echo 2147483647 | sudo tee /proc/sys/user/max_*_namespaces");
}

TEST_CASE(
    "what hides settings and cgroups is named, in a container that itself") {
  auto host = root_on_good_host();
  const Attempt setting{
      "write(2) '1' to /proc/sys/net/ipv4/conf/box1/rp_filter", ENOENT, 0};
  CHECK_FALSE(explain(setting, host));
  host.mask = "/proc/sys";
  CHECK(why(setting, host) ==
        "a part of /proc is hidden by the mount /proc/sys");
  CHECK(mend(setting, host) == "umount /proc/sys");
  const Attempt cgroup = no_cgroup(ENOENT);
  host.cgroup_cover = "/sys/fs/cgroup";
  for (const auto& attempt : {cgroup, with(cgroup, EACCES)})
    CHECK(mend(attempt, host) == "umount /sys/fs/cgroup");
  // There, what is forbidden is so for more than one reason.
  host.container = "docker";
  host.has_ids = false;
  for (const auto& attempt :
       {setting, cgroup, Attempt{"open_tree(2) .: copy the mount", EPERM, 0}}) {
    CAPTURE(attempt.text);
    CHECK(why(attempt, host).ends_with(" by docker"));
  }
}

TEST_CASE("a chroot is named where it shows, and where nothing else is left") {
  auto host = root_on_good_host();
  const std::string chroot =
      "this is a chroot, where the kernel makes no user namespace";
  CHECK(why(kUserNamespace, host) == chroot);
  host.has_filter = true;
  CHECK(why(kUserNamespace, host) ==
        "user namespaces are forbidden by a seccomp filter on this shell");
  host.is_chrooted = true;
  CHECK(why(kUserNamespace, host) == chroot);
  host.has_proc = host.shows_us = false;
  CHECK(why(kUserNamespace, host) == "/proc is not mounted here");
}

TEST_CASE("a /proc of other processes is told, whatever it makes fail") {
  auto host = user_on_good_host();
  host.shows_us = false;
  for (const auto& attempt :
       {Attempt{"readlink(2) /proc/self: find our own PID, 7", ESRCH, 0},
        Attempt{"write(2) '0 1000 1' to /proc/7/uid_map", ENOENT, 0},
        Attempt{"write(2) '0 1000 1' to /proc/7/uid_map", EPERM, 0},
        Attempt{"open(2) /proc/self/mountinfo", ENOENT, 0},
        no_cgroup(ENOENT)}) {
    CAPTURE(attempt.text);
    CHECK(why(attempt, host) == "/proc shows another PID namespace");
    CHECK(mend(attempt, host) == "sudo mount -t proc proc /proc");
  }
  // The command has a path in the container, and that /proc is another one.
  for (const int errnum : {ENOENT, EACCES, EPERM})
    for (const auto* const command : {"/bin/x", "/proc/self/exe"})
      CHECK_FALSE(
          explain({std::string{"execve(2) "} + command, errnum, 0}, host));
  CHECK_FALSE(explain({"stat(2) x: find the rootfs", ENOENT, 0}, host));
  // A new /proc would be mounted for all processes of the host.
  host.shares_mounts = true;
  CHECK(why({"readlink(2) /proc/self: find our own PID, 7", ESRCH, 0}, host) ==
        "/proc shows another PID namespace, and the mounts are those of its "
        "PID 1");
  CHECK(mend({"readlink(2) /proc/self: find our own PID, 7", ESRCH, 0}, host) ==
        "exit, then unshare --pid --fork --mount-proc ...");
  host.shares_mounts = host.has_proc = false;
  CHECK(why({"open(2) /proc/self/mountinfo", ENOENT, 0}, host) ==
        "/proc is not mounted here");
}

TEST_CASE("a seccomp filter is Docker's if we are in Docker") {
  auto host = root_on_good_host();
  host.has_filter = true;
  const auto clone3 = with(kUserNamespace, ENOSYS);
  CHECK(why(clone3, host) ==
        "clone3(2) is forbidden by a seccomp filter on this shell");
  CHECK(mend(clone3, host) == "make lab");
  host.systemd = true;
  CHECK(mend(clone3, host) == "systemd-run --pty --same-dir sh");
  host.container = "docker";
  CHECK(why(clone3, host) == "clone3(2) is forbidden with seccomp by docker");
  CHECK(mend(clone3, host) == "exit, then docker run --privileged ...");
  host.has_filter = false;
  host.container = "podman";
  CHECK(mend(kMountInside, host) == "exit, then podman run --privileged ...");
  host.container = "lxc";
  CHECK(mend(kMountInside, host) == "make lab");
}

TEST_CASE("an old kernel is named only where its age is the reason") {
  auto host = user_on_good_host();
  host.release = "4.18.0-553.el8";
  CHECK(why(with(kUserNamespace, ENOSYS), host) ==
        "Linux 4.18.0-553.el8 is too old, 5.14 is needed");
  CHECK(why(kChroot, host) == "this needs root");
}

TEST_CASE("a hidden part of /proc is no container's without a container") {
  auto host = user_on_good_host();
  host.mask = "/proc/kcore";
  CHECK(mend(kProcInside, host) == "sudo umount /proc/kcore");
  CHECK_FALSE(explain(kMountInside, host));
  host.container = "podman";
  CHECK(why(kProcInside, host) == "a part of /proc is hidden by podman");
}

TEST_CASE("what hides /sys stops a sysfs and hides cgroups: it is one cause") {
  const std::string whole =
      "23 21 0:6 / /sys rw - sysfs sysfs rw\n"
      "24 23 0:7 / /sys/fs/cgroup rw - tmpfs t rw\n"
      "25 23 0:8 / /sys/kernel/debug rw - debugfs d rw\n";
  CHECK(sys::find_sys_mask(whole).empty());
  const std::string over = "51 23 0:9 / /sys rw - tmpfs none rw\n";
  CHECK(sys::find_sys_mask(whole + over) == "/sys");
  CHECK(sys::find_sys_mask(whole + over +
                           "52 51 0:6 / /sys rw - sysfs sysfs rw\n")
            .empty());
  CHECK(sys::find_sys_mask(whole +
                           "53 23 0:9 / /sys/firmware ro - tmpfs none rw\n") ==
        "/sys/firmware");
  const Attempt sysfs{"mount(2) sysfs on /sys", EPERM, CLONE_NEWUSER};
  auto host = root_on_good_host();
  host.sys_mask = host.cgroup_cover = "/sys";
  CHECK(mend(sysfs, host) == "umount /sys");
  CHECK(explain(sysfs, host) == explain(no_cgroup(ENOENT), host));
  CHECK_FALSE(explain(kMountInside, host));
  host.cgroup_cover = "/sys/fs/cgroup";
  CHECK(mend(no_cgroup(ENOENT), host) == "umount /sys/fs/cgroup");
  host.container = "docker";
  CHECK(why(sysfs, host) == "a part of /sys is hidden by docker");
}

TEST_CASE("root that cannot write a map lacks the capability for it") {
  for (const std::string letter : {"u", "g"}) {
    const Attempt map{"write(2) '0 1 2' to /proc/7/" + letter + "id_map", EPERM,
                      0};
    CHECK(why(map, root_on_good_host()) ==
          "root has no CAP_SET" + std::string{letter == "u" ? "U" : "G"} +
              "ID here");
    CHECK(mend(map, root_on_good_host()) == "exit");
    CHECK_FALSE(explain(map, user_on_good_host()));
  }
}

TEST_CASE("a limit of the caller's shell is named, and what lifts it") {
  for (const char* const call : {"pipe2(2)", "open(2) /dev/null"}) {
    CHECK(mend({call, EMFILE, 0}, root_on_good_host()) == "ulimit -n 1024");
    CHECK(mend({call, EMFILE, 0}, user_on_good_host()) == "exit");
  }
  // Then /proc could not be read, and only seems to be missing.
  auto host = root_on_good_host();
  host.shows_us = false;
  for (const char* const call : {"open(2) /proc/self/status", "open(2) /x"})
    CHECK(mend({call, EMFILE, 0}, host) == "ulimit -n 1024");
  CHECK(mend(no_cgroup(EMFILE), host) == "ulimit -n 1024");
  CHECK(why(with(kUserNamespace, EAGAIN), user_on_good_host())
            .starts_with("ulimit -u, or pids.max of the cgroup"));
  CHECK_FALSE(explain({"read(2) x", EAGAIN, 0}, user_on_good_host()));
}

TEST_CASE("a container that ends while somebody enters it has ended") {
  const Attempt enter{"setns(2) to the namespaces of process 7", ESRCH, 0};
  CHECK(why(enter, root_on_good_host()) == "the container has ended");
  for (const char* const call : {"read(2) /proc/7/status", "poll(2) process 7"})
    CHECK(why({call, ESRCH, 0}, root_on_good_host()) ==
          "the container has ended");
  CHECK_FALSE(explain(with(enter, EINVAL), root_on_good_host()));
}

TEST_CASE("a directory that is closed to a user is open to root") {
  for (const char* const text :
       {"chdir(2) to /srv/x", "stat(2) /srv/x: find the rootfs"}) {
    const Attempt to{text, EACCES, 0};
    CHECK(why(to, user_on_good_host())
              .starts_with("this user may not enter that directory"));
    CHECK_FALSE(explain(to, root_on_good_host()));
    CHECK_FALSE(explain(with(to, ENOENT), user_on_good_host()));
  }
}

TEST_CASE("SELinux is named last of all") {
  auto host = user_on_good_host();
  host.selinux = true;
  CHECK(mend(kMountInside, host) == "sudo setenforce 0");
  host.apparmor_restricts = true;
  CHECK(why(kMountInside, host).starts_with("AppArmor"));
}

TEST_CASE("root of a user namespace has no ids to hand out") {
  auto host = root_on_good_host();
  host.has_ids = false;
  const Attempt map{"write(2) '0 100000 65536' to /proc/7/uid_map", EPERM, 0};
  CHECK(why(map, host).starts_with("you are root only of a user namespace"));
  host.none_of = {"user"};  // Not the last obstacle: see above.
  CHECK(why(with(kUserNamespace, ENOSPC), host) == why(map, host));
}

TEST_CASE("a module is missing, or all are, after an update") {
  const Attempt overlay{"mount(2) overlay on /tmp/root", ENODEV, CLONE_NEWUSER};
  const Attempt veth{"rtnetlink(7) RTM_NEWLINK veth: box7 on the host",
                     EOPNOTSUPP, 0};
  auto host = user_on_good_host();
  CHECK(mend(overlay, host) == "sudo modprobe overlay");
  CHECK(mend(veth, host) == "sudo modprobe veth");
  host.is_root = true;
  CHECK(mend(with(veth, EPERM), host) == "--net none");
  host.is_root = false;
  host.has_modules = false;
  CHECK(mend(veth, host) == "sudo reboot");
  CHECK(why(with(overlay, EINVAL), host) ==
        "an overlay cannot lie on the file system of the rootfs");
}

TEST_CASE("no terminal where the file system of terminals is missing") {
  const Attempt terminal{"open(2) /dev/ptmx: make a terminal", ENODEV, 0};
  CHECK(why(terminal, user_on_good_host()) == "/dev/pts is no devpts");
  CHECK(mend(terminal, user_on_good_host()) ==
        "sudo mount -t devpts -o ptmxmode=666 devpts /dev/pts");
  CHECK_FALSE(explain(with(terminal, ENOSPC), user_on_good_host()));
}

TEST_CASE("a mount in the rootfs stops an overlay, and reset knows 02's") {
  const Attempt overlay{"mount(2) overlay on /tmp/root", EINVAL, CLONE_NEWUSER};
  auto host = user_on_good_host();
  host.directory = host.programs + "/rootfs";
  host.mount_below = host.directory + "/proc";
  CHECK(
      why(overlay, host) ==
      "an overlay accepts no rootfs with a mount in it, as a killed 02 leaves");
  CHECK(mend(overlay, host) == "make reset");
  for (const std::string directory : {"/srv/rootfs", "/srv/it's a"}) {
    host.directory = directory;
    host.mount_below = directory + "/proc";
    CHECK(mend(overlay, host) ==
          "sudo umount " + sys::shell_word(host.mount_below));
  }
  // What is mounted there may be needed.
  host.mount_below = "/srv/it's a/home";
  CHECK(why(overlay, host) ==
        "an overlay accepts no rootfs with a mount in it, and there is "
        "/srv/it's a/home");
  CHECK(mend(overlay, host) == "make rootfs");
  for (const std::string directory : {"/proc", "/sys", "/dev", "/sys/fs"}) {
    host.directory = directory;
    for (const std::string mount : {"", "/proc", "/cgroup"}) {
      host.mount_below = mount.empty() ? "" : directory + mount;
      CHECK(mend(overlay, host) == "make rootfs");
    }
  }
}

TEST_CASE("other words behind the call change no hint") {
  auto host = root_on_good_host();
  host.mask = "/proc/sys";
  CHECK(why({"clone3(2) CLONE_NEWUSER", EPERM}, host) ==
        why({"clone3(2) CLONE_NEWUSER: make my child", EPERM}, host));
  host.container = "docker";
  const auto expected = why({"mount(2) tmpfs on /tmp", EPERM}, host);
  CHECK(expected == "mounts are forbidden by docker");
  for (const char* const text :
       {"mount(2): my own words", "move_mount(2) it", "pivot_root(2) now"})
    CHECK(why({text, EPERM}, host) == expected);
  CHECK(mend({"pivot_root(2)", EINVAL}, host) ==
        mend({"pivot_root(2): change the root", EINVAL}, host));
}

TEST_CASE("a cause tells whom it stops") {
  using sys::Stops;
  const auto stops = [](const Attempt& attempt, const Host& host) {
    const auto cause = explain(attempt, host);
    REQUIRE(cause);
    return cause->stops;
  };
  auto host = user_on_good_host();
  CHECK(stops(kChroot, host) == Stops::kUsersAnywhere);
  CHECK(stops(no_cgroup(EACCES), host) == Stops::kUsers);
  host.systemd = true;
  CHECK(stops(no_cgroup(EACCES), host) == Stops::kUsers);
  host.forbids_users = true;
  CHECK(stops(kUserNamespace, host) == Stops::kUsers);
  host.forbids_users = false;
  host.apparmor_restricts = true;
  CHECK(stops(kUserNamespace, host) == Stops::kUsers);
  CHECK(stops(kMountInside, host) == Stops::kUsers);
  host.mask = "/proc/sys";
  CHECK(stops(kProcInside, host) == Stops::kEverybody);
  CHECK(std::string{sys::name_of(Stops::kEverybody)} == "everybody");
  CHECK(std::string{sys::name_of(Stops::kUsers)} == "users");
  CHECK(std::string{sys::name_of(Stops::kUsersAnywhere)} == "users anywhere");
}

TEST_CASE("sudo is told to who needs it and has it") {
  const Attempt none = no_cgroup(ENOENT);
  auto host = user_on_good_host();
  host.on_v1 = {"cpu", "memory", "pids"};
  host.has_cgroups = false;
  const std::string mount =
      "sh -c 'for v1 in memory pids; do mkdir -p /run/$v1 && "
      "mount -t cgroup -o $v1 cgroup /run/$v1; done'";
  CHECK(mend(none, host) == "sudo " + mount);
  host.has_sudo = false;
  CHECK(mend(none, host) == "as root: " + mount);
  host.is_root = true;
  CHECK(mend(none, host) == mount);
  host.has_sudo = true;
  CHECK(mend(none, host) == mount);
  CHECK(mend(with(kUserNamespace, ENOSPC), host) ==
        "echo 2147483647 | tee /proc/sys/user/max_*_namespaces");
}

TEST_CASE("no memory controller: why there is none, and how to have one") {
  const Attempt none = no_cgroup(ENOENT);
  auto host = user_on_good_host();
  CHECK(why(none, host) ==
        "the kernel has no such controller, or hands it down to no cgroup "
        "that can be seen here");
  host.has_cgroups = false;
  CHECK(mend(none, host) == "sudo mount -t cgroup2 cgroup2 /sys/fs/cgroup");
  host.on_v1 = {"cpu", "memory"};
  CHECK(why(none, host) == "cgroup v1, which has memory, is not mounted");
  host.wsl = true;
  CHECK(mend(none, host).find("cgroup_no_v1=all") != std::string::npos);
  host.command_line = "quiet cgroup_disable=memory";
  CHECK(mend(none, host).find("update-grub") != std::string::npos);
  host.raspberry = true;
  host.boot_options = "/boot/cmdline.txt";
  CHECK(mend(none, host) ==
        "sudo sed -i 's/$/ cgroup_enable=memory/' /boot/cmdline.txt && sudo "
        "reboot");
  host.command_line += " cgroup_enable=memory";  // It has been tried already.
  CHECK(mend(none, host) == "make lab");
  host.container = "docker";
  CHECK(why(none, host) == "cgroups are kept away by docker");
}

TEST_CASE("a cgroup with processes: what moves them to a leaf") {
  Attempt full = no_cgroup(EBUSY, "/sys/fs/cgroup");
  auto host = user_on_good_host();
  CHECK(why(full, host) ==
        "the cgroup /sys/fs/cgroup has processes, so it hands nothing down");
  CHECK(mend(full, host) ==
        "mkdir -p /sys/fs/cgroup/leaf && xargs -n1 "
        "</sys/fs/cgroup/cgroup.procs >/sys/fs/cgroup/leaf/cgroup.procs");
  host.is_root = true;
  host.container = "docker";  // It is not Docker that forbids it.
  CHECK(mend(full, host).starts_with("mkdir -p /sys/fs/cgroup/leaf"));
  full.directory = "/sys/fs/cgroup/app-a\\x2db it's.scope";
  CHECK(
      mend(full, host)
          .starts_with(
              "mkdir -p '/sys/fs/cgroup/app-a\\x2db it'\\''s.scope/leaf' && "));
  host.hides_processes = true;  // Then cgroup.procs has a 0 for each.
  CHECK(why(full, host)
            .ends_with(" has processes outside this PID namespace, so it hands "
                       "nothing down"));
  CHECK(mend(full, host) == "run it outside, or in make lab");
  full.errnum = EOPNOTSUPP;
  CHECK(why(full, host).ends_with("is threaded, so it accepts no container"));
}

TEST_CASE("a process outside our PID namespace is a 0 in its cgroup") {
  const testing::Directory cgroup;
  const auto hint = [&](const std::string& processes) {
    cgroup.make_file("cgroup.procs", processes);
    return sys::hint_for(no_cgroup(EBUSY, cgroup.path()));
  };
  CHECK(
      hint("10\n0\n").ends_with(" has processes outside this PID namespace, so "
                                "it hands nothing down: run "
                                "it outside, or in make lab"));
  CHECK(hint("10\n").ends_with("/leaf/cgroup.procs"));
}

TEST_CASE("cgroups of the host in a cgroup namespace: what shows its own") {
  const std::string own = "35 31 0:9 / /own rw - cgroup2 x rw\n";
  const std::string above = "36 31 0:9 /../.. /above rw - cgroup2 x rw\n";
  const std::string v1 = "37 31 0:8 /.. /v1 rw - cgroup x rw,memory\n";
  CHECK(sys::find_cgroups_from_above(own).empty());
  CHECK(sys::find_cgroups_from_above(own + above).empty());
  CHECK(sys::find_cgroups_from_above(above + v1) == "/above");
  CHECK(sys::find_cgroups_from_above(v1).empty());

  const Attempt none = no_cgroup(ENOENT);
  auto host = root_on_good_host();
  host.cgroups_from_above = "/above";
  CHECK(why(none, host).starts_with("/above shows the host's cgroups"));
  CHECK(mend(none, host) ==
        "mount -t tmpfs tmpfs /above && mount -t cgroup2 cgroup2 /above");
  host.has_ids = false;
  CHECK(why(none, host).starts_with("you are root only of a user namespace"));
  host.has_ids = true;

  // The container cannot see the limit that stops it.
  CHECK(mend({"unshare(2) CLONE_NEWCGROUP", ENOSPC, CLONE_NEWUSER}, host) ==
        "sysctl -w user.max_cgroup_namespaces=15000");
}

TEST_CASE("a cgroup that is not for us: whose it is, and who delegates one") {
  const Attempt denied = no_cgroup(EACCES);
  auto host = user_on_good_host();
  CHECK(why(denied, host) == "the cgroups here are root's");
  host.systemd = true;
  CHECK(mend(denied, host) == "systemd-run --user --scope -p Delegate=yes ...");
  host.on_v1 = {"cpu", "memory"};  // systemd delegates no v1 controller.
  CHECK(why(denied, host) == "the cgroups here are root's");
  host.is_root = true;
  CHECK(mend(denied, host) == "make lab");
  host.has_ids = false;  // No mount(8) would help who is no more than that.
  CHECK(why(denied, host).starts_with("you are root only of a user namespace"));
}

TEST_CASE("cgroups that are mounted read-only: what makes them writable") {
  Attempt denied = no_cgroup(EROFS, "/sys/fs/cgroup/memory/user");
  auto host = root_on_good_host();
  host.on_v1 = {"cpu", "memory", "pids"};
  for (const std::string name : {"cpu", "memory", "pids"})
    host.mounts += "41 40 0:6 / /sys/fs/cgroup/" + name + " ro - cgroup x rw," +
                   name + "\n";
  CHECK(why(denied, host) == "the cgroups are mounted read-only");
  // What the next program wants is among them.
  CHECK(mend(denied, host) ==
        "mount -o remount,rw,bind /sys/fs/cgroup/memory && "
        "mount -o remount,rw,bind /sys/fs/cgroup/pids");
  host.is_root = false;
  CHECK(mend(denied, host) ==
        "sudo mount -o remount,rw,bind /sys/fs/cgroup/memory && "
        "sudo mount -o remount,rw,bind /sys/fs/cgroup/pids");
  host.on_v1 = {};
  host.mounts = "41 40 0:6 / /sys/fs/cgroup rw - cgroup2 x ro\n";
  denied.directory = "/sys/fs/cgroup";
  CHECK(mend(denied, host) == "sudo mount -o remount,rw /sys/fs/cgroup");
  host.container = "docker";
  CHECK(why(denied, host) == "cgroups are kept away by docker");
}

TEST_CASE("on this very host there is a place for a cgroup, or a hint") {
  try {
    for (const auto& parent : sys::find_cgroup_parents({"memory"}))
      CHECK(std::filesystem::is_directory(parent.directory));
  } catch (const sys::Error& error) {
    CHECK_FALSE(sys::hint_of(error).empty());
  }
}

TEST_SUITE_END();
