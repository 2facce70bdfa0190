// Step 04: UTS namespaces. The container gets a separate host name.
//
//   usage   build/04-uts [--hostname NAME] [ROOTFS [COMMAND [ARG...]]]
//   who     anyone
//   new     CLONE_NEWUTS, sethostname(2)
//   try     hostname        box; the host keeps its name
//           hostname foo    is refused in 03, and renames the host in 02
//   open    it shares the mount table of the host, and its root has no right to
//           mount; it shares the host's network and memory, too

#include <grp.h>        // setgroups
#include <sched.h>      // CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS
#include <sys/mount.h>  // mount
#include <unistd.h>     // chdir, chroot, execvp, sethostname, setresuid

#include <string>

#include "common/file.hpp"
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

int main(int argc, char** argv) try {
  const auto args = sys::parse_arguments(
      argc, argv,
      {.gives = "a separate host name, root user and process numbers",
       .man_pages = "uts_namespaces(7), sethostname(2)",
       .options = {"--hostname"}});

  const sys::Signals signals;
  // The child inherits the working directory. Soon the child has fewer rights
  // than we have, and cannot walk through a private directory such as /root.
  sys::check(::chdir(args.rootfs.c_str()), "chdir(2) to {}", args.rootfs);

  // The child has two PIDs: the one that clone(2) returns, and 1.
  sys::Gate gate;
  const auto flags = CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWUTS;
  sys::Child child = sys::clone(flags, [&] {
    gate.wait();  // Without id maps, execvp(3) drops all capabilities.
    become_root();
    set_host_name(args.hostname);
    change_root();
    try {
      mount_proc();
    } catch (const sys::Error& error) {
      sys::note(sys::format(
          "no /proc ({}), so ps shows nothing: the mount table is still the "
          "host's, and root in the container has no rights over it (see step "
          "05)",
          sys::errno_name(error.code().value())));
    }

    sys::narrate("execvp(3) {}", args.command[0]);
    ::execvp(args.command[0], args.command);
    sys::exec_failed(args.command[0]);  // execvp returns only if it failed.
  });
  map_ids(child.pid());
  gate.open();

  return child.wait();
} catch (const std::exception& error) {
  return sys::report(error);
}
