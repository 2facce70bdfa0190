// Step 07: control groups. The container gets a memory limit.
//
//   usage   sudo build/07-cgroup-memory [OPTIONS] [ROOTFS [COMMAND [ARG...]]]
//   who     anyone; the cable needs root; the limit needs root, or a cgroup
//           that root has given to the user
//   new     a cgroup directory, memory.max, CLONE_INTO_CGROUP
//   try     tail /dev/zero      reads a line without end until it is killed
//   open    it can read shared memory of the host; it can start any number of
//           processes; it can use the keyring, the open descriptors and the
//           terminal of its caller

#include <grp.h>          // setgroups
#include <linux/sched.h>  // CLONE_NEW*, CLONE_INTO_CGROUP
#include <sys/mount.h>    // mount, umount2
#include <sys/stat.h>     // umask
#include <sys/syscall.h>  // SYS_pivot_root
#include <unistd.h>       // chdir, execvp, sethostname, setresuid, symlink

#include <fmt/ranges.h>  // join

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/cgroup.hpp"
#include "common/file.hpp"
#include "common/mount.hpp"
#include "common/netlink.hpp"
#include "common/options.hpp"
#include "common/process.hpp"
#include "common/streams/streams.hpp"
#include "steps/05-mountns/binds.hpp"
#include "steps/06-netns-veth/nat.hpp"
#include "steps/07-cgroup-memory/callers_limits.hpp"

// ps(1) only reads files under /proc. A procfs shows the PID namespace of the
// process that mounted it, so the child has to mount it.
void mount_proc() {
  sys::check(::mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                     nullptr),
             "mount(2) proc on /proc");
}

// Writes the id maps of the child. The parent writes them, because a child that
// root started is not permitted to. The kernel accepts each map only once. Root
// gives 65536 ids that no account uses. An ordinary user can give only one id,
// and must first forbid setgroups(2). A file can exclude one group, and with
// setgroups(2) the child could leave this group and open the file.
void map_ids(pid_t child) {
  const auto proc = sys::format("/proc/{}", child);
  if (::geteuid() == 0) {
    sys::write_file(proc + "/uid_map", "0 100000 65536");
    sys::write_file(proc + "/gid_map", "0 100000 65536");
  } else {
    sys::write_file(proc + "/uid_map", sys::format("0 {} 1", ::geteuid()));
    sys::write_file(proc + "/setgroups", "deny");
    sys::write_file(proc + "/gid_map", sys::format("0 {} 1", ::getegid()));
  }
}

// Becomes id 0 of the namespace. An ordinary user is id 0 already, by the map.
void become_root() {
  if (::geteuid() == 0) return;
  sys::check(::setgroups(0, nullptr), "setgroups(2): drop the caller's groups");
  sys::check(::setresgid(0, 0, 0), "setresgid(2): become group 0");
  sys::check(::setresuid(0, 0, 0), "setresuid(2): become user 0");
  sys::die_with_parent();  // Again, because a change of ids cancels this.
}

// A new UTS namespace starts with a copy of the name of the old one.
void set_host_name(const std::string& name) {
  sys::check(::sethostname(name.data(), name.size()), "sethostname(2) {}",
             name);
}

// Lays a tmpfs over the image, which is our working directory, and enters the
// result. Reads come from the image, and writes go to the tmpfs. A hostile
// image could have a link to the host as its /dev, and a mount on /dev would
// follow it. So we make directories in the upper layer, which hide such links.
void mount_overlay() {
  // Later mounts of the host must not reach us. Our mounts never reach the
  // host, because our mount table belongs to a new user namespace.
  sys::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  sys::mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
  ::umask(022);  // The caller's umask would change the modes of our files.
  for (const char* const path :
       {"/tmp/work", "/tmp/root", "/tmp/upper", "/tmp/upper/dev",
        "/tmp/upper/proc", "/tmp/upper/sys", "/tmp/upper/tmp"})
    sys::make_directory(path);
  sys::mount("overlay", "/tmp/root", "overlay", MS_NODEV,
             "lowerdir=.,upperdir=/tmp/upper,workdir=/tmp/work,userxattr");
  sys::check(::chdir("/tmp/root"), "chdir(2) to the new root");
}

