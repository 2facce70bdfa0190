#include "steps/05-mountns/binds.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace sys {

namespace {

bool is_link(const std::string& path) {
  struct stat it {};
  return ::lstat(path.c_str(), &it) == 0 && S_ISLNK(it.st_mode);
}

// Why there is nothing to bind.
std::string hint_for_source(const std::string& source) {
  if (source.find("/~") != source.npos)
    return "a shell knows ~ only at the start of a word, say $HOME";
  return is_link(source) ? "it is a link to what is not there"
                         : "SRC is a path of the host, DST of the container";
}

// In the container's root, with its links, but not those of /proc/PID/fd, which
// lead to wherever the file was opened: see openat2(2).
Fd open_inside(const std::string& path, const char* hint) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_NO_MAGICLINKS;
  const auto file =
      ::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how);
  if (file == -1)
    throw Error{errno, "openat2(2) " + path + ": find it in the rootfs",
                errno == ENOENT ? hint : ""};
  return Fd{static_cast<int>(file)};
}

}  // namespace

std::vector<Fd> copy_binds(const std::vector<Bind>& binds) {
  std::vector<Fd> copies;
  for (const auto& bind : binds) {
    // (Of one that is too long this says nothing.)
    if (::access(bind.source.c_str(), F_OK) == -1 && errno != ENAMETOOLONG)
      throw Error{errno,
                  sys::format("access(2) {}: find it for --bind", bind.source),
                  hint_for_source(bind.source)};
    copies.push_back(copy_mount(bind.source));
    mount_attr wanted{};
    wanted.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                      (bind.read_only ? MOUNT_ATTR_RDONLY : 0U);
    wanted.propagation = MS_PRIVATE;  // What comes later has no such flags.
    check(::syscall(SYS_mount_setattr, copies.back().get(), "",
                    AT_EMPTY_PATH | AT_RECURSIVE, &wanted, sizeof wanted),
          "mount_setattr(2) on the copy of {}: private, nosuid, nodev{}",
          bind.source, bind.read_only ? ", read-only" : "");
  }
  return copies;
}

void place_binds(const std::vector<Bind>& binds,
                 const std::vector<Fd>& copies) {
  for (std::size_t i = 0; i < binds.size(); ++i) {
    const auto& bind = binds[i];
    struct stat source {};
    check(::fstat(copies[i].get(), &source), "fstat(2) {}", bind.source);
    const auto slash = bind.target.find_last_not_of('/');
    const auto path = bind.target.substr(0, slash + 1);
    const auto name = path.substr(path.rfind('/') + 1);
    const auto parent = open_inside(path.substr(0, path.rfind('/') + 1),
                                    "make that directory first");
    // It may be there already: then the mount covers it, or says what is wrong.
    if (S_ISDIR(source.st_mode))
      (void)::mkdirat(parent.get(), name.c_str(), 0755);
    else
      Fd{::openat(parent.get(), name.c_str(), O_CREAT | O_EXCL | O_CLOEXEC,
                  0600)};
    const char* const link_hint =
        "there it is a link to elsewhere; rm it from the rootfs first";
    const auto target = open_inside(
        path, is_link(path) ? link_hint : "the rootfs is not ours to change");
    struct stat place {};
    check(::fstat(target.get(), &place), "fstat(2) {}", bind.target);
    const auto doing =
        sys::format("move_mount(2) {} to {}", bind.source, bind.target);
    // A resolv.conf that is a link to /dev/null would take that away.
    if (is_link(path) && S_ISCHR(place.st_mode) && !S_ISCHR(source.st_mode))
      throw Error{EINVAL, doing, link_hint};
    if (S_ISDIR(source.st_mode) != S_ISDIR(place.st_mode))
      throw Error{S_ISDIR(place.st_mode) ? EISDIR : ENOTDIR, doing,
                  "a directory goes on a directory, a file on a file"};
    check(::syscall(SYS_move_mount, copies[i].get(), "", target.get(), "",
                    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH),
          "move_mount(2) {} to {}", bind.source, bind.target);
  }
}

}  // namespace sys
