// Joins a running container, as `docker exec` does.
//
//   usage   build/enter [-v] PID [COMMAND [ARG...]]
//   new     setns(2) on a pidfd: see pidfd_open(2), namespaces(7)
//   try     build/enter $(pgrep -n 08-all) ps

#include <fcntl.h>         // open, O_WRONLY
#include <grp.h>           // setgroups
#include <sched.h>         // setns, CLONE_NEW*
#include <sys/prctl.h>     // prctl
#include <sys/resource.h>  // setrlimit
#include <sys/stat.h>      // stat, umask
#include <sys/syscall.h>   // SYS_setres*
#include <unistd.h>        // chdir, setresuid

#include <algorithm>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "common/diagnosis/causes.hpp"
#include "common/file.hpp"
#include "common/process.hpp"
#include "steps/08-all/layers.hpp"
#include "steps/08-all/member.hpp"
#include "steps/08-all/terminal.hpp"

// On the host, because setgroups(2) is denied in an ordinary user's container.
void leave_groups() {
  if (::geteuid() == 0)
    sys::check(::setgroups(0, nullptr),
               "setgroups(2): drop the caller's groups");
}

// Becomes id 0 of the namespace. An ordinary user is id 0 already, by the map.
void become_root() {
  if (::geteuid() == 0) return;
  // We use syscall(2), because the functions of the C library also signal each
  // thread that they know. These threads belong to our parent, and in this PID
  // namespace other processes can have their numbers.
  sys::check(::syscall(SYS_setresgid, 0, 0, 0), "setresgid(2): become group 0");
  sys::check(::syscall(SYS_setresuid, 0, 0, 0), "setresuid(2): become user 0");
  sys::die_with_parent();  // Again, because a change of ids cancels this.
}

// The cgroups of the container, which are named box-PID.
std::vector<std::string> find_cgroups(const Process& member) {
  const auto mounts = sys::read_file("/proc/self/mountinfo");
  auto directories = sys::cgroup_directories(member.read("cgroup"), mounts);
  std::erase_if(directories, [](const std::string& directory) {
    return directory.find("/box-") == std::string::npos;
  });
  return directories;
}

// The files by which we join cgroups. We open them while we have the right.
std::vector<sys::Fd> open_cgroups(const std::vector<std::string>& directories) {
  std::vector<sys::Fd> files;
  for (const auto& directory : directories) {
    const auto path = directory + "/cgroup.procs";
    files.emplace_back(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (files.back().get() == -1)
      throw sys::Error{errno, "open(2) " + path,
                       "enter it as the user who runs it, or as root"};
  }
  return files;
}

// The file in which the kernel counts the processes of a cgroup that its OOM
// killer has killed. We open it before we join the mount table of the
// container.
sys::Fd open_kills(const std::vector<std::string>& directories) {
  for (const auto& directory : directories)
    for (const auto* const v2_or_v1 : {"/memory.events", "/memory.oom_control"})
      if (sys::Fd file{
              ::open((directory + v2_or_v1).c_str(), O_RDONLY | O_CLOEXEC)};
          file.get() != -1)
        return file;
  return sys::Fd{};
}

long count_kills(const sys::Fd& file) {
  std::string text(4096, '\0');
  const auto n = ::pread(file.get(), text.data(), text.size(), 0);
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  const std::string key = "\noom_kill ";
  const auto at = text.find(key);
  return at == text.npos ? 0 : std::stol(text.substr(at + key.size()));
}

// The limits of a member in the order of their numbers, from RLIMIT_CPU on: see
// proc_pid_limits(5). (prlimit(2) needs a capability that root in Docker
// lacks.)
std::vector<rlimit> read_limits(const Process& member) {
  constexpr std::size_t kName = 26;  // The width of each name.
  std::vector<rlimit> limits;
  std::istringstream lines{member.read("limits")};
  std::string line;
  std::getline(lines, line);  // A heading.
  while (std::getline(lines, line) && line.size() > kName) {
    std::istringstream words{line.substr(kName)};
    rlimit limit{};
    for (rlim_t* const value : {&limit.rlim_cur, &limit.rlim_max}) {
      std::string word;
      words >> word;
      *value = word == "unlimited" ? RLIM_INFINITY : std::stoull(word);
    }
    limits.push_back(limit);
  }
  return limits;
}

// Child: sets each limit to that of the container, or to our own if it is
// lower.
void take_over_limits(const std::vector<rlimit>& limits) {
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const auto resource = static_cast<decltype(RLIMIT_CPU)>(i);
    rlimit own{};
    sys::check(::getrlimit(resource, &own), "getrlimit(2) {}", i);
    const rlimit wanted{std::min(limits[i].rlim_cur, own.rlim_max),
                        std::min(limits[i].rlim_max, own.rlim_max)};
    sys::check(::setrlimit(resource, &wanted),
               "setrlimit(2) {}: as the container has it", i);
  }
}

// The walls that the member's status shows: see proc_pid_status(5). We set the
// walls that it does not show, so that we never have fewer walls than the
// member. The bounding set of a new user namespace has all capabilities.
sys::Walls read_walls(const Process& member) {
  constexpr int kHex = 16;
  std::uint64_t all = 0;
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) != -1;
       ++capability)
    all |= 1ULL << capability;
  sys::Walls walls;
  walls.no_new_privs = member.status("NoNewPrivs") != std::vector<long>{0};
  walls.seccomp = member.status("Seccomp") != std::vector<long>{0};
  walls.capabilities = member.status("CapBnd", kHex) !=
                       std::vector<long>{static_cast<long>(all)};
  return walls;
}

