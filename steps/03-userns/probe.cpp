// The attacks that step 03 stops. They need the rights of the host's root.
//
// After chroot(2) and in a new PID namespace, root still has these rights. It
// can make a device node and read the disk. It can make files that belong to
// the host's root, for example a set-user-ID program. And it can change
// settings of the kernel. In a new user namespace, root has rights only over
// what this namespace owns.

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "steps/probe.hpp"

namespace {

// `number` is "MAJOR:MINOR", as in /sys/dev/block.
probe::Answer mknod(const std::string& number) {
  const auto colon = number.find(':');
  const auto device =
      makedev(static_cast<unsigned>(std::stoul(number.substr(0, colon))),
              static_cast<unsigned>(std::stoul(number.substr(colon + 1))));
  const auto what = "make a node for disk " + number;
  const char* const node = "/tmp/disk";
  if (::mknod(node, S_IFBLK | 0600, device) == -1) return probe::refused(what);
  const int fd = ::open(node, O_RDONLY | O_CLOEXEC);
  auto answer = fd == -1 ? probe::refused(what + ", open it")
                         : probe::done(what + ": " + probe::first_line(fd));
  (void)::unlink(node);
  return answer;
}

probe::Answer owner(const std::string& name) {
  const auto what = "make the file /tmp/" + name;
  const int fd = ::open(("/tmp/" + name).c_str(), O_CREAT | O_EXCL, 0644);
  if (fd == -1) return probe::refused(what);
  struct stat facts {};
  if (::fstat(fd, &facts) == -1) return probe::refused("look at it");
  return probe::done(what + ": in here it belongs to user " +
                     std::to_string(facts.st_uid));
}

probe::Answer setting(const std::string& value) {
  if (!probe::has_proc()) return probe::refused("mount /proc");
  const std::string file = "/proc/sys/kernel/msgmax";
  const int fd = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd == -1) return probe::refused("open " + file);
  if (::write(fd, value.data(), value.size()) == -1)
    return probe::refused("write " + file);
  return probe::done("write " + value + " to " + file);
}

}  // namespace

int main(int argc, char** argv) {
  return probe::run(argc, argv,
                    {{"mknod", mknod}, {"owner", owner}, {"setting", setting}});
}
