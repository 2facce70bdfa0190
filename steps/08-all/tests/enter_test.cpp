// enter joins a container that is finished, and no other; and what runs there
// then has what the container's own command has.

#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>

#include "common/fd.hpp"
#include "common/testing.hpp"
#include "steps/tests/host.hpp"

using host::Caller, host::must, host::shell, host::step;

TEST_SUITE_BEGIN("enter");

namespace {

// The leak sanitizer stops its own process by a child that it has to know the
// PID of, and waits for ever if its children live in another PID namespace.
std::string enter(Caller caller, const std::string& words) {
  return "env ASAN_OPTIONS=detect_leaks=0 " + host::as(caller, "enter") + " " +
         words;
}

std::string quiet(Caller caller, const std::string& options = {}) {
  return step(caller, "08-all", "--net none --memory none " + options);
}

// The first process from `pid` on down that runs the program `name`, or -1.
pid_t find_program(pid_t pid, const std::string& name) {
  if (host::contents("/proc/" + std::to_string(pid) + "/comm") == name + "\n")
    return pid;
  for (const pid_t below : host::children(pid))
    if (const pid_t found = find_program(below, name); found != -1)
      return found;
  return -1;
}

bool is_stopped(pid_t pid) {
  const auto stat = host::contents("/proc/" + std::to_string(pid) + "/stat");
  const auto state = stat.substr(std::min(stat.rfind(") "), stat.size()), 3);
  return state == ") T" || state == ") t";
}

const std::set<std::string> kMakers{
    "chdir",         "clone",      "clone3",     "execve",      "fork",
    "mount",         "move_mount", "open_tree",  "pivot_root",  "read",
    "mount_setattr", "setresuid",  "setresgid",  "sethostname", "umount2",
    "unshare",       "vfork",      "close_range"};

// The system calls that make a container what it is, from the clone3 to the
// command: each with the how many-th of its kind it is in its process.
std::set<std::pair<std::string, int>> calls(const std::string& line) {
  const auto log = host::scratch("enter-calls") + "/log";
  must("rm -f " + log + "; strace -f -qq -o " + log + " " + line +
       " 2>/dev/null");
  std::map<std::pair<std::string, std::string>, int> counts;
  std::set<std::pair<std::string, int>> found;
  bool is_begun = false;
  std::ifstream file{log};
  for (std::string text; std::getline(file, text);) {
    std::istringstream words{text};
    std::string pid;
    std::string call;
    words >> pid >> call;
    const auto end = call.find('(');
    if (end == call.npos) continue;  // The second half of a line.
    call.resize(end);
    is_begun = is_begun || call == "clone3";
    const int n = ++counts[{pid, call}];
    if (is_begun && kMakers.contains(call)) found.emplace(call, n);
    if (is_begun && call == "execve") break;
  }
  return found;
}

// What tells a finished container from the host, and from a half-built one.
const std::string kFacts =
    "sh -c 'hostname; ls -d /home /work 2>/dev/null; wc -l </proc/mounts; "
    "grep -E \" (/|/dev|/mnt) \" /proc/mounts; grep Secc /proc/self/status'";

// A run of 08-all that stops at the n-th system call of a kind in any process.
class Stopped {
 public:
  Stopped(const std::string& call, int n, const std::string& line)
      : log_{host::scratch("enter-stopped") + "/log"} {
    must("rm -f " + log_);
    tracer_.emplace("strace -f -qq -o " + log_ + " -e trace=" + call +
                    " -e inject=" + call + ":signal=STOP:when=" +
                    std::to_string(n) + " " + line + " 2>/dev/null");
    const auto has_come = [&](pid_t pid) {
      starter_ = find_program(pid, "08-all");
      const bool is_stopped =
          host::contents(log_).find("--- stopped by") != std::string::npos;
      if (starter_ == -1 && is_stopped) go_on();  // It is setpriv(1) yet.
      return starter_ != -1 &&
             (is_stopped || find_program(starter_, "sleep") != -1);
    };
    CHECK(host::eventually(has_come, tracer_->pid()));
  }
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;
  ~Stopped() {
    (void)host::eventually(
        [&](pid_t pid) {
          if (starter_ != -1) ::kill(starter_, SIGTERM);
          go_on();
          return host::is_gone(pid);
        },
        tracer_->pid());
  }

