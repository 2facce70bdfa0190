// Tries the system calls by which containers have been left or hosts attacked,
// and prints what the kernel answered: "ok", an errno, or the signal that came
// for it. The arguments are such that without a filter most would succeed, or
// fail with another errno than a filter gives.

#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <linux/userfaultfd.h>
#include <linux/vm_sockets.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>

namespace {

constexpr unsigned long long kHighBit = 1ULL << 32;  // Past what is compared.

long make_namespace_by_clone3() {
  clone_args args{};
  args.flags = CLONE_NEWUSER;
  args.exit_signal = SIGCHLD;
  return ::syscall(SYS_clone3, &args, sizeof args);
}

long make_io_ring() {
  io_uring_params parameters{};
  return ::syscall(SYS_io_uring_setup, 1, &parameters);
}

long use_32_bit_entry() {
#ifdef __x86_64__
  long result = 20;  // getpid, as 32-bit programs number it.
  asm volatile("int $0x80"
               : "+a"(result)
               :
               : "memory", "r8", "r9", "r10", "r11");
  if (result >= 0) return result;
  errno = static_cast<int>(-result);
  return -1;
#else
  errno = ENOSYS;  // This machine has none.
  return -1;
#endif
}

struct Attempt {
  const char* name;
  long (*make)();
};

// clang-format off
const auto kAttempts = std::to_array<Attempt>({
    // A user namespace of its own would give back all capabilities.
    {"unshare", [] { return long{::unshare(CLONE_NEWUSER)}; }},
    {"clone", [] { return ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); }},
    {"clone high", [] { return ::syscall(SYS_clone, kHighBit | CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); }},
    {"clone3", make_namespace_by_clone3},
    {"setns", [] { return long{::setns(-1, 0)}; }},
    // Mounts, old calls and new.
    {"mount", [] { return long{::mount("none", "/tmp", "tmpfs", 0, nullptr)}; }},
    {"umount2", [] { return long{::umount2("/no/such", 0)}; }},
    {"pivot_root", [] { return ::syscall(SYS_pivot_root, "/no", "/no"); }},
    {"open_tree", [] { return ::syscall(SYS_open_tree, -100, "/", 0); }},
    {"move_mount", [] { return ::syscall(SYS_move_mount, -1, "", -1, "", 0); }},
    {"fsopen", [] { return ::syscall(SYS_fsopen, "tmpfs", 0); }},
    {"mount_setattr", [] { return ::syscall(SYS_mount_setattr, -1, "", 0, nullptr, 0); }},
    // The way out of the first Docker: a file of the host's by its number.
    {"open_by_handle_at", [] { return ::syscall(SYS_open_by_handle_at, -1, nullptr, 0); }},
    // Corners of the kernel that have had many bugs.
    {"bpf", [] { return ::syscall(SYS_bpf, BPF_MAP_CREATE, nullptr, 0); }},
    {"io_uring_setup", make_io_ring},
    {"userfaultfd", [] { return ::syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY); }},
    {"perf_event_open", [] { return ::syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0); }},
    {"keyctl", [] { return ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1); }},
    {"add_key", [] { return ::syscall(SYS_add_key, "user", "box", "x", 1, KEY_SPEC_PROCESS_KEYRING); }},
    {"kexec_load", [] { return ::syscall(SYS_kexec_load, 0, 0, nullptr, ~0UL); }},
    {"init_module", [] { return ::syscall(SYS_init_module, nullptr, 0, nullptr); }},
    {"fanotify_init", [] { return ::syscall(SYS_fanotify_init, ~0U, 0); }},
    {"kcmp", [] { return ::syscall(SYS_kcmp, ::getpid(), ::getpid(), 99, 0, 0); }},
    {"personality", [] { return long{::personality(ADDR_COMPAT_LAYOUT)}; }},
    // Sockets that know no network namespace, or are crypto's back door.
    {"AF_VSOCK", [] { return long{::socket(AF_VSOCK, SOCK_STREAM, 0)}; }},
    {"AF_ALG", [] { return long{::socket(AF_ALG, SOCK_SEQPACKET, 0)}; }},
    // Keys pushed into a terminal that others read from.
    {"TIOCSTI", [] { return ::syscall(SYS_ioctl, 0, TIOCSTI, "x"); }},
    {"TIOCSTI high", [] { return ::syscall(SYS_ioctl, 0, kHighBit | TIOCSTI, "x"); }},
    {"TIOCLINUX", [] { return ::syscall(SYS_ioctl, 0, TIOCLINUX, "\2"); }},
    // Calls under other numbers, which a list of numbers would miss.
    {"x32", [] { return ::syscall(0x40000000 + SYS_getpid); }},
    {"int 0x80", use_32_bit_entry},
    // PID 1 runs a program of the host's.
    {"ptrace 1", [] { return ::ptrace(PTRACE_SEIZE, 1, nullptr, nullptr); }},
});
// clang-format on

// Those of a filter have names here; others are for the man pages.
void print_errno(const char* name, int errnum) {
  switch (errnum) {
    case 0:
      std::printf("%s: ok\n", name);
      break;
    case EPERM:
      std::printf("%s: EPERM\n", name);
      break;
    case ENOSYS:
      std::printf("%s: ENOSYS\n", name);
      break;
    case EAFNOSUPPORT:
      std::printf("%s: EAFNOSUPPORT\n", name);
      break;
    default:
      std::printf("%s: errno %d\n", name, errnum);
  }
}

// In a child, for some change the process, and one gets it killed.
void make(const Attempt& attempt) {
  const pid_t child = ::fork();
  if (child == 0) {
    const long result = attempt.make();
    ::_exit(result == -1 ? errno : 0);
  }
  int status = 0;
  if (child == -1 || ::waitpid(child, &status, 0) == -1)
    std::printf("%s: not tried\n", attempt.name);
  else if (!WIFSIGNALED(status))
    print_errno(attempt.name, WEXITSTATUS(status));
  else if (WTERMSIG(status) == SIGSYS)
    std::printf("%s: SIGSYS\n", attempt.name);
  else
    std::printf("%s: signal %d\n", attempt.name, WTERMSIG(status));
}

}  // namespace

int main() {
  std::setvbuf(stdout, nullptr, _IONBF, 0);  // No child flushes it once more.
  for (const auto& attempt : kAttempts) make(attempt);
}
