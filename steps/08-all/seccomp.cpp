// A filter over system calls: what is not on the list is refused, so that a bug
// in a rarely used corner of the kernel is out of reach. The list is Docker's
// for a container with the capabilities of ours: docker_calls.txt has the
// names, and a test compares.

#include <linux/netlink.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>

#include "steps/08-all/bpf.hpp"
#include "steps/08-all/layers.hpp"

namespace {

// clang-format off
constexpr auto kAllowed = std::to_array<int>({
    // Files
    SYS_openat, SYS_openat2, SYS_close, SYS_close_range, SYS_read, SYS_write,
    SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev,
    SYS_preadv2, SYS_pwritev2, SYS_lseek, SYS_dup, SYS_dup3, SYS_fcntl,
    SYS_flock, SYS_fsync, SYS_fdatasync, SYS_sync, SYS_syncfs,
    SYS_sync_file_range, SYS_fallocate, SYS_fadvise64, SYS_readahead,
    SYS_ftruncate, SYS_truncate, SYS_sendfile, SYS_splice, SYS_tee,
    SYS_vmsplice, SYS_copy_file_range, SYS_pipe2, SYS_memfd_create,
    SYS_name_to_handle_at, SYS_umask,
    // Directories and inodes
    SYS_chdir, SYS_fchdir, SYS_chroot, SYS_getcwd, SYS_getdents64, SYS_mkdirat,
    SYS_mknodat, SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_linkat,
    SYS_symlinkat, SYS_readlinkat, SYS_fstat, SYS_newfstatat, SYS_statx,
    SYS_statfs, SYS_fstatfs, SYS_faccessat, SYS_faccessat2, SYS_fchmod,
    SYS_fchmodat, SYS_fchown, SYS_fchownat, SYS_utimensat, SYS_getxattr,
    SYS_lgetxattr, SYS_fgetxattr, SYS_listxattr, SYS_llistxattr,
    SYS_flistxattr, SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr,
    SYS_inotify_init1,
    SYS_inotify_add_watch, SYS_inotify_rm_watch, SYS_fanotify_mark,
    SYS_landlock_create_ruleset, SYS_landlock_add_rule,
    SYS_landlock_restrict_self,
    // Memory
    SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise,
    SYS_msync, SYS_mincore, SYS_mlock, SYS_mlock2, SYS_mlockall, SYS_munlock,
    SYS_munlockall, SYS_membarrier, SYS_remap_file_pages, SYS_pkey_alloc,
    SYS_pkey_free, SYS_pkey_mprotect,
    // Processes and threads
    SYS_execve, SYS_execveat, SYS_exit, SYS_exit_group, SYS_wait4, SYS_waitid,
    SYS_getpid, SYS_getppid, SYS_gettid, SYS_getpgid, SYS_setpgid, SYS_getsid,
    SYS_setsid, SYS_set_tid_address, SYS_set_robust_list, SYS_get_robust_list,
    SYS_rseq, SYS_prctl, SYS_futex, SYS_sched_yield, SYS_sched_getaffinity,
    SYS_sched_setaffinity, SYS_sched_getattr, SYS_sched_setattr,
    SYS_sched_getparam, SYS_sched_setparam, SYS_sched_getscheduler,
    SYS_sched_setscheduler, SYS_sched_get_priority_max,
    SYS_sched_get_priority_min, SYS_sched_rr_get_interval, SYS_getpriority,
    SYS_setpriority, SYS_ioprio_get, SYS_ioprio_set, SYS_getrlimit,
    SYS_setrlimit, SYS_prlimit64, SYS_getrusage, SYS_times, SYS_getcpu,
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_pidfd_open,
    SYS_pidfd_send_signal, SYS_seccomp,
    // Identity
    SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getresuid,
    SYS_getresgid, SYS_getgroups, SYS_setuid, SYS_setgid, SYS_setreuid,
    SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setfsuid, SYS_setfsgid,
    SYS_setgroups, SYS_capget, SYS_capset,
    // Signals
    SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigaction, SYS_rt_sigpending,
    SYS_rt_sigprocmask, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
    SYS_rt_sigreturn, SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_sigaltstack,
    SYS_signalfd4, SYS_restart_syscall,
    // Time
    SYS_clock_getres, SYS_clock_gettime, SYS_clock_nanosleep, SYS_gettimeofday,
    SYS_nanosleep, SYS_getitimer, SYS_setitimer, SYS_timer_create,
    SYS_timer_delete, SYS_timer_getoverrun, SYS_timer_gettime,
    SYS_timer_settime, SYS_timerfd_create, SYS_timerfd_gettime,
    SYS_timerfd_settime, SYS_adjtimex, SYS_clock_adjtime,
    // Waiting for many things
    SYS_pselect6, SYS_ppoll, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait,
    SYS_epoll_pwait2, SYS_eventfd2, SYS_io_destroy, SYS_io_submit,
    SYS_io_cancel, SYS_io_getevents, SYS_io_pgetevents,
    // Sockets; socket(2) and socketpair(2) are below
    SYS_bind, SYS_listen, SYS_accept, SYS_accept4, SYS_connect, SYS_shutdown,
    SYS_getsockname, SYS_getpeername, SYS_getsockopt,
    SYS_sendto, SYS_sendmsg, SYS_sendmmsg, SYS_recvfrom, SYS_recvmsg,
    SYS_recvmmsg,
    // System V and POSIX IPC, which have a namespace
    SYS_msgctl, SYS_msgget, SYS_msgrcv, SYS_msgsnd, SYS_semctl, SYS_semget,
    SYS_semop, SYS_semtimedop, SYS_shmat, SYS_shmctl, SYS_shmdt, SYS_shmget,
    SYS_mq_open, SYS_mq_unlink, SYS_mq_getsetattr, SYS_mq_notify,
    SYS_mq_timedreceive, SYS_mq_timedsend,
    // The rest
    SYS_uname, SYS_sysinfo, SYS_getrandom,
    // By number, which from 424 on is the same for all machines: the headers of
    // some distribution that we build on do not know all of them.
    447 /* SYS_memfd_secret */, 448 /* SYS_process_mrelease */,
    449 /* SYS_futex_waitv */, 451 /* SYS_cachestat */, 452 /* SYS_fchmodat2 */,
    453 /* SYS_map_shadow_stack */, 454 /* SYS_futex_wake */,
    455 /* SYS_futex_wait */, 456 /* SYS_futex_requeue */,
    457 /* SYS_statmount */, 458 /* SYS_listmount */, 462 /* SYS_mseal */,
    464 /* SYS_getxattrat */, 465 /* SYS_listxattrat */,
    466 /* SYS_removexattrat */,
#ifdef __x86_64__  // Calls that newer architectures never had
    SYS_open, SYS_creat, SYS_access, SYS_stat, SYS_lstat, SYS_dup2, SYS_pipe,
    SYS_chmod, SYS_chown, SYS_lchown, SYS_mkdir, SYS_rmdir, SYS_mknod, SYS_link,
    SYS_symlink, SYS_readlink, SYS_rename, SYS_unlink, SYS_getdents, SYS_utime,
    SYS_utimes, SYS_futimesat, SYS_inotify_init, SYS_fork, SYS_vfork,
    SYS_getpgrp, SYS_arch_prctl, SYS_modify_ldt, SYS_set_thread_area,
    SYS_get_thread_area, SYS_time, SYS_alarm, SYS_pause, SYS_select, SYS_poll,
    SYS_epoll_create, SYS_epoll_wait, SYS_epoll_ctl_old, SYS_epoll_wait_old,
    SYS_eventfd, SYS_signalfd,
    335 /* SYS_uretprobe: made for a process that the host traces */,
#endif
});
// clang-format on

// ---- The rules -------------------------------------------------------------

// Threads and forks, but no new namespaces. In a new user namespace, a process
// would have all capabilities again.
Program clone_rule() {
  constexpr unsigned kNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP |
                                   CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                   CLONE_NEWPID | CLONE_NEWNET;
  Program rule;
  load_argument(rule, 0);
  answer_if(rule, BPF_JSET, kNamespaces, refuse(EPERM));
  answer(rule, SECCOMP_RET_ALLOW);
  return rule;
}

// Which protocols of a kind of socket there are, by the third argument.
Program protocol_rule(std::initializer_list<unsigned> protocols) {
  Program rule;
  load_argument(rule, 2);
  for (const unsigned protocol : protocols)
    answer_if(rule, BPF_JEQ, protocol, SECCOMP_RET_ALLOW);
  answer(rule, refuse(EPROTONOSUPPORT));
  return rule;
}

// No AF_VSOCK, which knows no namespace; no AF_ALG; no AF_PACKET, because the
// memory of its rings is charged to nobody. Of the other families no more than
// is in common use: for a protocol that the kernel does not know yet, socket(2)
// makes it load a module.
Program socket_rule() {
  Program rule;
  load_argument(rule, 0);
  answer_if(rule, BPF_JEQ, AF_UNIX, SECCOMP_RET_ALLOW);
  only_for(rule, AF_NETLINK, protocol_rule({NETLINK_ROUTE}));
  rule.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 2, 0));
  answer_unless(rule, BPF_JEQ, AF_INET6, refuse(EAFNOSUPPORT));

  load_argument(rule, 1);
  constexpr unsigned kType = 0xf;  // Above it are flags, SOCK_CLOEXEC say.
  rule.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, kType));
  only_for(rule, SOCK_STREAM, protocol_rule({0, IPPROTO_TCP}));
  only_for(rule, SOCK_DGRAM,
           protocol_rule({0, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6}));
  // As without CAP_NET_RAW. After EPERM, some programs try SOCK_DGRAM.
  only_for(rule, SOCK_RAW, {BPF_STMT(BPF_RET | BPF_K, refuse(EPERM))});
  answer(rule, refuse(ESOCKTNOSUPPORT));
  return rule;
}

