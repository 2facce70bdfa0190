// Takes what the kernel counts for a user, or for nobody: all of it, or as much
// as is asked for. For tests, which look on the host what is left meanwhile.
//
//   usage   hog THING [MOST]
//
// THING is one of the table below. It prints how many it got, in MiB where it
// is memory, and holds them until its standard input ends.

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/sock_diag.h>
#include <mqueue.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <string>
#include <vector>

namespace {

// Until `take` fails, but not for ever.
template <typename Take>
long repeat(long most, const Take& take) {
  long count = 0;
  while (count < most && take(count)) ++count;
  return count;
}

long inotify(long most) {
  return repeat(most, [](long) { return ::inotify_init1(0) != -1; });
}

// A queue has one watch for each file.
long watches(long most) {
  constexpr long kFiles = 1000;
  std::vector<std::string> files;
  int queue = -1;
  return repeat(most, [&](long i) {
    if (i % kFiles == 0) queue = ::inotify_init1(0);
    if (i < kFiles)
      files.push_back("/proc/self/fd/" +
                      std::to_string(::memfd_create("hog", 0)));
    const auto& file = files[static_cast<std::size_t>(i % kFiles)];
    return ::inotify_add_watch(queue, file.c_str(), IN_OPEN) != -1;
  });
}

long timers(long most) {
  return repeat(most, [](long) {
    timer_t timer{};
    return ::timer_create(CLOCK_MONOTONIC, nullptr, &timer) == 0;
  });
}

long signals(long most) {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, nullptr);
  return repeat(most, [](long) {
    return ::sigqueue(::getpid(), SIGRTMIN, sigval{}) == 0;
  });
}

long messages(long most) {
  return repeat(most, [](long i) {
    const auto name = "/hog" + std::to_string(i);
    if (::mq_open(name.c_str(), O_CREAT | O_RDWR, 0600, nullptr) == -1)
      return false;
    ::mq_unlink(name.c_str());  // It stays as long as it is open.
    return true;
  });
}

long aio(long most) {
  return repeat(most, [](long) {
    unsigned long context = 0;
    return ::syscall(SYS_io_setup, 500, &context) == 0;
  });
}

long terminals(long most) {
  return repeat(
      most, [](long) { return ::open("/dev/ptmx", O_RDWR | O_NOCTTY) != -1; });
}

long descriptors(long most) {
  return repeat(most, [](long) { return ::dup(STDIN_FILENO) != -1; });
}

long huge_pages(long most) {
  return repeat(most, [](long) {
    return ::mmap(nullptr, 2 << 20, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1,
                  0) != MAP_FAILED;
  });
}

constexpr std::size_t kMegabyte = 1 << 20;
std::array<char, 65000> message{};

sockaddr* general(sockaddr_in& place) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): see bind(2).
  return reinterpret_cast<sockaddr*>(&place);
}

// Both ends in this process, and nobody reads.
long tcp(long most) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof place;
  ::bind(listener, general(place), size);
  ::listen(listener, 1024);
  ::getsockname(listener, general(place), &size);
  std::size_t sum = 0;
  (void)repeat(10'000, [&](long) {
    const int end = ::socket(AF_INET, SOCK_STREAM, 0);
    if (end == -1 || ::connect(end, general(place), size) == -1 ||
        ::accept(listener, nullptr, nullptr) == -1)
      return false;
    for (;;) {
      const auto n = ::send(end, message.data(), message.size(), MSG_DONTWAIT);
      if (n <= 0) break;
      sum += static_cast<std::size_t>(n);
    }
    return sum < static_cast<std::size_t>(most) * kMegabyte;
  });
  return static_cast<long>(sum / kMegabyte);
}