  [[nodiscard]] pid_t pid() const { return starter_; }
  void go_on() const { wake(tracer_->pid()); }

 private:
  static void wake(pid_t pid) {
    if (is_stopped(pid)) ::kill(pid, SIGCONT);
    for (const pid_t below : host::children(pid)) wake(below);
  }

  std::string log_;
  std::optional<host::Running> tracer_;
  pid_t starter_ = -1;
};

// Has enter called while 08-all is stopped.
void enter_at(Caller caller, const std::string& call, int n,
              const std::string& options, const std::string& expected) {
  CAPTURE(call);
  CAPTURE(n);
  const Stopped all{call, n, quiet(caller, options) + "sleep 1000"};
  REQUIRE(all.pid() != -1);
  host::Running visitor{"sh -c '" +
                        enter(caller, "-v " + std::to_string(all.pid())) +
                        " \"$@\" 2>&1' sh " + kFacts};
  std::string rest;
  for (std::string said = visitor.hear(); !said.empty();
       said = visitor.hear()) {
    if (said.find("wait until its container") != std::string::npos)
      CHECK(host::eventually(
          [&](pid_t pid) {
            all.go_on();
            return host::is_gone(pid);
          },
          visitor.pid()));
    if (!said.starts_with("[pid ") && !said.starts_with("enter: wait"))
      rest += said + "\n";
  }
  CHECK(rest == expected);
  CHECK(visitor.finish() == 0);
}

}  // namespace

TEST_AS_BOTH(
    "wherever 08-all is stopped, enter waits for the finished container") {
  if (host::kIsSanitized) return;
  const auto bound = host::scratch("enter-bound");
  const auto options = "--read-only --bind " + bound + ":/mnt:ro";
  const auto expected = shell(quiet(caller, options) + kFacts).out;
  CHECK(expected.starts_with("box\n"));
  int tried = 0;
  for (const auto& [call, n] : calls(quiet(caller, options) + "sleep 0")) {
    enter_at(caller, call, n, options, expected);
    ++tried;
  }
  CHECK(tried > 40);
}

TEST_AS_BOTH("enter takes the PID of 08-all, of PID 1, and of any other") {
  host::Running box{quiet(caller) +
                    "sh -c '(sleep 1000; true) & echo up; read wait'"};
  CHECK(box.hear() == "up");
  CHECK(host::comes_to_run(box.pid(), "sleep"));
  const pid_t sleeper = find_program(box.pid(), "sleep");
  const auto below_init = host::children(box.child());
  REQUIRE(below_init.size() == 1);
  const auto below_command = host::children(testing::first(below_init));
  REQUIRE(below_command.size() == 1);  // A subshell, which has run no program.
  for (const pid_t pid : {box.pid(), box.child(), testing::first(below_init),
                          testing::first(below_command), sleeper}) {
    const auto result = shell(enter(caller, std::to_string(pid)) + " hostname");
    CHECK(result.out == "box\n");
    CHECK(result.err == "");
  }
  box.finish();
}

TEST_AS_BOTH("a command below /proc that cannot run is no fault of /proc") {
  host::Running box{quiet(caller) + "sh -c 'echo up; read wait'"};
  CHECK(box.hear() == "up");
  const auto visit = enter(caller, std::to_string(box.pid())) + " ";
  for (const std::string command : {"/proc/self/exe", "/proc/no/such"}) {
    const auto result = shell(visit + command);
    CHECK(result.err.starts_with("enter: execve(2) " + command + ": "));
    CHECK(result.err.find("PID namespace") == std::string::npos);
  }
  box.finish();
}