// In linux/in6.h, which does not go together with netinet/in.h.
constexpr unsigned kFlowLabels = 32;  // IPV6_FLOWLABEL_MGR
// In linux/tcp.h, which does not go together with netinet/tcp.h.
constexpr unsigned kAddKey = 38;  // TCP_AO_ADD_KEY, since Linux 6.7

Program without_options(std::initializer_list<unsigned> options) {
  Program rule;
  load_argument(rule, 2);
  for (const unsigned option : options)
    answer_if(rule, BPF_JEQ, option, refuse(ENOPROTOOPT));
  answer(rule, SECCOMP_RET_ALLOW);
  return rule;
}

// The kernel keeps the keys of TCP, and what IPv6 is to send with each packet
// of a socket, in memory that no cgroup counts: up to 64 KiB for each socket.
// The labels of flows are few, for all users together.
Program option_rule() {
  Program rule;
  load_argument(rule, 1);
  only_for(rule, IPPROTO_TCP,
           without_options({TCP_MD5SIG, TCP_MD5SIG_EXT, kAddKey}));
  only_for(rule, IPPROTO_IPV6,
           without_options({IPV6_2292PKTOPTIONS, IPV6_HOPOPTS, IPV6_RTHDR,
                            IPV6_RTHDRDSTOPTS, IPV6_DSTOPTS, kFlowLabels}));
  answer(rule, SECCOMP_RET_ALLOW);
  return rule;
}

