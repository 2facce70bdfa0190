#include "common/mount.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <unistd.h>
#include <algorithm>
#include <climits>

namespace sys {

namespace {

// glibc wraps these since 2.36, musl not at all.
int mount_setattr(int directory, const char* path, unsigned flags,
                  const mount_attr& wanted) {
  return static_cast<int>(::syscall(SYS_mount_setattr, directory, path, flags,
                                    &wanted, sizeof wanted));
}

std::string shown(const std::string& path) {
  return path.starts_with('/') ? path : "/" + path;
}

// A path as a line of mountinfo has it, which tells a blank by "\040".
std::string unescaped(std::string_view word) {
  std::string path;
  for (; !word.empty(); word.remove_prefix(1)) {
    path += word.front();
    if (word.front() != '\\' || word.size() < 4) continue;
    path.back() = static_cast<char>((word[1] - '0') * 64 + (word[2] - '0') * 8 +
                                    (word[3] - '0'));
    word.remove_prefix(3);
  }
  return path;
}

}  // namespace

void mount(const char* source, const std::string& target, const char* type,
           unsigned long flags, const char* data) {
  auto what = type != nullptr ? std::string{type}
                              : flag_names(flags, {{MS_REMOUNT, "MS_REMOUNT"},
                                                   {MS_BIND, "MS_BIND"},
                                                   {MS_REC, "MS_REC"},
                                                   {MS_PRIVATE, "MS_PRIVATE"},
                                                   {MS_SLAVE, "MS_SLAVE"},
                                                   {MS_RDONLY, "MS_RDONLY"}});
  if (type == nullptr && source != nullptr) what += sys::format(" {}", source);
  check(::mount(source, target.c_str(), type, flags, data), "mount(2) {} on {}",
        what, shown(target));
}

void bind_file(const std::string& source, const std::string& target) {
  const Fd file{::open(target.c_str(), O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (file.get() == -1) throw Error{errno, "open(2) O_CREAT " + shown(target)};
  mount(source.c_str(), target, nullptr, MS_BIND, nullptr);
}

void make_directory(const std::string& path) {
  check(::mkdir(path.c_str(), 0755), "mkdir(2) {}", shown(path));
}

bool make_new_directory(const std::string& path) {
  const int made = ::mkdir(path.c_str(), 0755);
  if (made == -1 && errno == EEXIST) return false;
  check(made, "mkdir(2) {}", shown(path));
  return true;
}

void set_mount_attributes(const std::string& path, std::uint64_t attributes) {
  mount_attr wanted{};
  wanted.attr_set = attributes;
  check(mount_setattr(AT_FDCWD, path.c_str(), 0, wanted),
        "mount_setattr(2) {} on {}",
        attributes == MOUNT_ATTR_RDONLY ? "MOUNT_ATTR_RDONLY"
                                        : sys::format("{:#x}", attributes),
        path);
}

Fd copy_mount(const std::string& path, unsigned flags) {
  // A system call takes no path of PATH_MAX bytes or more, and that of our
  // working directory might be longer: then open the first part of it.
  Fd start;
  std::string rest = path;
  while (rest.size() >= PATH_MAX) {
    const auto slash = std::min(rest.rfind('/', PATH_MAX - 1), rest.size());
    start.reset(check(
        ::openat(start.get() == -1 ? AT_FDCWD : start.get(),
                 (rest.substr(0, slash) + "/").c_str(), O_PATH | O_CLOEXEC),
        "openat(2) the first part of {}", path));
    rest.erase(0, slash + 1);
  }
  return Fd{static_cast<int>(check(
      ::syscall(SYS_open_tree, start.get() == -1 ? AT_FDCWD : start.get(),
                rest.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags),
      "open_tree(2) {}: copy the mount", path))};
}

void place_mount(const Fd& copy, const std::string& target) {
  check(::syscall(SYS_move_mount, copy.get(), "", AT_FDCWD, target.c_str(),
                  MOVE_MOUNT_F_EMPTY_PATH),
        "move_mount(2) the copy to {}", target);
}

std::vector<MountLine> parse_mountinfo(std::string_view text) {
  std::vector<MountLine> mounts;
  for (const auto line : split(text, '\n')) {
    const auto words = split(line, ' ');
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (dash - words.begin() < 6 || words.end() - dash < 4) continue;
    mounts.push_back({std::string{words[0]}, unescaped(words[3]),
                      unescaped(words[4]), std::string{words[5]},
                      std::string{dash[1]}, std::string{dash[3]}});
  }
  return mounts;
}

}  // namespace sys
