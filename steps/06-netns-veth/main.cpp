// Step 06: network namespaces. The container gets interfaces of its own, and a
// cable to the host.
//
//   usage   sudo build/06-netns-veth [OPTIONS] [ROOTFS [COMMAND [ARG...]]]
//   who     root; anyone without the cable
//   new     CLONE_NEWNET; a veth pair, addresses, a route; NAT if asked for
//   try     ip addr; ip route; ping -c1 the gateway. On the host: ip addr
//           --net nat       lets it out; else it reaches the host, and no more
//   open    the memory of the whole machine

#include <grp.h>          // setgroups
#include <sched.h>        // CLONE_NEW*
#include <sys/mount.h>    // mount, umount2
#include <sys/stat.h>     // umask
#include <sys/syscall.h>  // SYS_pivot_root
#include <unistd.h>       // chdir, execvp, sethostname, setresuid, symlink

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/arguments.hpp"
#include "common/file.hpp"
#include "common/mount.hpp"
#include "common/nat.hpp"
#include "common/netlink.hpp"
#include "common/process.hpp"
#include "common/streams.hpp"

// ps(1) only reads files under /proc, and a procfs shows the PID namespace of
// the process that mounted it: so it is the child's to mount.
void mount_proc() {
  sys::check(::mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                     nullptr),
             "mount proc on /proc");
}

// Tells the kernel which of our ids the child's ids are. The parent does it,
// once and for all. Root hands out 65536 ids that no account has; anybody else
// has one to give, and must first give up setgroups(2): a group can also be
// what denies access. See user_namespaces(7).
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

// Becomes id 0 of the namespace. For an ordinary user, the map has done it.
void become_root() {
  if (::geteuid() == 0) return;
  sys::check(::setgroups(0, nullptr), "drop the groups of the caller");
  sys::check(::setresgid(0, 0, 0), "become group 0");
  sys::check(::setresuid(0, 0, 0), "become user 0");
  sys::die_with_parent();  // As clone arranged; changing ids cleared it.
}

// A new UTS namespace starts with a copy of the name of the old one.
void set_host_name(const std::string& name) {
  sys::check(::sethostname(name.data(), name.size()), "set the host name {}",
             name);
}

// Lays a tmpfs over the image, our working directory, and goes to the result:
// what is read comes from the image, what is written stays in the tmpfs. Its
// upper layer wins, so with these directories made in it a hostile image cannot
// have a link to the host in a place where we mount.
void mount_overlay() {
  // What the host mounts from now on is not for us. The other way the kernel
  // has closed: the copies of a new user namespace are slaves of the host's.
  sys::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  sys::mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
  ::umask(022);  // The caller's would show in all that we make.
  for (const char* const path :
       {"/tmp/work", "/tmp/root", "/tmp/upper", "/tmp/upper/dev",
        "/tmp/upper/proc", "/tmp/upper/sys", "/tmp/upper/tmp"})
    sys::make_directory(path);
  sys::mount("overlay", "/tmp/root", "overlay", MS_NODEV,
             "lowerdir=.,upperdir=/tmp/upper,workdir=/tmp/work,userxattr");
  sys::check(::chdir("/tmp/root"), "enter the new root");
}

// A user namespace may not make device nodes, so lend it the harmless ones of
// the host. Terminals and shared memory are its own.
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
  sys::check(::symlink("pts/ptmx", "dev/ptmx"), "link /dev/ptmx");
  sys::check(::symlink("/proc/self/fd", "dev/fd"), "link /dev/fd");
  sys::check(::symlink("fd/0", "dev/stdin"), "link /dev/stdin");
  sys::check(::symlink("fd/1", "dev/stdout"), "link /dev/stdout");
  sys::check(::symlink("fd/2", "dev/stderr"), "link /dev/stderr");
}

// The network devices in /sys are those of the namespace that mounts it.
void mount_sys() {
  sys::mount("sysfs", "sys", "sysfs",
             MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, nullptr);
}

// Makes the working directory the root of all mounts, and drops what was there.
// chroot(2) only moves a process; after this there is no outside to walk to.
// The old root ends up on top of the new one: see pivot_root(2), NOTES.
void pivot_root() {
  sys::check(::syscall(SYS_pivot_root, ".", "."), "make this the root mount");
  sys::check(::umount2(".", MNT_DETACH), "unmount the old root");
  sys::check(::chdir("/"), "enter the root");
}

// A veth pair: what goes in at one end comes out at the other.
struct Cable {
  unsigned number = 0;  // It names the host's end; the container's is eth0.
  sys::Ipv4 outside = 0;
  sys::Ipv4 inside = 0;  // 0: there is no cable.
  [[nodiscard]] std::string link() const {
    return sys::format("box{}", number);
  }
};

