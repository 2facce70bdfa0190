#include "common/diagnosis/command.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "common/fd.hpp"
#include "common/process.hpp"

namespace sys {

namespace {

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

// Its first line, and no more of it than that takes; "" if we may not read it.
// A FIFO would have us wait for a writer.
std::string first_line(const std::string& file) {
  const Fd opened{
      ::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
  std::array<char, 256> text{};
  const auto n = ::read(opened.get(), text.data(), text.size());
  const std::string_view all{text.data(), n > 0 ? std::size_t(n) : 0};
  return std::string{all.substr(0, all.find('\n'))};
}

// Why there is nothing to run, by what was said.
std::string hint_for_missing(const std::string& command,
                             const std::string& path) {
  if (!exists("/bin") && !exists("/usr/bin"))
    return "the rootfs has no /bin; make rootfs makes one that has";
  if (command.empty()) return "COMMAND is an empty word";
  if (command.starts_with('-')) return "options stand in front of ROOTFS";
  if (command.find(' ') != command.npos)
    return "each argument is a word of its own; or say sh -c '" + command + "'";
  if (path.empty() && command.find('/') == command.npos)
    return "PATH is empty, so COMMAND is found only by a path";
  return {};
}

}  // namespace

std::string find_along(std::string_view path, const std::string& command) {
  if (command.empty()) return {};
  if (command.find('/') != command.npos) return exists(command) ? command : "";
  while (!path.empty()) {
    const auto end = path.find(':');
    auto file = sys::format("{}/{}", path.substr(0, end), command);
    if (exists(file)) return file;
    path.remove_prefix(end == path.npos ? path.size() : end + 1);
  }
  return {};
}

std::string hint_for_exec(int errnum, const std::string& command,
                          const std::string& file, const std::string& path) {
  if (errnum == ENOENT && file.empty()) return hint_for_missing(command, path);
  const auto line = first_line(file);
  if (errnum == ENOENT)
    return line.starts_with("#!") && line.ends_with('\r')
               ? "its lines end in CR LF, as on Windows; sed -i 's/\\r$//' "
                 "mends the file"
               : "its interpreter or loader is not in the rootfs";
  if (errnum == ENOEXEC)
    return line.starts_with("\177ELF")
               ? "it was built for another kind of processor"
               : "it is no program, and no script that begins with #!";
  if (errnum != EACCES) return {};
  struct stat it {};
  const bool is_there = ::stat(file.c_str(), &it) == 0;
  if (is_there && S_ISDIR(it.st_mode)) return "it is a directory";
  if (is_there && !S_ISREG(it.st_mode)) return "it is no regular file";
  struct statvfs where {};
  if (::statvfs(file.empty() ? "/" : file.c_str(), &where) == 0 &&
      (where.f_flag & ST_NOEXEC) != 0)
    return "it is on a file system that is mounted noexec";
  if (is_there && (it.st_mode & 0111) == 0)
    return "chmod +x makes it executable";
  return is_there && ::access(file.c_str(), X_OK) == 0
             ? ""
             : "this user may not execute it, or enter a directory above it";
}

void exec_failed(const char* command, const char* path) {
  const int errnum = errno;
  if (path == nullptr) path = std::getenv("PATH");
  const std::string along = path == nullptr ? "/bin:/usr/bin" : path;
  const auto file = find_along(along, command);
  throw Error{errnum, sys::format("execve(2) {}", command),
              hint_for_exec(errnum, command, file, along),
              errnum == ENOENT ? kNotFound : kNotExecutable};
}

}  // namespace sys