// A list of access rights (acl(5)) is an extended attribute, and on a tmpfs no
// cgroup counts its memory: up to 64 KiB for a file, twice that for a
// directory. So none is longer than those in common use.
Program attribute_rule() {
  constexpr unsigned kLongest = 1000;  // That is 124 entries.
  Program rule;
  load_argument(rule, 3);
  answer_if(rule, BPF_JGT, kLongest, refuse(E2BIG));
  answer(rule, SECCOMP_RET_ALLOW);
  return rule;
}

// No pushing of keys into the terminal that we share with the caller. And none
// of the requests for which the kernel loads a module before it asks for a
// capability: a line discipline, an old bridge, a VLAN, a frame relay.
Program ioctl_rule() {
  Program rule;
  load_argument(rule, 1);
  for (const unsigned request :
       {0U + TIOCSTI, 0U + TIOCLINUX, 0U + TIOCSETD, 0U + SIOCGIFBR,
        0U + SIOCSIFBR, 0U + SIOCBRADDBR, 0U + SIOCBRDELBR, 0U + SIOCBRADDIF,
        0U + SIOCBRDELIF, 0U + SIOCGIFVLAN, 0U + SIOCSIFVLAN, 0U + SIOCADDDLCI,
        0U + SIOCDELDLCI})
    answer_if(rule, BPF_JEQ, request, refuse(EPERM));
  answer(rule, SECCOMP_RET_ALLOW);
  return rule;
}