// A process in a user namespace cannot make device nodes, so we bind harmless
// ones of the host. The container gets separate terminals and shared memory.
void mount_dev() {
  sys::mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755");
  for (const std::string name :
       {"null", "zero", "full", "random", "urandom", "tty"})
    sys::bind_file("/dev/" + name, "dev/" + name);
  sys::make_directory("dev/pts");
  sys::mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
             "newinstance,ptmxmode=0666,mode=0620");
  sys::make_directory("dev/shm");
  for (const char* const path : {"dev/shm", "tmp"})
    sys::mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
  sys::check(::symlink("pts/ptmx", "dev/ptmx"), "symlink(2) /dev/ptmx");
  sys::check(::symlink("/proc/self/fd", "dev/fd"), "symlink(2) /dev/fd");
  sys::check(::symlink("fd/0", "dev/stdin"), "symlink(2) /dev/stdin");
  sys::check(::symlink("fd/1", "dev/stdout"), "symlink(2) /dev/stdout");
  sys::check(::symlink("fd/2", "dev/stderr"), "symlink(2) /dev/stderr");
}

// A sysfs shows the network devices of the network namespace in which it was
// mounted.
void mount_sys() {
  sys::mount("sysfs", "sys", "sysfs",
             MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, nullptr);
}

// Makes the working directory the root of all mounts, and unmounts the old
// root. Then the mount table does not contain the old tree, so a second
// chroot(2) cannot go there. For a moment, the old root lies on top of the new
// one: see pivot_root(2), NOTES.
void pivot_root() {
  sys::check(::syscall(SYS_pivot_root, ".", "."),
             "pivot_root(2): make this the root mount");
  sys::check(::umount2(".", MNT_DETACH), "umount2(2) the old root");
  sys::check(::chdir("/"), "chdir(2) to /");
}

// A veth pair. What goes in at one end comes out at the other.
struct Cable {
  unsigned number = 0;  // The host's end is boxN, the container's eth0.
  sys::Ipv4 outside = 0;
  sys::Ipv4 inside = 0;  // 0: there is no cable.
  [[nodiscard]] std::string link() const {
    return sys::format("box{}", number);
  }
};

// The container can send anything over the cable. It can announce itself as an
// IPv6 router, or use the address of another machine. The host ignores both,
// and forwards nothing for the container. --net nat permits forwarding.
void distrust(const std::string& link) {
  const std::string settings = "/proc/sys/net/";
  sys::write_file_if_there(settings + "ipv6/conf/" + link + "/disable_ipv6",
                           "1");
  sys::write_file(settings + "ipv4/conf/" + link + "/rp_filter", "1");
  sys::write_file(settings + "ipv4/conf/" + link + "/forwarding", "0");
}

