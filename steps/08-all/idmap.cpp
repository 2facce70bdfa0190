// The files of an image belong to root of the host, or to the user who built
// it. In a user namespace they belong to uid 65534, and an overlay cannot copy
// them up. An id-mapped mount shows them with other ids and does not change
// them.

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "common/file.hpp"
#include "common/mount.hpp"
#include "common/process.hpp"
#include "steps/08-all/layers.hpp"

namespace {

sys::Fd user_namespace_of(pid_t pid) {
  const auto path = sys::format("/proc/{}/ns/user", pid);
  return sys::Fd{sys::check(::open(path.c_str(), O_RDONLY | O_CLOEXEC),
                            "open(2) {}", path)};
}

struct Owner {
  uid_t user = 0;
  gid_t group = 0;
};

// The owner of the image, which is our working directory. It is the owner of
// the directory. But if root owns most files in it, root has built the image in
// a directory of another user.
Owner owner_of_image() {
  int all = 0;
  int of_root = 0;
  struct stat file {};
  std::error_code error;
  const std::filesystem::directory_iterator end;
  for (std::filesystem::directory_iterator entry{".", error};
       !error && entry != end; entry.increment(error)) {
    sys::check(::lstat(entry->path().c_str(), &file), "lstat(2) {}",
               entry->path().string());
    ++all;
    if (file.st_uid == 0) ++of_root;
  }
  if (error) throw sys::Error{error.value(), "readdir(3) the image"};
  if (2 * of_root > all) return {};
  sys::check(::stat(".", &file), "stat(2) the image");
  return {file.st_uid, file.st_gid};
}

// The lines of a map in which `owner` and 0 change places; all other ids stay
// as they are. An owner above the container's ids leaves to 0 the last of them.
std::string swap_with_root(unsigned owner) {
  constexpr unsigned kFirst = 100000;
  constexpr unsigned kLast = 65535;
  const unsigned place = std::min(owner, kLast);
  auto lines = sys::format("{} {} 1\n", owner, kFirst);
  const auto add = [&](unsigned first, unsigned end) {
    if (first < end)
      lines += sys::format("{} {} {}\n", first, kFirst + first, end - first);
  };
  if (owner != 0) lines += sys::format("0 {} 1\n", kFirst + place);
  add(1, place);
  add(place + 1, kLast + 1);
  return lines;
}

// Before Linux 5.19, OverlayFS refuses an image that is an id-mapped mount.
bool overlay_takes_map() {
  utsname kernel{};
  sys::check(::uname(&kernel), "uname(2)");
  unsigned major = 0;
  unsigned minor = 0;
  (void)std::sscanf(kernel.release, "%u.%u", &major, &minor);
  return major > 5 || (major == 5 && minor >= 19);
}

// A mount takes its map from a user namespace. Where the image is the host
// root's, the container's own will do. Where it is user 1000's, it takes one
// that sends 1000 to the container's root, and a child to hold it a moment.
sys::Fd make_map(const Owner& owner) {
  sys::Gate<> held;
  const sys::Child holder = sys::clone(CLONE_NEWUSER, [&] { held.wait(); });
  const auto proc = sys::format("/proc/{}", holder.pid());
  sys::write_file(proc + "/uid_map", swap_with_root(owner.user));
  sys::write_file(proc + "/gid_map", swap_with_root(owner.group));
  return user_namespace_of(holder.pid());
}

}  // namespace

sys::Fd copy_image() {
  return ::geteuid() == 0 ? sys::copy_mount(".") : sys::Fd{};
}

bool map_image(const sys::Fd& image, pid_t child) {
  if (image.get() == -1) return false;
  if (!overlay_takes_map()) {
    sys::narrate(
        "uname(2): before Linux 5.19, OverlayFS accepts no map of ids");
    return false;
  }
  const auto owner = owner_of_image();
  const sys::Fd map = owner.user == 0 && owner.group == 0
                          ? user_namespace_of(child)
                          : make_map(owner);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<__u64>(map.get());
  if (::syscall(SYS_mount_setattr, image.get(), "", AT_EMPTY_PATH, &attributes,
                sizeof attributes) == -1) {
    sys::narrate(
        "mount_setattr(2): this file system accepts no map of ids ({})",
        sys::errno_name(errno));
    return false;
  }
  sys::narrate(
      "mount_setattr(2) MOUNT_ATTR_IDMAP: the image's owner {} is the "
      "container's root",
      owner.user);
  return true;
}

void enter_image(const sys::Fd& image) {
  sys::place_mount(image, "/tmp");
  sys::check(::chdir("/tmp"), "chdir(2) to the mapped image");
}