// Asking for it; Linux, also one that is called 2.6 or of a 32-bit machine; and
// Linux without address randomization, for gdb(1).
Program personality_rule() {
  Program rule;
  load_argument(rule, 0);
  for (const unsigned persona :
       {0xffffffffU, 0U + PER_LINUX, 0U + PER_LINUX32, 0U + UNAME26,
        0U + UNAME26 + PER_LINUX32, 0U + ADDR_NO_RANDOMIZE})
    answer_if(rule, BPF_JEQ, persona, SECCOMP_RET_ALLOW);
  answer(rule, refuse(EPERM));
  return rule;
}

// The list as stretches. A call newer than all of it does not exist: the C
// library then knows another way, which after EPERM it would not try. The x32
// calls, with bit 30 set in their numbers, are among those.
std::vector<Stretch> stretches(std::vector<int> numbers) {
  std::sort(numbers.begin(), numbers.end());
  std::vector<Stretch> result{{0, refuse(EPERM)}};
  for (const int number : numbers) {
    const auto call = static_cast<unsigned>(number);
    if (result.back().first == call) result.pop_back();  // It goes on.
    if (result.empty() || result.back().verdict != SECCOMP_RET_ALLOW)
      result.push_back({call, SECCOMP_RET_ALLOW});
    result.push_back({call + 1, refuse(EPERM)});
  }
  result.back().verdict = refuse(ENOSYS);
  return result;
}

Program make_filter() {
  Program program = begin_filter();
  // clone3 keeps its flags in memory, where no filter can look, and setxattrat
  // the length of the value.
  for (const unsigned call : {0U + SYS_clone3, 463U /* SYS_setxattrat */})
    only_for(program, call, {BPF_STMT(BPF_RET | BPF_K, refuse(ENOSYS))});
  // All users of the machine share the number of its requests, fs.aio-max-nr. A
  // program that asks falls back to other calls, as on a kernel without it.
  only_for(program, SYS_io_setup, {BPF_STMT(BPF_RET | BPF_K, refuse(ENOSYS))});
  only_for(program, SYS_clone, clone_rule());
  only_for(program, SYS_socket, socket_rule());
  only_for(program, SYS_socketpair, socket_rule());
  only_for(program, SYS_setsockopt, option_rule());
  for (const unsigned call :
       {0U + SYS_setxattr, 0U + SYS_lsetxattr, 0U + SYS_fsetxattr})
    only_for(program, call, attribute_rule());
  only_for(program, SYS_ioctl, ioctl_rule());
  only_for(program, SYS_personality, personality_rule());
  const auto tree = search(stretches({kAllowed.begin(), kAllowed.end()}));
  program.insert(program.end(), tree.begin(), tree.end());
  return program;
}

}  // namespace

void filter_system_calls() {
  install_filter(make_filter());
}
