// The filter of 08, read as the kernel reads it, for the machine that this is
// compiled for: so the other one's can be tried under an emulator, too. That
// the kernel takes it, and keeps to it, is what the probe of 08 shows.

// What it lists is nobody else's, and no header has it.
// NOLINTNEXTLINE(bugprone-suspicious-include)
#include "steps/08-all/seccomp.cpp"

#include <elf.h>

#include <array>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>

#include "steps/tests/host.hpp"

namespace {

constexpr unsigned kErrno = SECCOMP_RET_ERRNO;
constexpr long kHighBit = 1L << 32;

// What a filter answers to a call, by the rules of classic BPF: see bpf(4) of
// BSD. It has no loops, and ends.
unsigned verdict_of(const Program& program, const seccomp_data& data) {
  std::array<char, sizeof data> bytes{};
  std::memcpy(bytes.data(), &data, sizeof data);
  unsigned word = 0;
  for (std::size_t i = 0;; ++i) {
    const auto& step = program.at(i);
    const auto jump = [&](bool is_so) { i += is_so ? step.jt : step.jf; };
    switch (step.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        std::memcpy(&word, &bytes.at(step.k), sizeof word);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        word &= step.k;
        break;
      case BPF_JMP | BPF_JA:
        i += step.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        jump(word == step.k);
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        jump(word >= step.k);
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        jump(word > step.k);
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

struct Four {
  long first = 0, second = 0, third = 0, fourth = 0;
};

// What ours answers.
unsigned verdict(long call, const Four& arguments = {},
                 unsigned architecture = kArchitecture) {
  static const Program program = make_filter();
  return verdict_of(program,
                    {.nr = static_cast<int>(call),
                     .arch = architecture,
                     .instruction_pointer = 0,
                     .args = {static_cast<__u64>(arguments.first),
                              static_cast<__u64>(arguments.second),
                              static_cast<__u64>(arguments.third),
                              static_cast<__u64>(arguments.fourth), 0, 0}});
}

// The calls that are named on our list, whatever machine they are for.
std::set<std::string> our_names() {
  const auto text = host::contents("steps/08-all/seccomp.cpp");
  const auto begin = text.find("kAllowed = ");
  const std::string list =
      text.substr(begin, text.find("\n});", begin) - begin);
  static const std::regex word{"SYS_([a-z0-9_]+)"};
  std::set<std::string> names;
  for (std::sregex_iterator name{list.begin(), list.end(), word}, end;
       name != end; ++name)
    names.insert((*name)[1]);
  return names;
}

// What the comment at its head does not hold.
std::set<std::string> dockers_names() {
  std::set<std::string> names;
  for (const auto& line :
       host::lines(host::contents("steps/08-all/docker_calls.txt"))) {
    std::istringstream words{line.starts_with("#") ? "" : line};
    names.insert(std::istream_iterator<std::string>{words}, {});
  }
  return names;
}

// Where our list differs from Docker's, and why.
struct Difference {
  const char* name;
  const char* reason;
};
constexpr std::array kOnlyDocker{
    Difference{"io_setup", "its requests are few, for all users together"},
    Difference{"ioctl", "a rule of ours looks at its second argument"},
    Difference{"setxattr", "a rule of ours looks at the size of the value"},
    Difference{"lsetxattr", "the same rule"},
    Difference{"fsetxattr", "the same rule"},
    Difference{"setxattrat", "it has the size in memory"},
    Difference{"setsockopt",
               "a rule of ours refuses some options of IPv6 and TCP"},
    Difference{"socketpair", "a rule of ours, that of socket(2)"}};
constexpr std::array<Difference, 0> kOnlyOurs{};

// The number in the head of every program that says what machine it is for.
unsigned machine_of_this_program() {
  std::array<char, sizeof(Elf64_Ehdr)> bytes{};
  std::ifstream{"/proc/self/exe", std::ios::binary}.read(bytes.data(),
                                                         bytes.size());
  Elf64_Ehdr head{};
  std::memcpy(&head, bytes.data(), sizeof head);
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
      CHECK(verdict(SYS_read, {}, other) == SECCOMP_RET_KILL_PROCESS);
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
  CHECK(verdict(SYS_clone, {SIGCHLD}) == SECCOMP_RET_ALLOW);
  CHECK(verdict(SYS_clone, {CLONE_VM | CLONE_THREAD | CLONE_SIGHAND}) ==
        SECCOMP_RET_ALLOW);
  for (const int flag :
       {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER,
        CLONE_NEWPID, CLONE_NEWNET}) {
    CHECK(verdict(SYS_clone, {flag | SIGCHLD}) == (kErrno | EPERM));
    CHECK(verdict(SYS_clone, {kHighBit | flag}) == (kErrno | EPERM));
  }
  CHECK(verdict(SYS_clone3) == (kErrno | ENOSYS));
}

TEST_CASE(
    "of sockets it allows what is in common use, by all three arguments") {
  constexpr unsigned kAllow = SECCOMP_RET_ALLOW;
  constexpr int kTcp = SOCK_STREAM;
  constexpr int kUdp = SOCK_DGRAM;
  for (const long call : {SYS_socket, SYS_socketpair}) {
    CAPTURE(call);
    for (const int flags :
         {0, 0 + SOCK_CLOEXEC, SOCK_CLOEXEC | SOCK_NONBLOCK}) {
      for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET})
        CHECK(verdict(call, {AF_UNIX, type | flags, 0}) == kAllow);
      for (const int type : {SOCK_RAW, SOCK_DGRAM})
        CHECK(verdict(call, {AF_NETLINK, type | flags, NETLINK_ROUTE}) ==
              kAllow);
      for (const int family : {AF_INET, AF_INET6}) {
        for (const int protocol : {0, 0 + IPPROTO_TCP})
          CHECK(verdict(call, {family, kTcp | flags, protocol}) == kAllow);
        for (const int protocol :
             {0, 0 + IPPROTO_UDP, 0 + IPPROTO_ICMP, 0 + IPPROTO_ICMPV6})
          CHECK(verdict(call, {family, kUdp | flags, protocol}) == kAllow);
      }
    }
  }
}

namespace {

// Whether no flag, and nothing in the upper halves, makes a difference.
bool is_refused(const Four& arguments, unsigned errnum) {
  for (const long call : {SYS_socket, SYS_socketpair})
    for (const long high : {0L, kHighBit})
      for (const int flags : {0, SOCK_CLOEXEC | SOCK_NONBLOCK})
        if (verdict(call,
                    {arguments.first | high, arguments.second | flags | high,
                     arguments.third | high}) != (kErrno | errnum))
          return false;
  return true;
}

bool is_one_of(int number, const std::set<int>& set) {
  return set.contains(number);
}

}  // namespace

TEST_CASE("no socket of a family that has uncounted memory, or no namespace") {
  for (int family = 0; family < 64; ++family) {
    CAPTURE(family);
    if (is_one_of(family, {AF_UNIX, AF_NETLINK, AF_INET, AF_INET6})) continue;
    for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_PACKET})
      CHECK(is_refused({family, type, 0}, EAFNOSUPPORT));
  }
}

