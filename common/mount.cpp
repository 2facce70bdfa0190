#include "common/mount.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace sys {

namespace {

// glibc wraps these since 2.36, musl not at all.
int mount_setattr(int directory, const char* path, unsigned flags,
                  std::uint64_t attributes) {
  mount_attr wanted{};
  wanted.attr_set = attributes;
  return static_cast<int>(::syscall(SYS_mount_setattr, directory, path, flags,
                                    &wanted, sizeof wanted));
}

std::string shown(const std::string& path) {
  return path.starts_with('/') ? path : "/" + path;
}

}  // namespace

void mount(const char* source, const std::string& target, const char* type,
           unsigned long flags, const char* data) {
  if (type != nullptr)
    check(::mount(source, target.c_str(), type, flags, data), "mount {} on {}",
          type, shown(target));
  else if ((flags & MS_BIND) != 0)
    check(::mount(source, target.c_str(), type, flags, data), "bind {} on {}",
          source, shown(target));
  else
    check(::mount(source, target.c_str(), type, flags, data),
          "change the mount {} (flags {:#x})", shown(target), flags);
}

void bind_file(const std::string& source, const std::string& target) {
  const Fd file{::open(target.c_str(), O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (file.get() == -1) throw Error{errno, "make the file " + shown(target)};
  mount(source.c_str(), target, nullptr, MS_BIND, nullptr);
}

void make_directory(const std::string& path) {
  check(::mkdir(path.c_str(), 0755), "make the directory {}", shown(path));
}

void set_mount_attributes(const std::string& path, std::uint64_t attributes) {
  check(mount_setattr(AT_FDCWD, path.c_str(), 0, attributes),
        "set the attributes {:#x} of the mount {}", attributes, path);
}

Fd copy_mount(const std::string& path) {
  return Fd{static_cast<int>(
      check(::syscall(SYS_open_tree, AT_FDCWD, path.c_str(),
                      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE),
            "copy the mount {}", path))};
}

void place_mount(const Fd& copy, const std::string& target) {
  check(::syscall(SYS_move_mount, copy.get(), "", AT_FDCWD, target.c_str(),
                  MOVE_MOUNT_F_EMPTY_PATH),
        "put a copied mount on {}", target);
}

std::vector<Fd> copy_binds(const std::vector<Bind>& binds) {
  std::vector<Fd> copies;
  for (const auto& bind : binds) {
    copies.push_back(copy_mount(bind.source));
    const std::uint64_t read_only = bind.read_only ? MOUNT_ATTR_RDONLY : 0;
    check(mount_setattr(copies.back().get(), "", AT_EMPTY_PATH | AT_RECURSIVE,
                        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | read_only),
          "make the copy of {} nosuid, nodev{}", bind.source,
          bind.read_only ? ", read-only" : "");
  }
  return copies;
}

void place_binds(const std::vector<Bind>& binds,
                 const std::vector<Fd>& copies) {
  for (std::size_t i = 0; i < binds.size(); ++i) {
    const char* const target = binds[i].target.c_str();
    struct stat source {};
    check(::fstat(copies[i].get(), &source), "look at {}", binds[i].source);
    // It may be there already: then place_mount covers it, or says what is
    // wrong with it.
    if (S_ISDIR(source.st_mode))
      (void)::mkdir(target, 0755);
    else
      Fd{::open(target, O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    place_mount(copies[i], target);
  }
}

}  // namespace sys
