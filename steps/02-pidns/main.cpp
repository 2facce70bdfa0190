// Step 02: PID namespaces. The container gets separate process numbers.
//
//   usage   sudo build/02-pidns [ROOTFS [COMMAND [ARG...]]]
//   who     root
//   new     clone(2) with CLONE_NEWPID, and a /proc that matches it
//   try     ps              only the container's processes are left
//           kill -9 $$      PID 1 ignores its own SIGKILL
//   open    it mounts /proc in the host's mount table, so two containers in one
//           rootfs disturb each other; root in the container is root on the
//           host

#include <fcntl.h>      // open, O_PATH
#include <sched.h>      // CLONE_NEWPID
#include <sys/mount.h>  // mount, umount2
#include <unistd.h>     // chdir, chroot, execvp

#include "common/options.hpp"
#include "common/process.hpp"

// Sets the root directory of this process, and of its later children, to the
// working directory. Nothing else changes. Open files stay open, and the
// processes of the host stay visible.
void change_root() {
  sys::check(::chroot("."), "chroot(2) to the working directory");
}

// ps(1) only reads files under /proc. A procfs shows the PID namespace of the
// process that mounted it, so the child has to mount it.
void mount_proc() {
  sys::check(::mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                     nullptr),
             "mount(2) proc on /proc");
}

int main(int argc, char** argv) try {
  const auto args = sys::parse_arguments(
      argc, argv,
      {.gives = "a separate root directory and process numbers",
       .man_pages = "pid_namespaces(7), clone(2), proc(5)",
       .options = {}});

  const sys::Signals signals;
  // The child inherits the working directory. In later steps the child has
  // fewer rights than we have, and cannot walk through a private directory like
  // /root.
  sys::check(::chdir(args.rootfs.c_str()), "chdir(2) to {}", args.rootfs);
  // If /proc were a symbolic link, the mount would go somewhere else.
  const sys::Fd mount_point{
      sys::check(::open("proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
                 "open(2) {}/proc", args.rootfs)};

  // The child has two PIDs: the one that clone(2) returns, and 1.
  sys::Child child = sys::clone(CLONE_NEWPID, [&] {
    change_root();
    mount_proc();

    sys::narrate("execvp(3) {}", args.command[0]);
    ::execvp(args.command[0], args.command);
    sys::exec_failed(args.command[0]);  // execvp returns only if it failed.
  });
  // The mount is in the host's mount table, and stays when the child has ended.
  const sys::Defer unmount{
      [] { (void)::umount2("proc", MNT_DETACH | UMOUNT_NOFOLLOW); }};

  return child.wait();
} catch (const std::exception& error) {
  return sys::report(error);
}
