// Measures the kernel's share of a start. Makes the objects of a container of
// step 08, each by one call, without checks, and lets the kernel remove them
// when the process ends. It is not safe, prints nothing and needs root. `make
// bench` compares 08-all with it, because 08-all cannot be faster.
//
//   usage   build/floor ROOTFS PROGRAM

#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "common/cgroup.hpp"
#include "common/fd.hpp"
#include "common/file.hpp"
#include "common/netlink.hpp"

namespace {

void mount(const char* type, const char* target, unsigned long flags = 0,
           const char* options = nullptr) {
  (void)::mkdir(target, 0755);
  (void)::mount(type, target, type, flags, options);
}

void bind(const char* source, const char* target) {
  (void)::mount(source, target, nullptr, MS_BIND, nullptr);
}

void make_file_systems() {
  (void)::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  mount("tmpfs", "/tmp");
  for (const char* const path :
       {"/tmp/work", "/tmp/root", "/tmp/upper", "/tmp/upper/dev"})
    (void)::mkdir(path, 0755);
  mount("overlay", "/tmp/root", 0,
        "lowerdir=.,upperdir=/tmp/upper,workdir=/tmp/work,userxattr");
  (void)::chdir("/tmp/root");
  mount("proc", "proc");
  mount("tmpfs", "dev");
  for (const char* const device :
       {"null", "zero", "full", "random", "urandom", "tty", "console"}) {
    const auto path = std::string{"dev/"} + device;
    (void)::mknod(path.c_str(), S_IFREG | 0600, 0);
    bind(("/" + path).c_str(), path.c_str());
  }
  mount("devpts", "dev/pts", 0, "newinstance");
  for (const char* const path : {"dev/shm", "tmp"}) mount("tmpfs", path);
  mount("mqueue", "dev/mqueue");
  mount("sysfs", "sys");
  mount("tmpfs", "sys/fs/cgroup");
  mount("cgroup", "sys/fs/cgroup/memory", MS_RDONLY, "memory");
  mount("cgroup", "sys/fs/cgroup/pids", MS_RDONLY, "pids");
  for (const char* const path :
       {"proc/interrupts", "proc/kcore", "proc/keys", "proc/timer_list"})
    bind("dev/null", path);
  for (const char* const path : {"proc/bus", "proc/fs", "proc/irq", "proc/sys"})
    bind(path, path);
  mount("tmpfs", "sys/firmware");
  (void)::syscall(SYS_pivot_root, ".", ".");
  (void)::umount2(".", MNT_DETACH);
}

void give_up_rights() {
  for (int capability = 0; capability < CAP_LAST_CAP; ++capability)
    if (capability % 3 != 0) (void)::prctl(PR_CAPBSET_DROP, capability);
  (void)::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  sock_filter allow{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  const sock_fprog program{1, &allow};
  (void)::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

[[noreturn]] void be_container(const std::vector<sys::Cgroup>& groups, int gate,
                               char** command) {
  for (const auto& group : groups)
    if (group.version == 1)
      sys::write_file(group.directory + "/cgroup.procs", "0");
  char word = 0;
  (void)::read(gate, &word, 1);
  (void)::unshare(CLONE_NEWCGROUP);
  (void)::setgroups(0, nullptr);
  (void)::setresgid(0, 0, 0);
  (void)::setresuid(0, 0, 0);
  (void)::sethostname("floor", 5);
  sys::Netlink own;
  own.set_up("lo");
  own.set_up("eth0");
  own.add_address("eth0", 0x0ac70002, 30);
  own.add_default_route(0x0ac70001);
  make_file_systems();
  give_up_rights();
  const pid_t pid = ::fork();  // PID 1 is an init.
  if (pid == 0) (void)::execve(command[0], command, nullptr);
  int status = 0;
  (void)::waitpid(pid, &status, 0);
  ::_exit(WEXITSTATUS(status));
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) return sys::kOurFailure;
  (void)::chdir(argv[1]);
  auto groups = sys::find_cgroup_parents({"memory", "pids"});
  for (auto& group : groups) {
    for (const auto& name : group.missing)
      sys::write_file(group.directory + "/cgroup.subtree_control", "+" + name);
    group.directory += sys::format("/box-{}", ::getpid());
    (void)::mkdir(group.directory.c_str(), 0755);
    for (const auto& name : group.controllers)
      sys::write_file(
          group.directory + (name == "pids"       ? "/pids.max"
                             : group.version == 2 ? "/memory.max"
                                                  : "/memory.limit_in_bytes"),
          name == "pids" ? "256" : "67108864");
  }
  const sys::Fd v2 = sys::open_v2_cgroup(groups);
  const sys::Pipe gate;
  clone_args args{};
  args.flags = CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWNS |
               CLONE_NEWIPC | CLONE_NEWNET;
  args.exit_signal = SIGCHLD;
  if (v2.get() != -1) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<__u64>(v2.get());
  }
  const auto pid =
      static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  if (pid == 0) be_container(groups, gate.read_end.get(), argv + 2);
  const auto proc = sys::format("/proc/{}", pid);
  sys::write_file(proc + "/uid_map", "0 100000 65536");
  sys::write_file(proc + "/gid_map", "0 100000 65536");
  sys::Netlink host;
  const auto link = sys::format("floor{}", pid % 4096);
  (void)host.add_veth(link, "eth0", pid);
  host.add_address(link, 0x0ac70001, 30);
  (void)::write(gate.write_end.get(), "", 1);
  int status = 0;
  (void)::waitpid(pid, &status, 0);
  for (const auto& group : groups) (void)::rmdir(group.directory.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : sys::kOurFailure;
} catch (const std::exception& error) {
  return sys::report(error);
}
