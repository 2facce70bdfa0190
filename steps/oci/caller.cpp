#include "steps/oci/caller.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "steps/oci/layers.hpp"

sys::Fd console_for(const Json& process, const Words& words) {
  if (!get(process, "/terminal", false)) return sys::Fd{};
  if (!words.has("--console-socket"))
    throw std::runtime_error{"for a terminal, there must be --console-socket"};
  return connect_console(words.value("--console-socket"));
}

void leave_session(const Json& process, const sys::Fd& console, bool is_first) {
  sys::check(::setsid(), "setsid(2): leave the session of the caller");
  if (console.get() != -1) take_terminal(process, console, is_first);
  // Only the owner of a pipe may reopen it by name, /dev/stdout say.
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    struct stat found {};
    if (::fstat(stream, &found) == 0 && S_ISFIFO(found.st_mode))
      (void)::fchown(stream, get<uid_t>(process, "/user/uid", 0),
                     static_cast<gid_t>(-1));
  }
}

void leave_descriptors(int one, int other) {
  int first = STDERR_FILENO + 1;
  for (const int kept : {std::min(one, other), std::max(one, other)}) {
    if (kept > first) (void)::syscall(SYS_close_range, first, kept - 1, 0);
    first = std::max(first, kept + 1);
  }
  sys::check(::syscall(SYS_close_range, first, ~0U, 0),
             "close_range(2) from {} on", first);
}

sys::Fd open_pid_file(const Words& words) {
  return words.has("--pid-file") ? open_file(words.value("--pid-file"),
                                             O_WRONLY | O_CREAT | O_TRUNC, 0644)
                                 : sys::Fd{};
}

void write_pid(const sys::Fd& file, pid_t pid) {
  if (file.get() == -1) return;
  const auto text = sys::format("{}", pid);
  sys::check(::write(file.get(), text.data(), text.size()),
             "write(2) {} to the file of --pid-file", pid);
}

// A process of the container can execute /proc/self/exe while that is us, and
// then write to our file: see CVE-2019-5736. So we run from a copy that nobody
// can change, and no process of the container can trace us or open what we have
// open: see CVE-2016-9962.
void run_from_a_copy(char** argv) {
  const sys::Fd own{::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};
  if (::fcntl(own.get(), F_GET_SEALS) > 0) {
    sys::check(::prctl(PR_SET_DUMPABLE, 0), "prctl(2) PR_SET_DUMPABLE 0");
    return;
  }
  const sys::Fd copy{
      sys::check(::memfd_create("oci", MFD_CLOEXEC | MFD_ALLOW_SEALING),
                 "memfd_create(2)")};
  while (::sendfile(copy.get(), own.get(), nullptr, 1 << 30) > 0) continue;
  sys::check(::fcntl(copy.get(), F_ADD_SEALS,
                     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL),
             "fcntl(2) F_ADD_SEALS");
  ::fexecve(copy.get(), argv, environ);
  throw sys::Error{errno, "fexecve(3) a copy of us"};
}
