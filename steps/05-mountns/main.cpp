// Step 05: mount namespaces. The container gets a separate mount table, and
// a root directory in which it can write without changing the image.
//
//   usage   build/05-mountns [OPTIONS] [ROOTFS [COMMAND [ARG...]]]
//   who     anyone
//   new     CLONE_NEWNS; overlay, proc, a small /dev; pivot_root(2)
//   try     touch /new; cat /proc/self/mountinfo
//   open    it shares the network, the abstract sockets and the memory of the
//           host; if root starts the container, root in it does not own the
//           files of the image (08 corrects this)

#include <grp.h>          // setgroups
#include <sched.h>        // CLONE_NEW*
#include <sys/mount.h>    // mount, umount2
#include <sys/stat.h>     // umask
#include <sys/syscall.h>  // SYS_pivot_root
#include <unistd.h>       // chdir, execvp, sethostname, setresuid, symlink

#include <string>
#include <vector>

#include "common/file.hpp"
#include "common/mount.hpp"
#include "common/options.hpp"
#include "common/process.hpp"
#include "common/streams/streams.hpp"
#include "steps/05-mountns/binds.hpp"

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

int main(int argc, char** argv) try {
  const auto args = sys::parse_arguments(
      argc, argv,
      {.gives = "separate mounts, host name, root user and processes",
       .man_pages = "mount_namespaces(7), mount(2), pivot_root(2)",
       .options = {"--hostname", "--bind", "--read-only"}});

  const sys::Signals signals;
  sys::Streams streams;  // The caller's might be files of the host.
  // The child inherits the working directory. Soon the child has fewer rights
  // than we have, and cannot walk through a private directory such as /root.
  sys::check(::chdir(args.rootfs.c_str()), "chdir(2) to {}", args.rootfs);

  // The sources of --bind are opened with the caller's rights. Root opens them
  // here, before the child loses its rights. An ordinary user opens them in the
  // child, because open_tree(2) is permitted only in its new mount namespace.
  std::vector<sys::Fd> copies;
  if (::geteuid() == 0) copies = sys::copy_binds(args.binds);

  // The child has two PIDs: the one that clone(2) returns, and 1.
  const auto flags = CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWNS;
  sys::Gate gate;
  sys::Child child = sys::clone(flags, [&] {
    gate.wait();  // Without id maps, execvp(3) drops all capabilities.
    if (copies.empty()) copies = sys::copy_binds(args.binds);
    become_root();
    set_host_name(args.hostname);
    mount_overlay();
    mount_proc();  // Permitted only while the old procfs is visible.
    mount_dev();
    pivot_root();
    sys::place_binds(args.binds, copies);
    if (args.read_only)
      for (const char* const path : {"/", "/dev"})
        sys::set_mount_attributes(path, MOUNT_ATTR_RDONLY);

    streams.enter();
    sys::narrate("execvp(3) {}", args.command[0]);
    ::execvp(args.command[0], args.command);
    sys::exec_failed(args.command[0]);  // execvp returns only if it failed.
  });
  map_ids(child.pid());
  gate.open();

  return child.wait(streams);
} catch (const std::exception& error) {
  return sys::report(error);
}
