// Step 01: chroot. The container gets a separate root directory.
//
//   usage   sudo build/01-chroot [ROOTFS [COMMAND [ARG...]]]
//   who     root
//   new     chdir(2), chroot(2), execvp(3)
//   try     ls /            busybox, and little else
//           echo $$         a process number of the host
//           mount -t proc proc /proc; ls /proc/1/root; umount /proc
//                           and root sees the host's files again
//   open    the container can kill every process of the host, and root in it
//           can leave its root directory

#include <unistd.h>  // chdir, chroot, execvp

#include "common/options.hpp"
#include "common/process.hpp"

// Sets the root directory of this process, and of its later children, to the
// working directory. Nothing else changes. Open files stay open, and the
// processes of the host stay visible.
void change_root() {
  sys::check(::chroot("."), "chroot(2) to the working directory");
}

int main(int argc, char** argv) try {
  const auto args = sys::parse_arguments(
      argc, argv,
      {.gives = "a separate root directory",
       .man_pages = "chroot(2), path_resolution(7), execvp(3)",
       .options = {}});

  const sys::Signals signals;
  // The child inherits the working directory. In later steps the child has
  // fewer rights than we have, and cannot walk through a private directory like
  // /root.
  sys::check(::chdir(args.rootfs.c_str()), "chdir(2) to {}", args.rootfs);

  sys::Child child = sys::clone(0, [&] {
    change_root();

    sys::narrate("execvp(3) {}", args.command[0]);
    ::execvp(args.command[0], args.command);
    sys::exec_failed(args.command[0]);  // execvp returns only if it failed.
  });

  return child.wait();
} catch (const std::exception& error) {
  return sys::report(error);
}