// A group of four addresses to which the host has no route yet: the one with
// this number, in the first of three private blocks where it is free. A prefix
// of less than 8 bits is a default route, or a VPN's stand-in for one.
sys::Ipv4 find_subnet(sys::Netlink& host, unsigned number) {
  for (const sys::Ipv4 block : {0x0ac7'0000U,     // 10.199.0.0/18
                                0xac1d'0000U,     // 172.29.0.0/18
                                0xc0a8'c000U}) {  // 192.168.192.0/18
    const auto subnet = block + 4 * number;
    if (host.route_prefix(subnet + 1) < 8 && host.route_prefix(subnet + 2) < 8)
      return subnet;
  }
  throw std::runtime_error{
      "cannot find a free subnet: the host has routes to all three blocks; "
      "hint: --net none does without"};
}

// Every container has a number, for its link boxN and for its subnet. We claim
// a number by making the link, because two links cannot have the same name.
// When the container ends, the kernel removes its eth0, and boxN with eth0.
Cable plug_cable(pid_t child) {
  constexpr unsigned kNumbers = 4096;
  sys::Netlink host;
  for (unsigned i = 0; i < kNumbers; ++i) {
    const unsigned number = (static_cast<unsigned>(child) + i) % kNumbers;
    const auto subnet = find_subnet(host, number);
    const Cable cable{number, subnet + 1, subnet + 2};
    if (!host.add_veth(cable.link(), "eth0", child)) continue;
    distrust(cable.link());
    host.add_peer_address(cable.link(), cable.outside, cable.inside);
    return cable;
  }
  throw std::runtime_error{"all links from box0 to box4095 are taken"};
}

// A new network namespace has only a loopback interface, which is down. Without
// NAT, the only route that we add leads to the host. So rp_filter of eth0 drops
// the packets of all other machines.
void set_up_network(const Cable& cable, sys::Network network) {
  sys::Netlink own;
  own.set_up("lo");
  const std::string settings = "/proc/sys/net/ipv4/";
  // Members of these groups can use ping(8) without CAP_NET_RAW. The kernel
  // accepts only groups of the id map. The map of an ordinary user, who gets no
  // cable, has only group 0.
  sys::write_file(settings + "ping_group_range",
                  cable.inside == 0 ? "0 0" : "0 65535");
  if (cable.inside == 0) return;
  sys::write_file(settings + "conf/eth0/rp_filter", "1");
  own.set_up("eth0");
  own.add_peer_address("eth0", cable.inside, cable.outside);
  if (network == sys::Network::kNat) own.add_default_route(cable.outside);
}

// A v2 cgroup hands a controller down to those below it only if it is told to.
void hand_down(const std::vector<sys::Cgroup>& parents) {
  for (const auto& parent : parents)
    if (!parent.missing.empty())
      sys::write_file(parent.directory + "/cgroup.subtree_control",
                      sys::format("+{}", fmt::join(parent.missing, " +")));
}

// A cgroup is a directory, which mkdir(2) makes. mkdir(2) fails if the name is
// taken, for example by a program that has our PID in another PID namespace.
// Then we remove the directories made so far, and try the number plus 1 << 22.
// No PID is that large, so no other program tries this number first.
void make_cgroups(const std::vector<sys::Cgroup>& parents,
                  std::vector<sys::Cgroup>& groups) {
  constexpr int kMostPids = 1 << 22;
  for (std::int64_t number = ::getpid(); groups.size() != parents.size();
       number += kMostPids) {
    sys::remove_cgroups(groups);
    groups.clear();
    for (auto group : parents) {
      group.directory += sys::format("/box-{}", number);
      if (!sys::make_new_directory(group.directory)) break;
      groups.push_back(group);
    }
  }
}

// No swap, because with swap the container would become very slow at its limit,
// and not be killed. v1 has one limit for memory and one for memory and swap
// together, so we make them equal. v1 counts the queues of TCP and UDP sockets
// only if there is a limit for them, too.
void limit_memory(const std::vector<sys::Cgroup>& groups, std::int64_t bytes) {
  const auto* const group = sys::find_cgroup(groups, "memory");
  if (group == nullptr || bytes == sys::kNoLimit) return;
  const auto limit = sys::format("{}", bytes);
  const auto& directory = group->directory;
  if (group->version == 2) {
    sys::write_file(directory + "/memory.max", limit);
    sys::write_file_if_there(directory + "/memory.swap.max", "0");
  } else {
    sys::write_file(directory + "/memory.limit_in_bytes", limit);
    sys::write_file_if_there(directory + "/memory.memsw.limit_in_bytes", limit);
    sys::write_file_if_there(directory + "/memory.kmem.tcp.limit_in_bytes",
                             limit);
  }
}

// v1 cannot create a process in a cgroup, so the child moves itself through
// files that the parent has opened. The kernel reads 0 as the process that
// writes it.
void join_v1_cgroups(const std::vector<sys::Fd>& v1_cgroups) {
  for (const auto& file : v1_cgroups)
    sys::check(::write(file.get(), "0", 1),
               "write(2) to cgroup.procs: join a v1 cgroup");
}

// The kernel counts the processes of a cgroup that its OOM killer has killed.
void tell_of_kills(const std::vector<sys::Cgroup>& groups) {
  const auto* const group = sys::find_cgroup(groups, "memory");
  if (group == nullptr) return;
  const auto* const file =
      group->version == 2 ? "/memory.events" : "/memory.oom_control";
  if (sys::read_keyed_value(group->directory + file, "oom_kill") != 0)
    sys::note("a process was killed: the container came to its memory limit");
}

// Makes the cgroups of the container, with their limits, below `parents`.
void claim_cgroups(std::int64_t memory, std::vector<sys::Cgroup>& parents,
                   std::vector<sys::Cgroup>& groups) {
  if (memory != sys::kNoLimit) parents = sys::find_cgroup_parents({"memory"});
  hand_down(parents);
  make_cgroups(parents, groups);
  limit_memory(groups, memory);
  sys::keep_callers_limits(groups);
}

// Child: makes what the command finds in the container.
void build_inside(const sys::Arguments& args, sys::Network network,
                  const Cable& cable, const std::vector<sys::Fd>& copies) {
  set_host_name(args.hostname);
  if (network != sys::Network::kHost) set_up_network(cable, network);
  mount_overlay();
  mount_proc();  // Permitted only while the old procfs is visible.
  mount_dev();
  if (network != sys::Network::kHost) mount_sys();
  pivot_root();
  sys::place_binds(args.binds, copies);
  if (args.read_only)
    for (const char* const path : {"/", "/dev"})
      sys::set_mount_attributes(path, MOUNT_ATTR_RDONLY);
}

int main(int argc, char** argv) try {
  const auto args =
      sys::parse_arguments(argc, argv,
                           {.gives = "separate namespaces and a memory limit",
                            .man_pages = "cgroups(7), clone(2)",
                            .options = {"--hostname", "--bind", "--read-only",
                                        "--net", "--memory"}});

  const sys::Signals signals;
  sys::Streams streams;  // The caller's might be files of the host.
  // With fewer rights, the child could not walk through a private directory.
  sys::check(::chdir(args.rootfs.c_str()), "chdir(2) to {}", args.rootfs);

  const auto network = sys::choose_network(args.network);
  // Root opens the sources of --bind here, a user in the child: see step 05.
  std::vector<sys::Fd> copies;
  if (::geteuid() == 0) copies = sys::copy_binds(args.binds);

  std::vector<sys::Cgroup> parents;
  std::vector<sys::Cgroup> groups;
  const sys::Defer remove{[&] { sys::remove_cgroups(groups, parents); }};
  claim_cgroups(args.memory.value_or(sys::kDefaultMemory), parents, groups);
  const sys::Fd v2_cgroup = sys::open_v2_cgroup(groups);
  const auto v1_cgroups = sys::open_v1_cgroups(groups);

  // The child has two PIDs: the one that clone(2) returns, and 1.
  std::uint64_t flags =
      CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWNS;
  if (network != sys::Network::kHost) flags |= CLONE_NEWNET;
  // With v2, the child starts in its cgroup. With v1, the child has to join it.
  if (v2_cgroup.get() != -1) flags |= CLONE_INTO_CGROUP;
  sys::Gate<Cable> gate;
  sys::Child child = sys::clone(flags, v2_cgroup, [&] {
    join_v1_cgroups(v1_cgroups);
    // Waits for the cable, and for the id maps (see step 03).
    const Cable cable = gate.wait();
    if (copies.empty()) copies = sys::copy_binds(args.binds);
    become_root();
    build_inside(args, network, cable, copies);
    streams.enter();
    sys::narrate("execvp(3) {}", args.command[0]);
    ::execvp(args.command[0], args.command);
    sys::exec_failed(args.command[0]);  // execvp returns only if it failed.
  });
  map_ids(child.pid());

  Cable cable;
  if (network == sys::Network::kVeth || network == sys::Network::kNat)
    cable = plug_cable(child.pid());
  std::optional<sys::Nat> nat;
  if (network == sys::Network::kNat)
    nat.emplace(cable.link(), sys::to_string(cable.inside));
  gate.open(cable);

  const int status = child.wait(streams);
  tell_of_kills(groups);
  return status;
} catch (const std::exception& error) {
  return sys::report(error);
}