TEST_AS_BOTH(
    "enter joins what 05 to 07 run, and a network that is the host's") {
  for (const std::string name :
       {"05-mountns", "06-netns-veth --net none", "06-netns-veth --net host",
        "07-cgroup-memory --net none --memory none",
        "08-all --net host --memory none"}) {
    CAPTURE(name);
    const auto blank = std::min(name.find(' '), name.size());
    host::Running box{step(caller, name.substr(0, blank), name.substr(blank)) +
                      "sh -c 'echo up; read wait'"};
    CHECK(box.hear() == "up");
    const auto visit = enter(caller, std::to_string(box.pid())) + " ";
    CHECK(shell(visit + "hostname").out == "box\n");
    for (const std::string kind : {"net", "ipc", "cgroup", "user", "mnt"}) {
      const auto link = "/ns/" + kind;
      const auto its = shell("readlink /proc/" + std::to_string(box.child()) +
                             "/ns/" + kind);
      const auto here = shell(visit + "readlink /proc/self/ns/" + kind);
      CHECK(here.out.starts_with(kind + ":["));
      if (caller == Caller::kRoot) CHECK(here.out == its.out);
    }
    box.finish();
  }
}

// What the kernel tells of a process's walls. The caller of 08-all and of enter
// might have a filter, in Docker for example; it is in both.
TEST_AS_BOTH("enter has the walls that a member of the container has") {
  const std::string facts =
      "grep -E \"^(Cap(Eff|Prm|Bnd)|NoNewPrivs|Seccomp):\" /proc/self/status";
  std::vector<std::string> containers{
      step(caller, "07-cgroup-memory", "--net none --memory none"),
      quiet(caller)};
  for (const std::string walls :
       {"seccomp", "capabilities", "landlock", "no-new-privs", "hidden-paths",
        "terminal", "init", "keys", "seccomp --without capabilities",
        "no-new-privs --without seccomp --without capabilities"})
    containers.push_back(quiet(caller, "--without " + walls));
  std::set<std::string> seen;
  for (const auto& container : containers) {
    CAPTURE(container);
    host::Running box{container + "sh -c '" + facts + "; echo up; read wait' " +
                      "2>/dev/null"};
    std::string its;
    for (auto line = box.hear(); line != "up" && !line.empty();
         line = box.hear())
      its += line + "\n";
    CHECK(host::lines(its).size() == 5);
    CHECK(shell(enter(caller, std::to_string(box.pid())) + " sh -c '" + facts +
                "'")
              .out == its);
    seen.insert(its);
    box.finish();
  }
  // With all, without one of three, two of them, and without the three.
  CHECK(seen.size() ==
        (host::contents("/proc/self/status").find("Seccomp:\t0") !=
                 std::string::npos
             ? 6
             : 4));
}

// A name proves nothing: any process gives itself one.
TEST_AS_BOTH("enter refuses processes of the host, whatever their names") {
  const auto directory = host::scratch("enter-name");
  std::vector<std::unique_ptr<host::Running>> others;
  std::vector<std::unique_ptr<host::Running>> visitors;
  for (const std::string name : {"08-all", "init", "sleep"}) {
    must("cp $(readlink -f $(command -v sleep)) " + directory + "/" + name);
    others.push_back(
        std::make_unique<host::Running>(directory + "/" + name + " 1000"));
    visitors.push_back(std::make_unique<host::Running>(
        "sh -c 'exec " + enter(caller, std::to_string(others.back()->pid())) +
        " true 2>&1'"));
  }
  for (std::size_t i = 0; i < others.size(); ++i) {
    CHECK(visitors[i]->hear().starts_with("enter: process " +
                                          std::to_string(others[i]->pid()) +
                                          " is in no container and runs none"));
    CHECK(visitors[i]->finish() == 125);
  }
}

TEST_AS_ROOT("enter refuses a process that has something of the host's") {
  // First what every container has of its own, then the directory tree.
  for (const std::string own :
       {"--mount --pid --uts", "--user --pid --mount", "--user --pid --uts",
        "--user --map-root-user --mount --pid --uts"}) {
    CAPTURE(own);
    host::Running other{"unshare --fork " + own + " sleep 1000 2>/dev/null"};
    CHECK(host::comes_to_run(other.pid(), "sleep"));
    const pid_t sleeper = find_program(other.pid(), "sleep");
    const auto result =
        shell(enter(Caller::kRoot, std::to_string(sleeper)) + " true");
    CHECK(result.status == 125);
    CHECK(result.err.find(own.find("map") == own.npos
                              ? " is in no container"
                              : " the root directory of the host") !=
          std::string::npos);
    ::kill(sleeper, SIGKILL);
  }
}

