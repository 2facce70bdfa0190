// The attack that step 01 stops. It finds a file of the host by its name.
//
// The kernel looks up a path that begins with / from the root directory of the
// process. From another root directory, the same path leads to another file or
// to none.

#include <dirent.h>

#include "steps/probe.hpp"

namespace {

// The names show whose root directory this is.
std::string names_in_root() {
  std::string names;
  DIR* const root = ::opendir("/");
  if (root == nullptr) return probe::errno_name();
  while (const dirent* const entry = ::readdir(root))
    if (entry->d_name[0] != '.') names += std::string{" "} + entry->d_name;
  ::closedir(root);
  return names;
}

probe::Answer path(const std::string& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd != -1) return probe::done("open it: " + probe::first_line(fd));
  if (errno != ENOENT) return probe::refused("open it");
  return probe::done("open it: ENOENT; this / holds" + names_in_root());
}

}  // namespace

int main(int argc, char** argv) {
  return probe::run(argc, argv, {{"path", path}});
}