TEST_CASE("no option has the kernel keep memory that is charged to nobody") {
  for (const int option :
       {IPV6_2292PKTOPTIONS, IPV6_HOPOPTS, IPV6_RTHDR, IPV6_RTHDRDSTOPTS,
        IPV6_DSTOPTS, static_cast<int>(kFlowLabels)})
    for (const long high : {0L, kHighBit}) {
      CAPTURE(option);
      CHECK(verdict(SYS_setsockopt, {3, IPPROTO_IPV6 | high, option | high}) ==
            (kErrno | ENOPROTOOPT));
      CHECK(verdict(SYS_setsockopt, {3, SOL_SOCKET, option}) ==
            SECCOMP_RET_ALLOW);
    }
  for (const int option : {TCP_MD5SIG, TCP_MD5SIG_EXT, 38 /*TCP_AO_ADD_KEY*/})
    for (const long high : {0L, kHighBit})
      CHECK(verdict(SYS_setsockopt, {3, IPPROTO_TCP | high, option | high}) ==
            (kErrno | ENOPROTOOPT));
  for (const int option : {TCP_NODELAY, TCP_KEEPIDLE, TCP_FASTOPEN})
    CHECK(verdict(SYS_setsockopt, {3, IPPROTO_TCP, option}) ==
          SECCOMP_RET_ALLOW);
  for (const int option : {IPV6_V6ONLY, IPV6_UNICAST_HOPS, IPV6_RECVPKTINFO})
    CHECK(verdict(SYS_setsockopt, {3, IPPROTO_IPV6, option}) ==
          SECCOMP_RET_ALLOW);
}

