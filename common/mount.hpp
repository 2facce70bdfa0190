// Mounts: mount(2) with its errors told, and mounts that are in no table yet.

#pragma once

#include <sys/mount.h>  // MS_*, MOUNT_ATTR_*
#ifndef MOUNT_ATTR_RDONLY
#include <linux/mount.h>  // The C library has had them only since glibc 2.36.
#endif

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/fd.hpp"

namespace sys {

/// A directory or file of the host, and the place it is to have inside.
struct Bind {
  std::string source;
  std::string target;  ///< Absolute, never "/", without "..".
  bool read_only = false;
};

/// mount(2) with the same arguments, checked and narrated. Throws Error.
void mount(const char* source, const std::string& target, const char* type,
           unsigned long flags, const char* data);

/// Makes an empty file as a mount point and binds `source` on it, with
/// MS_BIND: see mount(2). Throws Error.
void bind_file(const std::string& source, const std::string& target);

/// mkdir(2) with mode 0755, checked and narrated. Throws Error.
void make_directory(const std::string& path);

/// The same, but false if there is something of that name already.
bool make_new_directory(const std::string& path);

/// Adds MOUNT_ATTR_* to one mount, by path: mount_setattr(2). Throws Error.
void set_mount_attributes(const std::string& path, std::uint64_t attributes);

/// A copy of the mount at `path`, with AT_RECURSIVE also of those below it, in
/// no mount table: open_tree(2) with OPEN_TREE_CLONE. Throws Error.
Fd copy_mount(const std::string& path, unsigned flags = AT_RECURSIVE);

/// Puts a copied mount in place: move_mount(2). Throws Error.
void place_mount(const Fd& copy, const std::string& target);

/// A mount of a mount table: see proc_pid_mountinfo(5).
struct MountLine {
  std::string id, root, point, options, type, super_options;
};

/// The mounts of a /proc/PID/mountinfo. A line that is none is left out.
std::vector<MountLine> parse_mountinfo(std::string_view text);

}  // namespace sys