TEST_AS_USER("enter says whose container it is, if it is another's") {
  if (::geteuid() != 0) return;
  host::Running box{quiet(Caller::kRoot) + "sh -c 'echo up; read wait'"};
  CHECK(box.hear() == "up");
  const auto result =
      shell(enter(Caller::kUser, std::to_string(box.pid())) + " true");
  CHECK(result.status == 125);
  CHECK(result.err.find("EACCES") != std::string::npos);
  CHECK(result.err.find("the user who started it, or as root") !=
        std::string::npos);
  box.finish();
}

TEST_AS_BOTH("enter says what it waits for, and a signal ends it meanwhile") {
  if (host::kIsSanitized) return;
  const auto visit = [&](pid_t pid) {
    return "sh -c 'exec " + enter(caller, std::to_string(pid)) +
           " echo inside 2>&1'";
  };
  std::optional<Stopped> all;
  all.emplace("pivot_root", 1, quiet(caller) + "sleep 1000");
  const auto first = host::children(all->pid());
  REQUIRE(first.size() == 1);
  const auto told =
      "enter: wait until the container of process " +
      std::to_string(all->pid()) + " runs its command; hint: process " +
      std::to_string(testing::first(first)) + " is stopped: kill -CONT " +
      std::to_string(testing::first(first));
  for (const int signal : {SIGTERM, SIGINT, SIGKILL}) {
    host::Running visitor{visit(all->pid())};
    CHECK(visitor.hear() == told);
    ::kill(visitor.pid(), signal);
    CHECK(visitor.finish() == 128 + signal);
  }
  // It ends while somebody waits for it.
  host::Running visitor{visit(all->pid())};
  CHECK(visitor.hear() == told);
  const auto ended = "enter: poll(2) process " + std::to_string(all->pid()) +
                     ": wait for its container: No such process (ESRCH); "
                     "hint: the container has ended: pgrep 08-all prints those "
                     "of 08-all";
  all.reset();
  CHECK(visitor.hear() == ended);
  CHECK(visitor.finish() == 125);
}

// Where cgroup v2 is mounted, or "".
std::string cgroup2() {
  for (const auto& line : host::lines(host::contents("/proc/self/mountinfo")))
    if (line.find(" - cgroup2 ") != line.npos) {
      std::istringstream words{line};
      std::string word;
      for (int i = 0; i < 5; ++i) words >> word;
      return word;
    }
  return {};
}

// As of another session of the same user: the cgroup above both is root's.
TEST_CASE_FIXTURE(host::Unharmed,
                  "enter tells where from a container can be entered (user)" *
                      doctest::skip(::geteuid() != 0 || cgroup2().empty())) {
  host::Running box{quiet(Caller::kUser) + "sh -c 'echo up; read wait'"};
  CHECK(box.hear() == "up");
  const auto number = std::to_string(box.pid());
  const auto session = cgroup2() + "/enter-test-" + number;
  const auto group = session + "/box-" + number;
  must("mkdir -p " + group + " && chown -R 54321:54321 " + session);
  const auto command = host::children(box.child());
  REQUIRE(command.size() == 1);
  must("echo " + std::to_string(command.front()) + " >" + group +
       "/cgroup.procs");
  const auto result = shell(enter(Caller::kUser, number) + " true");
  CHECK(result.status == 125);
  CHECK(result.err.find("EACCES") != result.err.npos);
  CHECK(result.err.find("from the session that runs it") != result.err.npos);
  // Root, and the user in that session, enter it.
  CHECK(shell(enter(Caller::kRoot, number) + " hostname").out == "box\n");
  must("mkdir " + session + "/shell && chown -R 54321:54321 " + session +
       "/shell");
  CHECK(shell("echo $$ >" + session + "/shell/cgroup.procs; " +
              enter(Caller::kUser, number) + " hostname")
            .out == "box\n");
  box.finish();
  CHECK(host::eventually(
      [&](pid_t) {
        return shell("rmdir " + group + " " + session + "/shell " + session)
                       .status == 0 ||
               !std::filesystem::exists(session);
      },
      0));
}