// A list of access rights (acl(5)) is such a value, and is charged to nobody.
TEST_CASE("no extended attribute is long, and none has its size in memory") {
  for (const long call : {SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr}) {
    CAPTURE(call);
    for (const long size : {0L, 20L, 1000L})
      CHECK(verdict(call, {0, 0, 0, size}) == SECCOMP_RET_ALLOW);
    for (const long size : {1001L, 65536L, kHighBit | 1001L, -1L})
      CHECK(verdict(call, {0, 0, 0, size}) == (kErrno | E2BIG));
  }
  CHECK(verdict(463 /* SYS_setxattrat */) == (kErrno | ENOSYS));
}

TEST_CASE("no socket makes the kernel load a module") {
  const std::set<int> datagram{0, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6};
  for (int protocol = 0; protocol < 300; ++protocol) {
    CAPTURE(protocol);
    CHECK((protocol == NETLINK_ROUTE ||
           is_refused({AF_NETLINK, SOCK_RAW, protocol}, EPROTONOSUPPORT)));
    for (const int family : {AF_INET, AF_INET6}) {
      CHECK((is_one_of(protocol, {0, IPPROTO_TCP}) ||
             is_refused({family, SOCK_STREAM, protocol}, EPROTONOSUPPORT)));
      CHECK((is_one_of(protocol, datagram) ||
             is_refused({family, SOCK_DGRAM, protocol}, EPROTONOSUPPORT)));
      // As the kernel does without CAP_NET_RAW: some programs then try another
      // kind of socket.
      CHECK(is_refused({family, SOCK_RAW, protocol}, EPERM));
      // Protocol 0 stands for SCTP or DCCP with these.
      for (const int type :
           {0 + SOCK_SEQPACKET, 0 + SOCK_RDM, 6, 0 + SOCK_PACKET})
        CHECK(is_refused({family, type, protocol}, ESOCKTNOSUPPORT));
    }
  }
}

TEST_CASE("of terminals and personalities it looks at the kind") {
  CHECK(verdict(SYS_ioctl, {0, TCGETS}) == SECCOMP_RET_ALLOW);
  CHECK(verdict(SYS_ioctl, {0, TIOCSTI}) == (kErrno | EPERM));
  CHECK(verdict(SYS_ioctl, {0, kHighBit | TIOCLINUX}) == (kErrno | EPERM));
  // Those that make the kernel load a module: dlci, 8021q, bridge, and one for
  // the line discipline whose number is asked for.
  for (const long request :
       {0x8980L, 0x8981L, 0x8982L, 0x8983L, 0x8940L, 0x8941L, 0x89a0L, 0x89a1L,
        0x89a2L, 0x89a3L, 0x5423L}) {
    CAPTURE(request);
    CHECK(verdict(SYS_ioctl, {0, request}) == (kErrno | EPERM));
    CHECK(verdict(SYS_ioctl, {0, kHighBit | request}) == (kErrno | EPERM));
  }
  // What ip(8), ifconfig(8) and a shell ask.
  for (const long request : {0L + SIOCGIFCONF, 0L + SIOCGIFNAME,
                             0L + SIOCGIFADDR, 0L + SIOCGIFHWADDR, 0L + SIOCINQ,
                             0L + TIOCGETD, 0L + TIOCSWINSZ, 0L + TIOCSCTTY})
    CHECK(verdict(SYS_ioctl, {0, request}) == SECCOMP_RET_ALLOW);
  // Docker's five, and one for gdb(1).
  for (const long persona : {0L, 8L, 0x20000L, 0x20008L, 0xffffffffL, 0x40000L})
    CHECK(verdict(SYS_personality, {persona}) == SECCOMP_RET_ALLOW);
  for (const long persona : {0L + READ_IMPLIES_EXEC, 0L + MMAP_PAGE_ZERO,
                             0L + ADDR_COMPAT_LAYOUT, READ_IMPLIES_EXEC | 8L})
    CHECK(verdict(SYS_personality, {persona}) == (kErrno | EPERM));
}