// Who sits at the other end may say anything: that it is a router (IPv6 would
// believe it), or that it is somebody else. And the host forwards nothing of
// it; --net nat allows that.
void distrust(const std::string& link) {
  const std::string settings = "/proc/sys/net/";
  sys::write_file_if_there(settings + "ipv6/conf/" + link + "/disable_ipv6",
                           "1");
  sys::write_file(settings + "ipv4/conf/" + link + "/rp_filter", "1");
  sys::write_file(settings + "ipv4/conf/" + link + "/forwarding", "0");
}

// Every container takes a number, for its link boxN and for its subnet. Making
// the link is how the number is claimed: if two try, the kernel refuses one;
// and however a container ends, its link goes with its network namespace.
Cable plug_cable(pid_t child) {
  constexpr unsigned kNumbers = 4096;
  sys::Netlink host;
  for (unsigned i = 0; i < kNumbers; ++i) {
    const unsigned number = (static_cast<unsigned>(child) + i) % kNumbers;
    const auto subnet = host.find_free_subnet(number);
    const Cable cable{number, subnet + 1, subnet + 2};
    if (!host.add_veth(cable.link(), "eth0", child)) continue;
    distrust(cable.link());
    host.add_peer_address(cable.link(), cable.outside, cable.inside);
    return cable;
  }
  throw std::runtime_error{"all links from box0 to box4095 are taken"};
}

// A new network namespace has only a loopback, and that is down. Only with NAT
// is there a way further than to the host's end; without one, rp_filter drops
// what comes in from further away, because no route leads back to its sender.
void set_up_network(const Cable& cable, const std::string& network) {
  sys::Netlink own;
  own.set_up("lo");
  const std::string settings = "/proc/sys/net/ipv4/";
  // The groups that may ping(8) without CAP_NET_RAW: all of the container's.
  sys::write_file(settings + "ping_group_range",
                  cable.inside == 0 ? "0 0" : "0 65535");
  if (cable.inside == 0) return;
  sys::write_file(settings + "conf/eth0/rp_filter", "1");
  own.set_up("eth0");
  own.add_peer_address("eth0", cable.inside, cable.outside);
  if (network == "nat") own.add_default_route(cable.outside);
}

int main(int argc, char** argv) try {
  const auto args = sys::parse_arguments(
      argc, argv,
      {.gives = "a network, mounts, host name, root and processes of its own",
       .man_pages = "network_namespaces(7), veth(4), rtnetlink(7)",
       .options = {"--hostname", "--bind", "--read-only", "--net"}});

  const sys::Signals signals;
  sys::Streams streams;  // The caller's may be files of the host.
  // The child inherits it. Soon the child has fewer rights than we have, and
  // could not walk to a rootfs below a private directory such as /root.
  sys::check(::chdir(args.rootfs.c_str()), "enter the rootfs {}", args.rootfs);

  const auto network = sys::choose_network(args);
  // Who may walk there takes them: root out here, an ordinary user in there,
  // for only in there it has a mount namespace of its own.
  std::vector<sys::Fd> copies;
  if (::geteuid() == 0) copies = sys::copy_binds(args.binds);

  // It has two numbers: the one that clone(2) returns out here, and 1.
  std::uint64_t flags =
      CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWNS;
  if (network != "host") flags |= CLONE_NEWNET;
  sys::Gate<Cable> gate;
  sys::Child child = sys::clone(flags, [&] {
    // Until we have ids and a cable: exec without ids ends all capabilities.
    const Cable cable = gate.wait();
    if (copies.empty()) copies = sys::copy_binds(args.binds);
    become_root();
    set_host_name(args.hostname);
    if (network != "host") set_up_network(cable, network);
    mount_overlay();
    mount_proc();  // The kernel wants to see the old one while we do.
    mount_dev();
    if (network != "host") mount_sys();
    pivot_root();
    sys::place_binds(args.binds, copies);
    if (args.read_only)
      for (const char* const path : {"/", "/dev"})
        sys::set_mount_attributes(path, MOUNT_ATTR_RDONLY);

    streams.enter();
    sys::narrate("execvp {}", args.command[0]);
    ::execvp(args.command[0], args.command);
    sys::exec_failed(args.command[0]);  // execvp returns only if it failed.
  });
  map_ids(child.pid());

  Cable cable;
  if (network == "veth" || network == "nat") cable = plug_cable(child.pid());
  std::optional<sys::Nat> nat;
  if (network == "nat") nat.emplace(cable.link(), sys::to_string(cable.inside));
  gate.open(cable);

  return child.wait(streams);
} catch (const std::exception& error) {
  return sys::report(error);
}
