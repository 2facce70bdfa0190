#define DOCTEST_CONFIG_IMPLEMENT
#include "steps/tests/host.hpp"
#include "common/file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <sstream>

#include "common/cgroup.hpp"

namespace fs = std::filesystem;

namespace host {

bool is_learners() {
  return std::getenv("ONLY_STEP") != nullptr;
}

// Asked before some test takes /proc away.
fs::path& build_directory() {
  static auto directory = fs::read_symlink("/proc/self/exe").parent_path();
  return directory;
}

namespace {

// An id that nobody has.
constexpr int kUser = 54321;

constexpr std::size_t kMostOutput = 1 << 24;

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
  static const Place place;
  return place.path();
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
    // build/rootfs is not copied: other tests write into it meanwhile.
    const char* const chosen = std::getenv("TEST_ROOTFS");
    const auto original =
        chosen != nullptr ? fs::path{chosen} : build_directory() / "rootfs-new";
    must((fs::exists(original) ? "cp -a '" + original.string() + "' "
                               : "rootfs/build ") +
         copy.string() + " && chown -Rh " + std::to_string(kUser) + ":" +
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
  sys::Pipe copy;  // Open in the copy of the tests, until it becomes a shell.
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
  // A signal that a test sends earlier would reach doctest, which catches it.
  copy.write_end.reset();
  char ignored = 0;
  [[maybe_unused]] const auto n = ::read(copy.read_end.get(), &ignored, 1);
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

std::vector<Ran>& ran() {
  static std::vector<Ran> all;
  return all;
}

bool& has_failed() {
  static bool has = false;
  return has;
}

namespace {

// Enough to tell: some print megabytes.
void note_output(std::string& noted, const std::string& more) {
  constexpr std::size_t kMost = 2000;
  noted += more.substr(0, kMost - std::min(kMost, noted.size()));
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
  auto& noted = ran().emplace_back(Ran{line, result.status, {}, {}});
  note_output(noted.out, result.out);
  note_output(noted.err, result.err);
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
  ran_ = ran().size();
  ran().push_back({line, -1, {}, {}});
}

Running::~Running() {
  if (pid_ == -1) return;
  ::kill(pid_, SIGTERM);  // Only so can it tidy up.
  if (!eventually(is_gone, pid_)) ::kill(pid_, SIGKILL);
  finish();
}

void Running::say(const std::string& line) const {
  const auto text = line + "\n";
  // If the program has ended, that is a failure of one test, and not our end.
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  const auto written = ::write(to_, text.data(), text.size());
  (void)::signal(SIGPIPE, before);
  CHECK(written == static_cast<ssize_t>(text.size()));
}

std::string Running::hear() const {
  std::string line;
  pollfd end{.fd = from_, .events = POLLIN, .revents = 0};
  const int patience = has_failed() ? 1000 : 60'000;
  for (char c = 0; ::poll(&end, 1, patience) == 1 &&
                   ::read(from_, &c, 1) == 1 && c != '\n';)
    line += c;
  note_output(ran().at(ran_).out, line + "\n");
  // At the end of its output it ends, as a rule, with a status that is told.
  siginfo_t info{};
  for (int i = 0; i < 200 && line.empty() && (end.revents & POLLHUP) != 0 &&
                  info.si_pid != pid_;
       ++i) {
    (void)::waitid(P_PID, static_cast<id_t>(pid_), &info,
                   WEXITED | WNOHANG | WNOWAIT);
    ::poll(nullptr, 0, 5);
  }
  if (info.si_pid == pid_)
    ran().at(ran_).status =
        info.si_status + (info.si_code == CLD_EXITED ? 0 : 128);
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
  ran().at(ran_).status = status;
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
  const auto give_up =
      steady_clock::now() + std::chrono::seconds{has_failed() ? 1 : 30};
  while (!done(pid)) {
    if (steady_clock::now() > give_up) return false;
    ::poll(nullptr, 0, 5);
  }
  return true;
}

namespace {

// Whether a process gets no more of KILL: it sleeps, has no KILL pending, and
// is not ending. PID 1 of a namespace sleeps while it ends, until all others
// have.
bool stays(pid_t pid) {
  constexpr unsigned kExiting = 0x4;  // PF_EXITING of the kernel.
  constexpr int kFlags = 6;           // The seventh word behind the name.
  const auto directory = "/proc/" + std::to_string(pid);
  const auto status = contents(directory + "/status");
  for (const std::string field : {"\nSigPnd:\t", "\nShdPnd:\t"}) {
    const auto at = status.find(field);
    if (at == std::string::npos) return false;
    const auto pending =
        std::strtoull(status.c_str() + at + field.size(), nullptr, 16);
    if ((pending >> (SIGKILL - 1) & 1) != 0) return false;
  }
  const auto stat = contents(directory + "/stat");
  std::istringstream words{stat.substr(std::min(stat.size(), stat.rfind(')')))};
  std::string word;
  std::string state;
  unsigned flags = kExiting;
  words >> word >> state;
  for (int i = 1; i < kFlags; ++i) words >> word;
  words >> flags;
  return state == "S" && (flags & kExiting) == 0;
}

}  // namespace

bool ends(pid_t pid) {
  (void)eventually([](pid_t one) { return is_gone(one) || stays(one); }, pid);
  return is_gone(pid);
}

bool comes_to_run(pid_t pid, const std::string& name) {
  const std::function<bool(pid_t)> runs = [&](pid_t above) {
    for (const pid_t below : children(above))
      if (contents("/proc/" + std::to_string(below) + "/comm") == name + "\n" ||
          runs(below))
        return true;
    return false;
  };
  (void)eventually([&](pid_t one) { return runs(one) || is_gone(one); }, pid);
  return runs(pid);
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

bool can_trace() {
  return ::geteuid() == 0 && !kIsSanitized && fs::exists("/usr/bin/strace");
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
  // Always on a tmpfs, which /dev/shm need not be: see scripts/host/host.
  const sys::Fd file{::memfd_create("box-test", MFD_CLOEXEC)};
  const bool kept = ::fsetxattr(file.get(), "user.box", "x", 1, 0) == 0;
  if (!kept && errno != EOPNOTSUPP)
    throw sys::Error{errno, "give a file on a tmpfs an attribute"};
  return kept;
}

namespace {

// What follows belongs to the throw-away host of root's tests. An ordinary user
// can change none of it, but others can, meanwhile.
std::string host_name() {
  return ::geteuid() != 0 ? "" : contents("/proc/sys/kernel/hostname");
}

std::vector<std::string> links() {
  std::vector<std::string> names;
  if (::geteuid() != 0) return names;
  for (const auto& line : lines(contents("/proc/self/net/dev")))
    names.push_back(line.substr(0, line.find(':')));
  // Two lines of headings.
  names.erase(names.begin(),
              names.begin() + std::min<long>(2, std::ssize(names)));
  std::sort(names.begin(), names.end());
  return names;
}

// The routes, and the settings for all interfaces and for those to come.
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

// As an ordinary user, we see the processes of other copies of this project.
bool is_ours(const fs::path& path) {
  const auto text = path.string();
  return text.starts_with(build_directory().parent_path().string() + "/") ||
         text.starts_with(place().string() + "/");
}

// A directory that goes while we look is passed over.
void find_cgroups(const fs::path& directory, std::vector<std::string>& found) {
  std::error_code gone;
  const fs::directory_iterator end;
  for (fs::directory_iterator entry{directory, gone}; !gone && entry != end;
       entry.increment(gone)) {
    std::error_code unknown;
    const auto name = entry->path().filename().string();
    if (entry->is_symlink(unknown) || !entry->is_directory(unknown)) continue;
    if (name.starts_with("box-")) found.push_back(entry->path());
    find_cgroups(entry->path(), found);
  }
}

}  // namespace

std::vector<std::string> our_cgroups() {
  std::vector<std::string> found;
  find_cgroups("/sys/fs/cgroup", found);
  // An ordinary user sees the machine's.
  std::erase_if(found, [](const std::string& path) {
    struct stat about {};
    return ::geteuid() != 0 &&
           (::stat(path.c_str(), &about) != 0 || about.st_uid != ::geteuid());
  });
  std::sort(found.begin(), found.end());
  return found;
}

namespace {

// Those that run a program of ours, or have a rootfs of ours for their root.
std::vector<std::string> our_processes() {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    if (std::isdigit(entry.path().filename().c_str()[0]) == 0) continue;
    const auto root = fs::read_symlink(entry.path() / "root", ignored);
    const auto program = fs::read_symlink(entry.path() / "exe", ignored);
    // Us: also if we were built anew meanwhile, and the file is "(deleted)".
    if (program.filename().string().starts_with("tests")) continue;
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
      mounts_{mounts()},
      network_{settled_network()},
      links_{links()},
      cgroups_{our_cgroups()},
      processes_{our_processes()} {}

namespace {

// What is in one list and not in another, a line each.
std::string only_in(const std::vector<std::string>& some,
                    const std::vector<std::string>& others,
                    const std::string& mark) {
  std::string found;
  for (const auto& one : some)
    if (std::find(others.begin(), others.end(), one) == others.end())
      found += mark + one + "\n";
  return found;
}

}  // namespace

std::string changed(const std::vector<std::string>& before,
                    const std::vector<std::string>& now) {
  return only_in(now, before, "+ ") + only_in(before, now, "- ");
}

std::vector<std::string> mounts() {
  return ::geteuid() != 0 ? std::vector<std::string>{}
                          : lines(contents("/proc/self/mountinfo"));
}

// When somebody removes a mount point, its mount goes from all namespaces: that
// is not our harm. ip-netns(8) may have made the same one again since.
std::string changed_mounts(const std::vector<std::string>& before) {
  std::vector<std::string> earlier;
  std::error_code ignored;
  const auto now = mounts();
  std::copy_if(before.begin(), before.end(), std::back_inserter(earlier),
               [&](const std::string& line) {
                 std::string word;
                 std::string mount_point;
                 std::istringstream{line} >> word >> word >> word >> word >>
                     mount_point;
                 return only_in({line}, now, "").empty() ||
                        (line.find(" - nsfs ") == line.npos &&
                         fs::exists(mount_point, ignored));
               });
  return changed(earlier, now);
}

// NOLINTNEXTLINE(bugprone-exception-escape)
Unharmed::~Unharmed() {
  if (has_failed()) ran().clear();  // The harm is not of what ran last.
  const auto same = [](const std::string& what, const std::string& changes) {
    CHECK_MESSAGE(changes == "", what << ": " << changes);
  };
  CHECK_MESSAGE(host_name() == name_, "the host has another name than before");
  same(
      "the host's mount table afterwards is not as before: a mount is left, "
      "or one is gone",
      changed_mounts(mounts_));
  // What was killed ends soon, but not at once; so does a network namespace,
  // and a link goes with it. A cgroup goes with its program, or never.
  (void)eventually(
      [&](pid_t) {
        return only_in(links(), links_, "").empty() && network() == network_ &&
               changed(processes_, our_processes()).empty();
      },
      0);
  same("a network link is left on the host", only_in(links(), links_, "+ "));
  same(
      "the host has another route, or another setting of its network, than "
      "before",
      changed(lines(network_), lines(network())));
  // One that was there may go: an ordinary user's tests are not alone.
  same("a cgroup is left on the host", only_in(our_cgroups(), cgroups_, "+ "));
  same("a process is left on the host", changed(processes_, our_processes()));
}

namespace {

// As root, the tests run on a host that may be harmed: nothing that a failing
// test leaves behind outlives it, and what others do meanwhile is not seen.
void move_to_a_host(char** argv) {
  if (::geteuid() != 0 || std::getenv("TESTS_ON_A_HOST") != nullptr) return;
  auto program = fs::read_symlink("/proc/self/exe").string();
  std::string host = "scripts/host/host";
  std::string option = "--no-limits";
  std::vector<char*> words{host.data(), option.data(), program.data()};
  while (*argv != nullptr) words.push_back(*++argv);
  (void)::execv(host.c_str(), words.data());
  throw sys::Error{errno, "execve(2) " + host + ": as root, from the top"};
}

// Another place that shows the project. Nothing is ever removed in it: rmdir(2)
// removes only an empty directory.
class PlainPath {
 public:
  explicit PlainPath(const fs::path& top) {
    if (::mkdtemp(directory_.data()) == nullptr)
      throw sys::Error{errno, "mkdir(2) " + directory_};
    link_ = directory_ + "/project";
    if (is_mount_) {
      sys::check(
          ::mount(top.c_str(), directory_.c_str(), nullptr, MS_BIND, nullptr),
          "mount(2) MS_BIND: show the project at a plain path");
    } else {
      sys::check(::symlink(top.c_str(), link_.c_str()),
                 "symlink(2): show the project at a plain path");
    }
  }
  PlainPath(const PlainPath&) = delete;
  PlainPath& operator=(const PlainPath&) = delete;
  ~PlainPath() {
    if (owner_ != ::getpid()) return;
    (void)::chdir("/");
    (void)(is_mount_ ? ::umount2(directory_.c_str(), MNT_DETACH)
                     : ::unlink(link_.c_str()));
    (void)::rmdir(directory_.c_str());
  }

  [[nodiscard]] fs::path path() const { return is_mount_ ? directory_ : link_; }

 private:
  bool is_mount_ = ::geteuid() == 0;
  pid_t owner_ = ::getpid();
  std::string directory_ = "/tmp/box-project.XXXXXX";
  std::string link_;
};

// The tests write command lines, and the path of the project may have a blank
// or a quote in it.
void use_a_plain_path() {
  const auto top = fs::current_path();
  const auto is_plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view{"/._+-"}.find(c) != std::string_view::npos;
  };
  if (std::all_of(top.native().begin(), top.native().end(), is_plain)) return;
  const auto below = build_directory().lexically_relative(top);
  static const PlainPath shown{top};
  fs::current_path(shown.path());
  ::setenv("PWD", shown.path().c_str(), 1);  // A shell believes it.
  build_directory() = shown.path() / below;
}

// nohup(1) ignores a signal, for example, and perf(1) blocks one. The programs
// that we start would inherit that. Returns whether there was something to
// reset.
bool reset_signals() {
  bool is_ignored = false;
  for (int number = 1; number <= SIGRTMAX; ++number)
    if (::signal(number, SIG_DFL) == SIG_IGN) is_ignored = true;
  sigset_t all;
  sigset_t blocked;
  (void)::sigfillset(&all);
  (void)::sigprocmask(SIG_UNBLOCK, &all, &blocked);
  return is_ignored || ::sigisemptyset(&blocked) == 0;
}

struct Told {
  const char* name;
  const char* suite;
  Promise promise;
};

// Those of all tests. They are noted before main.
std::vector<Told>& promises() {
  static std::vector<Told> all;
  return all;
}

// As JSON, for the checker.
void print_promises() {
  std::cout << "[";
  const char* between = "\n";
  for (const auto& [name, suite, promise] : promises()) {
    const bool is_users = std::string_view{name}.ends_with(" (user)");
    const auto& kept = promise.kept;
    std::cout << between << R"({"name": )" << std::quoted(name)
              << R"(, "suite": )" << std::quoted(suite) << R"(, "kept": )"
              << std::quoted(is_users ? kept.as_user : kept.as_root)
              << R"(, "pieces": [)";
    const char* comma = "";
    for (const char* const piece : promise.pieces) {
      std::cout << comma << std::quoted(piece);
      comma = ", ";
    }
    std::cout << R"(], "fails": )" << std::quoted(promise.fails.words) << "}";
    between = ",\n";
  }
  std::cout << "]\n";
}

}  // namespace

void Promise::fill(const doctest::detail::TestCase& test) const {
  if (kept.as_root != nullptr)
    promises().push_back({test.m_name, test.m_test_suite, *this});
}

}  // namespace host

// NOLINTNEXTLINE(bugprone-exception-escape): it has nobody to tell it to.
int main(int argc, char** argv) {
  if (argc == 2 && argv[1] == std::string_view{"--promises"}) {
    host::print_promises();
    return 0;
  }
  // common/signals.cpp notes the caller's mask before main, so begin again.
  if (host::reset_signals()) (void)::execv("/proc/self/exe", argv);
  doctest::Context context{argc, argv};
  if (!context.shouldExit()) host::move_to_a_host(argv);
  host::use_a_plain_path();
  return context.run();
}