TEST_CASE("its list is Docker's, but for what has a reason") {
  const auto ours = our_names();
  const auto dockers = dockers_names();
  CHECK(ours.size() > 290);
  CHECK(dockers.size() > 300);
  const auto has = [](const auto& differences, const std::string& name) {
    return std::any_of(differences.begin(), differences.end(),
                       [&](const Difference& one) { return one.name == name; });
  };
  for (const auto& name : dockers) {
    CAPTURE(name);
    CHECK(ours.contains(name) != has(kOnlyDocker, name));
  }
  for (const auto& name : ours) {
    CAPTURE(name);
    CHECK(dockers.contains(name) != has(kOnlyOurs, name));
  }
  for (const auto& [name, reason] : kOnlyDocker) CHECK(dockers.contains(name));
}

TEST_CASE("what is listed by its number has the right one") {
  for (const auto& [listed, number] : std::vector<std::pair<int, long>>{
#ifdef SYS_memfd_secret
           {447, SYS_memfd_secret},
#endif
#ifdef SYS_process_mrelease
           {448, SYS_process_mrelease},
#endif
#ifdef SYS_futex_waitv
           {449, SYS_futex_waitv},
#endif
#ifdef SYS_cachestat
           {451, SYS_cachestat},
#endif
#ifdef SYS_fchmodat2
           {452, SYS_fchmodat2},
#endif
#ifdef SYS_map_shadow_stack
           {453, SYS_map_shadow_stack},
#endif
#ifdef SYS_futex_wake
           {454, SYS_futex_wake},
#endif
#ifdef SYS_statmount
           {457, SYS_statmount},
#endif
#ifdef SYS_mseal
           {462, SYS_mseal},
#endif
#ifdef SYS_removexattrat
           {466, SYS_removexattrat},
#endif
#ifdef SYS_uretprobe
           {335, SYS_uretprobe},
#endif
       })
    CHECK(listed == number);
}

TEST_CASE("a list of any length is searched right: no jump is cut short") {
  for (const int count : {1, 2, 100, 256, 257, 300, 1000}) {
    std::vector<int> numbers;
    for (int i = 0; i < count; ++i) numbers.push_back(3 * i + 1);
    Program program;
    load(program, offsetof(seccomp_data, nr));
    const auto tree = search(stretches(numbers));
    program.insert(program.end(), tree.begin(), tree.end());
    int wrong = 0;
    for (int nr = 0; nr < 3 * count + 2; ++nr) {
      const unsigned expected = nr > 3 * (count - 1) + 1 ? kErrno | ENOSYS
                                : nr % 3 == 1            ? SECCOMP_RET_ALLOW
                                                         : kErrno | EPERM;
      seccomp_data data{};
      data.nr = nr;
      if (verdict_of(program, data) != expected) ++wrong;
    }
    CAPTURE(count);
    CHECK(wrong == 0);
  }
}

TEST_CASE("a rule that is too long to be skipped is an error, not a hole") {
  Program program;
  only_for(program, 0, Program(255, BPF_STMT(BPF_RET | BPF_K, 0)));
  CHECK(program.size() == 256);
  CHECK(program.front().jf == 255);
  CHECK_THROWS_AS(
      only_for(program, 0, Program(256, BPF_STMT(BPF_RET | BPF_K, 0))),
      std::length_error);
}

TEST_SUITE_END();
