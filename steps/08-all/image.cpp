// An image's files belong to the host's root, or to whoever built it: in a user
// namespace they are nobody's, and may not even be copied up by an overlay. An
// id-mapped mount shows them under other ids and leaves them as they are.

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <optional>

#include "common/file.hpp"
#include "common/mount.hpp"
#include "common/process.hpp"
#include "steps/08-all/layers.hpp"

namespace {

sys::Fd user_namespace_of(pid_t pid) {
  const auto path = sys::format("/proc/{}/ns/user", pid);
  return sys::Fd{
      sys::check(::open(path.c_str(), O_RDONLY | O_CLOEXEC), "open {}", path)};
}

// A mount takes its map from a user namespace. Where the image is the host
// root's, the container's own will do. Where it is user 1000's, it takes one
// that sends 1000 to the container's root, and a child to hold it a moment.
sys::Fd make_map(uid_t owner, gid_t group) {
  sys::Gate<> held;
  const sys::Child holder = sys::clone(CLONE_NEWUSER, [&] { held.wait(); });
  const auto proc = sys::format("/proc/{}", holder.pid());
  sys::write_file(proc + "/uid_map", sys::format("{} 100000 1", owner));
  sys::write_file(proc + "/gid_map", sys::format("{} 100000 1", group));
  return user_namespace_of(holder.pid());
}

}  // namespace

sys::Fd copy_image() {
  return ::geteuid() == 0 ? sys::copy_mount(".") : sys::Fd{};
}

bool map_image(const sys::Fd& image, pid_t child) {
  if (image.get() == -1) return false;
  struct stat root {};
  sys::check(::fstat(image.get(), &root), "look at the image");
  const sys::Fd map = root.st_uid == 0 ? user_namespace_of(child)
                                       : make_map(root.st_uid, root.st_gid);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<__u64>(map.get());
  if (::syscall(SYS_mount_setattr, image.get(), "", AT_EMPTY_PATH, &attributes,
                sizeof attributes) == -1) {
    sys::narrate("this file system takes no map of ids ({}): image as it is",
                 sys::errno_name(errno));
    return false;
  }
  sys::narrate("map the image's owner {} to the container's root", root.st_uid);
  return true;
}

void enter_image(const sys::Fd& image) {
  sys::place_mount(image, "/tmp");
  sys::check(::chdir("/tmp"), "enter the mapped image");
}