long udp(long most) {
  std::size_t sum = 0;
  (void)repeat(10'000, [&](long) {
    const int end = ::socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in place{};
    place.sin_family = AF_INET;
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof place;
    if (end == -1 || ::bind(end, general(place), size) == -1) return false;
    ::getsockname(end, general(place), &size);
    for (int i = 0; i < 8; ++i)
      (void)::sendto(end, message.data(), message.size(), MSG_DONTWAIT,
                     general(place), size);
    // What found no room is gone without an error: ask what is in the queue.
    std::array<unsigned, SK_MEMINFO_VARS> numbers{};
    size = sizeof numbers;
    ::getsockopt(end, SOL_SOCKET, SO_MEMINFO, numbers.data(), &size);
    sum += numbers[SK_MEMINFO_RMEM_ALLOC];
    return sum < static_cast<std::size_t>(most) * kMegabyte;
  });
  return static_cast<long>(sum / kMegabyte);
}

long memory(long most) {
  return repeat(most, [](long) {
    void* const piece =
        ::mmap(nullptr, kMegabyte, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return piece != MAP_FAILED;
  });
}

// The kernel keeps a copy of what is to go with each packet of a socket. Before
// Linux 6.8, it keeps 20 KiB at most (net.core.optmem_max).
long options(long most) {
  std::array<char, 16000> all{};
  cmsghdr head{};
  head.cmsg_len = all.size();  // Of a level that nobody knows.
  head.cmsg_level = -1;
  std::memcpy(all.data(), &head, sizeof head);
  return repeat(most, [&](long) {
    const int end = ::socket(AF_INET6, SOCK_DGRAM, 0);
    return ::setsockopt(end, IPPROTO_IPV6, IPV6_2292PKTOPTIONS, all.data(),
                        all.size()) == 0;
  });
}

// The kernel keeps a file's list of access rights, 64 KiB for this one: see
// acl(5).
long lists(long most) {
  std::vector<posix_acl_xattr_entry> entries(
      8000, {ACL_USER, ACL_READ | ACL_WRITE, 0});
  entries.front().e_tag = ACL_USER_OBJ;
  for (const int tag : {ACL_GROUP_OBJ, ACL_MASK, ACL_OTHER})
    entries.push_back({static_cast<__le16>(tag), ACL_READ, 0});
  const posix_acl_xattr_header head{POSIX_ACL_XATTR_VERSION};
  std::string list(sizeof head + entries.size() * sizeof entries[0], '\0');
  std::memcpy(list.data(), &head, sizeof head);
  std::memcpy(&list[sizeof head], entries.data(), list.size() - sizeof head);
  return repeat(most, [&](long) {
    return ::fsetxattr(::memfd_create("hog", 0), "system.posix_acl_access",
                       list.data(), list.size(), 0) == 0;
  });
}

using Hog = long (*)(long most);
const std::map<std::string, Hog> kHogs{
    {"inotify", inotify},
    {"watches", watches},
    {"timers", timers},
    {"signals", signals},
    {"messages", messages},
    {"aio", aio},
    {"terminals", terminals},
    {"descriptors", descriptors},
    {"huge-pages", huge_pages},
    {"tcp", tcp},
    {"udp", udp},
    {"options", options},
    {"lists", lists},
    {"memory", memory},
};

}  // namespace

int main(int argc, char** argv) {
  const auto hog = kHogs.find(argc > 1 ? argv[1] : "");
  if (hog == kHogs.end()) return 2;
  // As many as it may have, for it is meant to harm.
  for (const auto resource :
       {RLIMIT_NOFILE, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_MEMLOCK}) {
    rlimit limit{};
    (void)::getrlimit(resource, &limit);
    limit.rlim_cur = limit.rlim_max;
    (void)::setrlimit(resource, &limit);
  }
  const long count =
      hog->second(argc > 2 ? std::strtol(argv[2], nullptr, 10) : 1'000'000);
  std::printf("%ld\n", count);
  (void)std::fflush(stdout);
  for (char c = 0; ::read(STDIN_FILENO, &c, 1) == 1;) {
  }
}
