#define DOCTEST_CONFIG_IMPLEMENT
#include "common/host_test.hpp"
#include "common/file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include "common/cgroup.hpp"
#include "common/netlink.hpp"

namespace fs = std::filesystem;

namespace host {

namespace {

// An id that nobody has.
constexpr int kUser = 54321;

constexpr std::size_t kMostOutput = 1 << 24;

// Once, for some tests take /proc away.
const fs::path& build_directory() {
  static const auto directory =
      fs::read_symlink("/proc/self/exe").parent_path();
  return directory;
}

// What an ordinary user needs, in a place that one can get to: programs, and a
// rootfs that is theirs. Made by the first test that asks for it.
class Place {
 public:
  Place() {
    std::string path = "/tmp/box-test.XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) throw sys::Error{errno, path};
    directory_ = path;
    fs::permissions(directory_, fs::perms{0755});
    owner_ = ::getpid();
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    std::error_code ignored;
    if (owner_ == ::getpid()) fs::remove_all(directory_, ignored);
  }
  [[nodiscard]] const fs::path& path() const { return directory_; }

 private:
  fs::path directory_;
  pid_t owner_ = 0;
};

const fs::path& place() {
  static const Place the_place;
  return the_place.path();
}

bool plays_user(Caller caller) {
  return caller == Caller::kUser && ::geteuid() == 0;
}

fs::path program(Caller caller, const std::string& name) {
  const char* const chosen = std::getenv(("STEP_" + name.substr(0, 2)).c_str());
  fs::path original =
      chosen != nullptr ? fs::path{chosen} : build_directory() / name;
  if (!plays_user(caller)) return original;
  auto copy = place() / name;
  if (!fs::exists(copy)) fs::copy_file(original, copy);
  return copy;
}

// `make SANITIZE=` builds the programs elsewhere, but no second rootfs.
fs::path built_rootfs() {
  const char* const chosen = std::getenv("TEST_ROOTFS");
  if (chosen != nullptr) return chosen;
  const auto here = build_directory() / "rootfs";
  return fs::exists(here) ? here : build_directory().parent_path() / "rootfs";
}

}  // namespace

std::string rootfs(Caller caller) {
  if (!plays_user(caller)) return built_rootfs();
  const auto copy = place() / "rootfs";
  if (!fs::exists(copy)) {
    // One that is named is nobody's yet: a copy of it is made faster.
    const char* const chosen = std::getenv("TEST_ROOTFS");
    must((chosen != nullptr ? "cp -a '" + std::string{chosen} + "'"
                            : "rootfs/build") +
         " " + copy.string() + " && chown -Rh " + std::to_string(kUser) + ":" +
         std::to_string(kUser) + " " + copy.string());
  }
  return copy;
}

std::string scratch(const std::string& name) {
  const auto path = place() / name;
  fs::create_directory(path);
  return path;
}

std::string as(Caller caller, const std::string& name) {
  return (plays_user(caller)
              ? "setpriv --reuid 54321 --regid 54321 --clear-groups "
              : "") +
         program(caller, name).string();
}

std::string step_in(const std::string& rootfs, Caller caller,
                    const std::string& name, const std::string& options) {
  return as(caller, name) + " " + options + " '" + rootfs + "' ";
}

std::string step(Caller caller, const std::string& name,
                 const std::string& options) {
  return step_in(rootfs(caller), caller, name, options);
}

// ---- Processes -------------------------------------------------------------

namespace {

struct Started {
  pid_t pid;
  int in, out, err;
};

Started start(const std::string& line, bool with_err) {
  std::array<sys::Pipe, 3> pipes;
  const pid_t pid = sys::check(::fork(), "fork");
  if (pid == 0) {
    // A shell ignores ^C for what it runs in the background: us, perhaps.
    for (const int signal : {SIGINT, SIGQUIT, SIGPIPE})
      std::signal(signal, SIG_DFL);
    (void)::dup2(pipes[0].read_end.get(), STDIN_FILENO);
    (void)::dup2(pipes[1].write_end.get(), STDOUT_FILENO);
    if (with_err) (void)::dup2(pipes[2].write_end.get(), STDERR_FILENO);
    ::execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    ::_exit(127);
  }
  const auto keep = [](sys::Fd& end) {
    return ::fcntl(end.get(), F_DUPFD_CLOEXEC, 3);
  };
  return {pid, keep(pipes[0].write_end), keep(pipes[1].read_end),
          keep(pipes[2].read_end)};
}

int wait_status(pid_t pid) {
  int status = 0;
  (void)::waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Result shell(const std::string& line) {
  const auto started = start(line, true);
  ::close(started.in);
  Result result;
  std::array<pollfd, 2> ends{
      {{started.out, POLLIN, 0}, {started.err, POLLIN, 0}}};
  const std::array<std::string*, 2> texts{&result.out, &result.err};
  while (ends[0].fd != -1 || ends[1].fd != -1) {
    ::poll(ends.data(), ends.size(), -1);
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (ends.at(i).revents == 0) continue;
      std::array<char, 4096> chunk{};
      const auto n = ::read(ends.at(i).fd, chunk.data(), chunk.size());
      if (n > 0) texts.at(i)->append(chunk.data(), static_cast<std::size_t>(n));
      // One that prints without end is to end of it.
      if (n <= 0 || texts.at(i)->size() > kMostOutput) {
        ::close(ends.at(i).fd);
        ends.at(i).fd = -1;
      }
    }
  }
  result.status = wait_status(started.pid);
  // For whoever is to be told why: see scripts/learn.
  if (std::getenv("SHOW_ERRORS") != nullptr) std::cerr << result.err;
  return result;
}

void must(const std::string& line) {
  const auto result = shell(line);
  REQUIRE_MESSAGE(result.status == 0, line << ": " << result.err);
}

Running::Running(const std::string& line) {
  const auto started = start("exec " + line, false);
  pid_ = started.pid;
  to_ = started.in;
  from_ = started.out;
  ::close(started.err);
}

Running::~Running() {
  if (pid_ == -1) return;
  ::kill(pid_, SIGTERM);  // Only so can it tidy up.
  if (!eventually(is_gone, pid_)) ::kill(pid_, SIGKILL);
  finish();
}

void Running::say(const std::string& line) const {
  const auto text = line + "\n";
  CHECK(::write(to_, text.data(), text.size()) ==
        static_cast<ssize_t>(text.size()));
}

std::string Running::hear() const {
  std::string line;
  pollfd end{.fd = from_, .events = POLLIN, .revents = 0};
  for (char c = 0;
       ::poll(&end, 1, 10'000) == 1 && ::read(from_, &c, 1) == 1 && c != '\n';)
    line += c;
  return line;
}

pid_t Running::child() const {
  const auto below = children(pid_);
  return below.empty() ? -1 : below.front();
}

int Running::finish() {
  ::close(to_);
  const int status = wait_status(pid_);
  ::close(from_);
  pid_ = -1;
  return status;
}

std::vector<pid_t> children(pid_t pid) {
  const auto number = std::to_string(pid);
  std::istringstream words{
      contents("/proc/" + number + "/task/" + number + "/children")};
  return {std::istream_iterator<pid_t>{words}, {}};
}

bool is_alive(pid_t pid) {
  const auto status = contents("/proc/" + std::to_string(pid) + "/status");
  return !status.empty() && status.find("State:\tZ") == std::string::npos;
}

bool eventually(const std::function<bool(pid_t)>& done, pid_t pid) {
  using std::chrono::steady_clock;
  const auto give_up = steady_clock::now() + std::chrono::seconds{30};
  while (!done(pid)) {
    if (steady_clock::now() > give_up) return false;
    ::poll(nullptr, 0, 5);
  }
  return true;
}

bool comes_to_run(pid_t pid, const std::string& name) {
  const std::function<bool(pid_t)> runs = [&](pid_t above) {
    for (const pid_t below : children(above))
      if (contents("/proc/" + std::to_string(below) + "/comm") == name + "\n" ||
          runs(below))
        return true;
    return false;
  };
  return eventually(runs, pid);
}

// ---- The host --------------------------------------------------------------

std::string contents(const std::string& path) {
  try {
    return sys::read_file(path);
  } catch (const sys::Error&) {  // Of a process that has just ended, say.
    return {};
  }
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  std::istringstream stream{text};
  for (std::string line; std::getline(stream, line);) result.push_back(line);
  return result;
}

bool has_delegated_cgroup() {
  if (::geteuid() == 0) return false;
  try {
    return !sys::find_cgroup_parents({"memory"}).empty();
  } catch (const sys::Error&) {
    return false;
  }
}

bool has_tmpfs_attributes() {
  // Always on a tmpfs, which /dev/shm need not be: see scripts/apart.
  const sys::Fd file{::memfd_create("box-test", MFD_CLOEXEC)};
  const bool kept = ::fsetxattr(file.get(), "user.box", "x", 1, 0) == 0;
  CHECK((kept || errno == EOPNOTSUPP));
  return kept;
}

namespace {

std::string host_name() {
  return contents("/proc/sys/kernel/hostname");
}

std::vector<std::string> links() {
  std::vector<std::string> names;
  for (const auto& line : lines(contents("/proc/self/net/dev")))
    names.push_back(line.substr(0, line.find(':')));
  names.erase(names.begin(), names.begin() + 2);  // Two lines of headings.
  std::sort(names.begin(), names.end());
  return names;
}

// The routes, and the settings for all interfaces and for those to come. As
// root the network is our own: see the end of this file.
std::string network() {
  if (::geteuid() != 0) return {};
  auto all = contents("/proc/self/net/route") +
             contents("/proc/sys/net/ipv4/ip_forward");
  for (const std::string directory :
       {"/proc/sys/net/ipv4/conf/all", "/proc/sys/net/ipv4/conf/default",
        "/proc/sys/net/ipv6/conf/all", "/proc/sys/net/ipv6/conf/default"})
    if (fs::exists(directory))
      for (const auto& setting : fs::directory_iterator{directory})
        all += setting.path().string() + "=" + contents(setting.path());
  return all;
}

// A cable that somebody has just let go is gone soon, but not at once: it is
// not to be taken for the host's.
std::string settled_network() {
  const auto is_settled = [](pid_t) {
    const auto all = links();
    return std::none_of(all.begin(), all.end(), [](const std::string& link) {
      return link.find("box") != std::string::npos;
    });
  };
  if (::geteuid() == 0) (void)eventually(is_settled, 0);
  return network();
}

// Other copies of this project may run beside us.
bool is_ours(const fs::path& path) {
  const auto text = path.string();
  return text.starts_with(build_directory().parent_path().string() + "/") ||
         text.starts_with(place().string() + "/");
}

std::vector<std::string> our_cgroups() {
  std::vector<std::string> found;
  // What scripts/apart runs elsewhere, it removes.
  const auto all = shell(
      "find /sys/fs/cgroup -type d -name 'apart-*' -prune -o -type d "
      "-name 'box-*' -print 2>/dev/null");
  for (const auto& path : lines(all.out)) {
    std::error_code error;
    const auto number = path.substr(path.rfind('-') + 1);
    const auto owner = fs::read_symlink("/proc/" + number + "/exe", error);
    // The number alone proves nothing: when its owner is gone, it may soon be
    // somebody else's. So theirs are only those of a step of theirs that runs.
    const auto name = owner.filename().string();
    const bool is_step = name.size() > 3 && name[0] == '0' && name[2] == '-';
    if (error || !is_step || is_ours(owner)) found.push_back(path);
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Those that run a program of ours, or have a rootfs of ours for their root.
std::vector<std::string> our_processes() {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const auto root = fs::read_symlink(entry.path() / "root", ignored);
    const auto program = fs::read_symlink(entry.path() / "exe", ignored);
    if (program.filename() == "tests") continue;
    if (is_ours(program) || is_ours(root))
      found.push_back(entry.path().filename().string() + " " +
                      program.string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

Unharmed::Unharmed()
    : name_{host_name()},
      mounts_{contents("/proc/self/mountinfo")},
      network_{settled_network()},
      links_{links()},
      cgroups_{our_cgroups()},
      processes_{our_processes()} {}

namespace {

bool is_part_of(const std::vector<std::string>& some,
                const std::vector<std::string>& all) {
  return std::all_of(some.begin(), some.end(), [&](const auto& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  });
}

// The mounts that are there now or were there before, but not both. When
// somebody removes a mount point, its mount goes from all namespaces: that is
// not our harm.
std::string changed_mounts(const std::string& before) {
  const auto earlier = lines(before);
  const auto now = lines(contents("/proc/self/mountinfo"));
  std::string changed;
  std::error_code ignored;
  for (const auto& line : now)
    if (!is_part_of({line}, earlier)) changed += "+ " + line + "\n";
  for (const auto& line : earlier) {
    std::string word;
    std::string mount_point;
    std::istringstream{line} >> word >> word >> word >> word >> mount_point;
    if (!is_part_of({line}, now) && fs::exists(mount_point, ignored))
      changed += "- " + line + "\n";
  }
  return changed;
}

}  // namespace

// NOLINTNEXTLINE(bugprone-exception-escape)
Unharmed::~Unharmed() {
  CHECK(host_name() == name_);
  CHECK(changed_mounts(mounts_) == "");
  // A link goes with its network namespace: soon, but not at once.
  CHECK(eventually([&](pid_t) { return is_part_of(links(), links_); }, 0));
  CHECK(eventually([&](pid_t) { return network() == network_; }, 0));
  // One that was there may go: `make reset` is not only for tests to call. And
  // what is not ours may look so for a moment, but not where we are alone.
  const auto none_is_left = [&](pid_t) {
    return is_part_of(our_cgroups(), cgroups_);
  };
  const bool is_alone = std::getenv("APART") != nullptr;
  CHECK((is_alone ? none_is_left(0) : eventually(none_is_left, 0)));
  CHECK(our_processes() == processes_);
}

}  // namespace host

// As root, the whole run has a network and mounts of its own for a host:
// nothing that a failing test leaves behind outlives it. Mounts are shared, as
// they are on a host with systemd, so that one that spreads is seen.
int main(int argc, char** argv) {
  // Ignored by nohup(1), say, they would be ignored by all that we start.
  for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM})
    (void)::signal(number, SIG_DFL);
  if (::geteuid() == 0) {
    sys::check(::unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare a host");
    sys::check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
               "make the mounts private");
    sys::check(::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr),
               "make the mounts shared");
    sys::Netlink{}.set_up("lo");
  }
  doctest::Context context{argc, argv};
  return context.run();
}
