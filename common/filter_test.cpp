// The filter of 08, read as the kernel reads it, for the machine that this is
// compiled for: so the other one's can be tried under an emulator, too. That
// the kernel takes it, and keeps to it, is what the probe of 08 shows.

// What it lists is nobody else's, and no header has it.
// NOLINTNEXTLINE(bugprone-suspicious-include)
#include "steps/08-all/seccomp.cpp"

#include <doctest/doctest.h>
#include <elf.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace {

constexpr unsigned kErrno = SECCOMP_RET_ERRNO;
constexpr long kHighBit = 1L << 32;

// What the filter answers to a call, by the rules of classic BPF: see bpf(4) of
// BSD. It has no loops, and ends.
unsigned verdict(long call, long first = 0, long second = 0,
                 unsigned architecture = kArchitecture) {
  static const Program program = make_filter();
  const seccomp_data data{.nr = static_cast<int>(call),
                          .arch = architecture,
                          .instruction_pointer = 0,
                          .args = {static_cast<__u64>(first),
                                   static_cast<__u64>(second), 0, 0, 0, 0}};
  const auto* const bytes = reinterpret_cast<const char*>(&data);
  unsigned word = 0;
  for (std::size_t i = 0;; ++i) {
    const auto& step = program.at(i);
    const auto jump = [&](bool is_so) { i += is_so ? step.jt : step.jf; };
    switch (step.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        std::memcpy(&word, bytes + step.k, sizeof word);
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        jump(word == step.k);
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        jump(word >= step.k);
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        jump((word & step.k) != 0);
        break;
      case BPF_RET | BPF_K:
        return step.k;
      default:
        throw std::logic_error{"an instruction that no filter of ours has"};
    }
  }
}

// The number in the head of every program that says what machine it is for.
unsigned machine_of_this_program() {
  Elf64_Ehdr head{};
  std::ifstream{"/proc/self/exe", std::ios::binary}.read(
      reinterpret_cast<char*>(&head), sizeof head);
  return head.e_machine;
}

}  // namespace

TEST_SUITE_BEGIN("filter");

TEST_CASE("it is for this machine's calls; another's end the process") {
  CHECK(kArchitecture ==
        (machine_of_this_program() | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE));
  for (const unsigned other : {0U + AUDIT_ARCH_I386, AUDIT_ARCH_X86_64,
                               0U + AUDIT_ARCH_ARM, AUDIT_ARCH_AARCH64})
    if (other != kArchitecture)
      CHECK(verdict(SYS_read, 0, 0, other) == SECCOMP_RET_KILL_PROCESS);
}

TEST_CASE("what is on the list is allowed, whatever its number here is") {
  for (const int call : kAllowed) {
    CAPTURE(call);
    CHECK(verdict(call) == SECCOMP_RET_ALLOW);
  }
}

TEST_CASE("what is not on it is refused, and what is newer is not there") {
  for (const long call : {SYS_mount,
                          SYS_umount2,
                          SYS_pivot_root,
                          SYS_open_tree,
                          SYS_move_mount,
                          SYS_fsopen,
                          SYS_mount_setattr,
                          SYS_unshare,
                          SYS_setns,
                          SYS_bpf,
                          SYS_open_by_handle_at,
                          SYS_io_uring_setup,
                          SYS_userfaultfd,
                          SYS_perf_event_open,
                          SYS_keyctl,
                          SYS_add_key,
                          SYS_request_key,
                          SYS_kexec_load,
                          SYS_init_module,
                          SYS_finit_module,
                          SYS_delete_module,
                          SYS_fanotify_init,
                          SYS_kcmp,
                          SYS_reboot,
                          SYS_swapon,
                          SYS_syslog,
                          SYS_acct,
                          SYS_quotactl,
                          SYS_settimeofday,
                          SYS_clock_settime}) {
    CAPTURE(call);
    CHECK(verdict(call) == (kErrno | EPERM));
  }
  const int newest = *std::max_element(kAllowed.begin(), kAllowed.end());
  for (const long call : {newest + 1L, 100000L, 0x40000000L + SYS_read, -1L})
    CHECK(verdict(call) == (kErrno | ENOSYS));
}

TEST_CASE("a clone makes no namespace, and clone3 is not there") {
  CHECK(verdict(SYS_clone, SIGCHLD) == SECCOMP_RET_ALLOW);
  CHECK(verdict(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND) ==
        SECCOMP_RET_ALLOW);
  for (const int flag :
       {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER,
        CLONE_NEWPID, CLONE_NEWNET}) {
    CHECK(verdict(SYS_clone, flag | SIGCHLD) == (kErrno | EPERM));
    CHECK(verdict(SYS_clone, kHighBit | flag) == (kErrno | EPERM));
  }
  CHECK(verdict(SYS_clone3) == (kErrno | ENOSYS));
}

TEST_CASE("of sockets, terminals and personalities it looks at the kind") {
  for (const long call : {SYS_socket, SYS_socketpair}) {
    for (const int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK})
      CHECK(verdict(call, family) == SECCOMP_RET_ALLOW);
    for (const int family : {AF_VSOCK, AF_ALG, AF_BLUETOOTH})
      CHECK(verdict(call, family) == (kErrno | EAFNOSUPPORT));
  }
  CHECK(verdict(SYS_ioctl, 0, TCGETS) == SECCOMP_RET_ALLOW);
  CHECK(verdict(SYS_ioctl, 0, TIOCSTI) == (kErrno | EPERM));
  CHECK(verdict(SYS_ioctl, 0, kHighBit | TIOCLINUX) == (kErrno | EPERM));
  CHECK(verdict(SYS_personality, 0xffffffff) == SECCOMP_RET_ALLOW);
  CHECK(verdict(SYS_personality, READ_IMPLIES_EXEC) == (kErrno | EPERM));
}

TEST_SUITE_END();