// Joins the namespaces of the member, and so gets its root directory. Checks
// that this is no longer that of the host, before anything runs there. A
// process joins a user namespace before it has threads, and a PID namespace
// after.
void join_namespaces(const Process& member, int namespaces,
                     sys::Streams& streams) {
  struct stat before {};
  struct stat after {};
  sys::check(::stat("/", &before), "stat(2) /");
  sys::check(::setns(member.descriptor().get(), namespaces & ~CLONE_NEWPID),
             "setns(2) to the namespaces of process {}", member.pid());
  streams.start_processes();
  sys::check(::setns(member.descriptor().get(), CLONE_NEWPID),
             "setns(2) to the PID namespace of process {}", member.pid());
  sys::check(::stat("/", &after), "stat(2) the new /");
  if (before.st_dev == after.st_dev && before.st_ino == after.st_ino)
    throw std::runtime_error{sys::format(
        "process {} has the root directory of the host", member.pid())};
}

// On the host, a container has no other name.
pid_t parse_pid(const std::string& text) try {
  return static_cast<pid_t>(
      sys::parse_number(text, 1, std::numeric_limits<pid_t>::max()));
} catch (const std::invalid_argument& error) {
  throw std::invalid_argument{sys::format(
      "{}; hint: {}", error.what(),
      text.starts_with("-i") || text.starts_with("-t")
          ? "leave it out, the terminal is the caller's"
          : "enter takes a PID, and pgrep 08-all prints those of 08-all")};
}

void print_usage(FILE* file) {
  fmt::print(file,
             "usage: enter [-v] PID [COMMAND [ARG...]]\n\n"
             "Runs COMMAND (/bin/sh) in a container. PID is the PID of its\n"
             "08-all, or of a process in it, on the host. enter waits until\n"
             "08-all has started the container's command. COMMAND gets the\n"
             "capabilities, no_new_privs and filter that the container has,\n"
             "its cgroups named box-PID and its resource limits, and always\n"
             "Landlock and a new session. It keeps the caller's processors,\n"
             "oom_score_adj and other cgroups. It is root in the container,\n"
             "because --user and --env are only for the first command.\n\n"
             "  -v      print each action when it is done\n"
             "  --help  print this text\n\n"
             "Read setns(2), pidfd_open(2), namespaces(7).\n");
}

int main(int argc, char** argv) try {
  if (argc > 1 && std::string{argv[1]} == "--help") {
    print_usage(stdout);
    return 0;
  }
  if (argc > 1 && std::string{argv[1]} == "-v") {
    sys::verbose = true;
    --argc;
    ++argv;
  }
  if (argc < 2) {
    print_usage(stderr);
    return sys::kOurFailure;
  }
  sys::fill_standard_streams();
  const auto pid = parse_pid(argv[1]);
  sys::check_proc();
  sys::keep_host();
  std::string shell = "/bin/sh";
  std::string login = "-l";
  char* by_default[] = {shell.data(), login.data(), nullptr};
  char** const command = argc > 2 ? argv + 2 : by_default;

  // There is nothing to undo yet, so a signal can end us while we wait.
  const auto member = wait_for_member(pid);
  const int namespaces = foreign_namespaces(member);
  const sys::Signals signals;
  Terminal terminal{0, 0, true, open_ptmx(member), false};
  // After we have joined, no process of the container must trace us or open our
  // descriptors until the command runs. execve(2) makes us traceable again.
  sys::check(::prctl(PR_SET_DUMPABLE, 0),
             "prctl(2) PR_SET_DUMPABLE 0: hide us from ptrace(2)");
  leave_keys();
  leave_groups();
  const auto directories = find_cgroups(member);
  const auto cgroups = open_cgroups(directories);
  const auto file_of_kills = open_kills(directories);
  const auto kills = count_kills(file_of_kills);
  const auto limits = read_limits(member);
  const auto walls = read_walls(member);
  join_namespaces(member, namespaces, terminal);
  sys::Gate gate;
  // setns(2) changes only the PID namespace of our later children.
  sys::Child child = sys::clone(0, [&] {
    terminal.enter();
    gate.wait();  // The parent moves us into the cgroups.
    become_root();
    ::umask(022);
    sys::check(::chdir("/"), "chdir(2) to /");
    take_over_limits(limits);
    confine(walls);
    execute(command, {}, {});
  });
  const auto number = sys::format("{}", child.pid());
  for (const auto& file : cgroups) {
    const auto n = ::write(file.get(), number.data(), number.size());
    // On v2, the owner of the nearest cgroup above both counts, too.
    if (n == -1 && errno == EACCES)
      throw sys::Error{
          EACCES, "write(2) to cgroup.procs: join a cgroup of the container",
          "enter it from the session that runs it, or as root"};
    sys::check(n, "write(2) {} to cgroup.procs: join a cgroup of the container",
               number);
  }
  gate.open();

  const int status = child.wait(terminal);
  if (count_kills(file_of_kills) > kills)
    sys::note("a process was killed: the container came to its memory limit");
  return status;
} catch (const std::exception& error) {
  return sys::report(error);
}