// What a command line prints that has a terminal for its standard streams.
std::string on_a_terminal(const std::string& line) {
  int master = -1;
  const pid_t pid = ::forkpty(&master, nullptr, nullptr, nullptr);
  if (pid == 0) {
    ::execl("/bin/sh", "sh", "-c", ("exec " + line).c_str(), nullptr);
    ::_exit(127);
  }
  const sys::Fd end{master};
  std::string text;
  std::array<char, 1024> chunk{};
  for (;;) {
    pollfd output{master, POLLIN, 0};
    if (::poll(&output, 1, 60'000) != 1) break;
    const auto n = ::read(master, chunk.data(), chunk.size());
    if (n <= 0) break;
    text.append(chunk.data(), static_cast<std::size_t>(n));
  }
  ::kill(pid, SIGKILL);  // If it hangs.
  (void)::waitpid(pid, nullptr, 0);
  return text;
}

// It is hidden from its own user, because nobody may look into PID 1.
TEST_AS_ROOT("enter does not wait for what /proc hides") {
  const sys::Defer show{[] { must("mount -o remount,hidepid=0 /proc"); }};
  host::Running box{quiet(Caller::kUser) + "sh -c 'echo up; read wait'"};
  CHECK(box.hear() == "up");
  for (const std::string hidepid : {"1", "2"}) {
    CAPTURE(hidepid);
    must("mount -o remount,hidepid=" + hidepid + " /proc");
    const auto result = shell(enter(Caller::kUser, std::to_string(box.pid())) +
                              " true </dev/null");
    CHECK(result.status == 125);
    CHECK(result.err.find("hidepid in proc(5)); hint: run it as root") !=
          std::string::npos);
    CHECK(shell(enter(Caller::kRoot, std::to_string(box.pid())) + " true")
              .status == 0);
  }
  box.finish();
}

TEST_AS_ROOT("enter tells that its command came to the memory limit") {
  host::Running box{step(Caller::kRoot, "08-all", "--net none --memory 32M") +
                    "sh -c 'echo up; read wait'"};
  CHECK(box.hear() == "up");
  const auto pid = std::to_string(box.pid());
  const auto quiet = shell(enter(Caller::kRoot, pid + " true"));
  CHECK(quiet.err.empty());
  const auto killed =
      shell(enter(Caller::kRoot, pid + " tail -c 100000000 /dev/zero"));
  CHECK(killed.status == 128 + SIGKILL);
  CHECK(killed.err ==
        "enter: a process was killed: the container came to its memory "
        "limit\n");
  // What was killed before is none of it.
  CHECK(shell(enter(Caller::kRoot, pid + " true")).err.empty());
  box.finish();
}

TEST_AS_BOTH("the terminal that enter gives has a name in the container") {
  // Where a link of the container's leads, does not matter.
  for (const std::string before : {"", "ln -sf /dev/zero /dev/ptmx; "}) {
    host::Running box{quiet(caller) + "sh -c '" + before +
                      "echo up; read wait'"};
    CHECK(box.hear() == "up");
    const auto shown = on_a_terminal(
        enter(caller, std::to_string(box.pid())) +
        " sh -c 'tty; echo written >$(tty); echo again >/dev/tty'");
    CHECK(shown == "/dev/pts/0\r\nwritten\r\nagain\r\n");
    box.finish();
  }
}

// A process that waits in sendfile(2) from a terminal to a pipe keeps the pipe
// locked, and this one outlives the command of build/enter.
TEST_AS_BOTH("who stays behind in the container cannot hold enter up") {
  for (const int signal : {SIGTERM, SIGKILL}) {
    CAPTURE(signal);
    host::Running box{quiet(caller) + "sh -c 'echo up; read wait'"};
    CHECK(box.hear() == "up");
    host::Running entered{enter(caller, std::to_string(box.pid())) +
                          " sh -c 'cat /dev/ptmx & sleep 0.3'"};
    CHECK(host::comes_to_run(box.pid(), "cat"));  // Once it has stayed behind.
    ::kill(entered.pid(), signal);
    CHECK(host::eventually(host::is_gone, entered.pid()));
    box.finish();
  }
}

// A stress beside the test above: by the clock, and with the shell's own fork.
TEST_AS_BOTH("enter called at once, or a moment later, is in the container") {
  const auto line = quiet(caller) + "sleep 1000 & all=$!; sleep 0.0";
  for (int i = 0; i < 30; ++i) {
    const auto result =
        shell(line + (i % 16 < 10 ? "0" : "") + std::to_string(i % 16) + "; " +
              enter(caller, "$all") +
              " sh -c 'hostname; ls -d /home /work'; "
              "kill $all; wait $all");
    CHECK(result.out == "box\n");
  }
}

namespace {

// All that a process can see of itself, but its numbers, and what it uses. Both
// are of the shell that runs this.
const std::string kOfItself =
    "umask; pwd; ulimit -a; ulimit -Ha; env | sort; nice; ionice; "
    "taskset -p $$ | sed 's/.*: //'; ls /proc/$$/fd\n"
    "stat -c %u:%g /proc/$$ /proc/$$/environ\n"
    "for name in cgroup coredump_filter gid_map limits loginuid mounts "
    "oom_score_adj personality sessionid setgroups timerslack_ns uid_map; do "
    "echo $name; cat /proc/$$/$name; done\n"
    "for link in cwd root ns/cgroup ns/ipc ns/mnt ns/net ns/pid ns/time "
    "ns/user ns/uts; do readlink /proc/$$/$link; done\n"
    "grep -vE '^(Name|State|Tgid|Ngid|Pid|PPid|FDSize|NStgid|NSpid|NSpgid|"
    "NSsid|Vm.*|Rss.*|HugetlbPages|Threads|SigQ|.*_switches|Kthread):' "
    "/proc/$$/status\n";

// What the command of a container sees, and what one that enters it sees, each
// called with words in front of it.
void compare(Caller caller, const std::string& before_all,
             const std::string& before_enter) {
  CAPTURE(before_all);
  CAPTURE(before_enter);
  const auto script = host::scratch("enter-facts") + "/facts";
  std::ofstream{script} << kOfItself;
  host::Running box{"sh -c '" + before_all + " " +
                    quiet(caller, "--bind " + script + ":/facts") +
                    "sh -c \". /facts 2>&1; echo over; read wait\"'"};
  std::vector<std::string> its;
  for (auto line = box.hear(); line != "over"; line = box.hear()) {
    REQUIRE((!line.empty() || its.empty() || !its.back().empty()));
    its.push_back(line);
  }
  // The shell is replaced by 08-all or waits for it.
  const pid_t all = find_program(box.pid(), "08-all");
  const auto visit =
      shell(before_enter + " " + enter(caller, std::to_string(all)) +
            " sh -c '. /facts 2>&1' 2>&1");
  const auto seen = host::lines(visit.out);
  CHECK(its.size() > 80);
  REQUIRE(seen.size() == its.size());
  for (std::size_t i = 0; i < its.size(); ++i) CHECK(seen[i] == its[i]);
  box.finish();
}

}  // namespace

TEST_AS_BOTH("what enters a container sees of itself what its command sees") {
  compare(caller, "", "");
  // These are the caller's of 08-all or of enter, and neither counts inside.
  for (const std::string odd :
       {"umask 077;", "umask 0;", "ulimit -S -n 100;", "ulimit -S -c 0;",
        "setarch -R", "setarch --addr-compat-layout", "SECRET=x"}) {
    compare(caller, odd, "");
    compare(caller, "", odd);
  }
  // The limits of 08-all bind the container, and so also what enters it.
  for (const std::string lower : {"ulimit -n 100;", "ulimit -f 4096;",
                                  "ulimit -s 4096;", "prlimit --nproc=2000"})
    compare(caller, lower, "");
  // And these come from the caller, of the one and of the other.
  for (const std::string both : {"nice -n 5", "ionice -c 3", "taskset -c 0",
                                 "trap \"\" USR1;", "choom -n 500 --"})
    compare(caller, both, both);
}

TEST_SUITE_END();
