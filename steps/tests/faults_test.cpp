// What if the kernel says no, in the middle? strace(1) can make any system call
// fail, and send a signal at any: so try them all, one at a time. (But not the
// sanitizers, whose own calls would fail, too, and who refuse to be traced.)

#include "common/testing.hpp"
#include "steps/tests/host.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

using host::Caller, host::shell, host::step;
namespace fs = std::filesystem;

TEST_SUITE_BEGIN("08-all");

namespace {

std::string traced(const std::string& options) {
  return "timeout -s KILL 20 strace -f -qq " + options + " " +
         step(Caller::kRoot, "08-all") + "true";
}

// Each system call of a run, and how often the one process makes it that makes
// it most: strace counts for each.
std::map<std::string, int> calls() {
  const auto log = host::scratch("faults") + "/log";
  host::must(traced("-o " + log) + " 2>/dev/null");
  std::map<std::string, int> most;
  std::map<std::pair<std::string, std::string>, int> counts;
  std::ifstream file{log};
  for (std::string line; std::getline(file, line);) {
    std::istringstream words{line};
    std::string pid;
    std::string call;
    words >> pid >> call;
    const auto end = call.find('(');
    if (end == std::string::npos) continue;  // The second half of a line.
    call.resize(end);
    most[call] = std::max(most[call], ++counts[{pid, call}]);
  }
  return most;
}

// Runs it once for each call, with that one tampered with. Left out are the
// calls that the C library makes before main or for its threads, and those that
// cannot fail. All of them take minutes in a virtual machine, so it is a share
// of them, or all with TEST_SHARE=1. Returns how many. `where` is strace's
// lines of the calls that were tampered with.
int tamper(
    const std::string& how,
    const std::function<void(const std::string& call, const std::string& where,
                             const host::Result& result)>& check) {
  const std::string untouched{
      " access arch_prctl brk execve exit exit_group futex fcntl geteuid "
      "getgid "
      "getpgrp "
      "getpid getrandom getuid kill mprotect prlimit64 readlink readlinkat "
      "rseq "
      "rt_sigaction rt_sigprocmask rt_sigreturn set_robust_list "
      "set_tid_address tgkill umask wait4 "};
  const testing::Share share;
  INFO(share.words());
  const auto log = host::scratch("faults") + "/injected";
  int tried = 0;
  unsigned long number = 0;
  for (const auto& entry : calls()) {
    const auto& call = entry.first;
    if (untouched.find(" " + call + " ") != untouched.npos) continue;
    for (int n = 1; n <= entry.second; ++n) {
      if (!share.has(number++)) continue;
      ++tried;
      CAPTURE(call);
      CAPTURE(n);
      const host::Unharmed unharmed;
      const auto result = shell(traced(
          "-ff -y -o " + log + " -e trace=" + call + " -e inject=" + call +
          ":" + how + ":when=" + std::to_string(n)));
      check(call, shell("grep -h INJECTED " + log + ".*; rm " + log + ".*").out,
            result);
    }
  }
  return tried;
}

// Whether a line has the name of a call behind `prefix`: "08-all: mount(2) ".
bool names_a_call(const std::string& line, const std::string& prefix) {
  return std::regex_search(line, std::regex{"^" + prefix + "\\w+\\(\\d\\)"});
}

}  // namespace

TEST_CASE("each line of -v begins with the call that was made" *
          doctest::skip(::geteuid() != 0)) {
  for (const std::string name :
       {"01-chroot", "02-pidns", "03-userns", "04-uts", "05-mountns",
        "06-netns-veth", "07-cgroup-memory", "08-all"}) {
    const auto result = shell(step(Caller::kRoot, name, "-v") + "true");
    CHECK(result.status == 0);
    for (const auto& line : host::lines(result.err)) {
      CAPTURE(name);
      CAPTURE(line);
      CHECK((names_a_call(line, R"(\[pid \d+\] )") ||
             line.starts_with(name + ": no ")));
    }
  }
}

// It looks at a host on which others have just run.
TEST_CASE("a cable that goes while the fixture looks is nobody's harm" *
          doctest::skip(::geteuid() != 0)) {
  CHECK(shell(step(Caller::kRoot, "08-all") + "true").status == 0);
  const host::Unharmed unharmed;
}

TEST_CASE("whichever system call fails: one line, 125, and nothing is left" *
          doctest::skip(::geteuid() != 0 || host::kIsSanitized)) {
  // A file that cannot be closed is closed all the same; what cannot be looked
  // at or waited for is looked at again, or read; memory that is not given back
  // goes with the process; the image need not be the library's; a stream that
  // cannot be asked whether it is of use is used. And input is read only if the
  // command is slower than the thread that copies it.
  const std::set<std::string> harmless{
      "close",           "close_range", "ioctl",         "poll",
      "prctl",           "read",        "rt_sigpending", "rmdir",
      "rt_sigtimedwait", "socket",      "madvise",       "munmap",
      "lseek",           "splice",      "readv",         "writev"};
  // The write to an eventfd that wakes a thread is made again. A run that
  // makes fewer calls than the one before has no line: nothing was done to it.
  const auto wakes_a_thread = [](const std::string& where) {
    const auto all = host::lines(where);
    return std::all_of(all.begin(), all.end(), [](const auto& line) {
      return line.starts_with("write(") && line.find("[eventfd]") != line.npos;
    });
  };
  int stopped = 0;
  const int tried =
      tamper("error=EIO", [&](const std::string& call, const std::string& where,
                              const host::Result& result) {
        CAPTURE(result.err);
        CAPTURE(where);
        if (result.status != 0) {
          ++stopped;
          CHECK(result.status == 125);
          CHECK(host::lines(result.err).size() == 1);
          CHECK(names_a_call(result.err, "08-all: "));
          CHECK(!where.empty());  // strace's log is where we look for it.
        } else if (result.err.empty()) {
          CHECK((harmless.contains(call) || wakes_a_thread(where)));
        }
        CHECK((result.err.empty() || result.err.starts_with("08-all: ")));
        // What could not be undone is said.
        const std::string doing = "rmdir(2) ";
        const auto at = result.err.find(doing);
        if (at != std::string::npos && call == "rmdir") {
          const auto path = result.err.substr(at + doing.size());
          fs::remove(path.substr(0, path.find(": ")));
        }
      });
  // Most of them it cannot do without.
  CHECK(tried > 0);
  CHECK(stopped > tried / 4);
}

// The child fails while the parent, which is late, still prepares its way: maps
// its ids, plugs in a cable, puts it into a cgroup.
TEST_CASE("of a child that fails, and a parent then, the child's line is told" *
          doctest::skip(::geteuid() != 0 || host::kIsSanitized)) {
  const std::string strace =
      "strace -f -qq -o /dev/null -e inject=clone3:delay_exit=300000 "
      "-e inject=";
  const auto is_told = [](const host::Result& result,
                          const std::string& program, const std::string& what) {
    CAPTURE(result.err);
    CHECK(result.status == 125);
    CHECK(result.out.empty());
    CHECK(result.err == program + ": " + what + ": Input/output error (EIO)\n");
  };
  for (const std::string name :
       {"02-pidns", "03-userns", "04-uts", "05-mountns", "06-netns-veth",
        "07-cgroup-memory", "08-all"}) {
    CAPTURE(name);
    const host::Unharmed unharmed;
    is_told(shell(strace + "prctl:error=EIO:when=1 " +
                  step(Caller::kRoot, name) + "echo ran"),
            name, "prctl(2) PR_SET_PDEATHSIG SIGKILL: die with the parent");
  }
  {
    const host::Unharmed unharmed;
    is_told(shell(strace + "setsid:error=EIO " + step(Caller::kRoot, "08-all") +
                  "echo ran"),
            "08-all", "setsid(2): leave the session of the caller");
    host::Running box{step(Caller::kRoot, "08-all") +
                      "sh -c 'echo up; read wait'"};
    CHECK(box.hear() == "up");
    is_told(
        shell(strace + "setsid:error=EIO " + host::as(Caller::kRoot, "enter") +
              " " + std::to_string(box.pid()) + " echo ran"),
        "enter", "setsid(2): leave the session of the caller");
    box.finish();
  }
}

TEST_CASE("whenever TERM comes, it ends, and nothing is left" *
          doctest::skip(::geteuid() != 0 || host::kIsSanitized)) {
  const int tried = tamper(
      "signal=TERM",
      [](const std::string&, const std::string&, const host::Result& result) {
        CHECK((result.status == 128 + SIGTERM || result.status == 0));
      });
  CHECK(tried > 0);
}

// The first thing that a child does is to unblock the signals. strace holds
// each process a second before that, and meanwhile the TERM comes.
TEST_CASE("a TERM that comes before the child unblocks signals ends it" *
          doctest::skip(::geteuid() != 0 || host::kIsSanitized)) {
  for (const std::string name : {"02-pidns", "08-all"}) {
    CAPTURE(name);
    const host::Unharmed unharmed;
    host::Running traced{
        "timeout -s KILL 60 strace -f -qq -o /dev/null -e "
        "inject=rt_sigprocmask:delay_enter=1000000:when=1 " +
        step(Caller::kRoot, name) + "sleep 1000 2>/dev/null"};
    pid_t program = -1;
    CHECK(host::eventually(
        [&](pid_t pid) {
          for (const pid_t strace : host::children(pid))
            for (const pid_t own : host::children(strace)) {
              program = own;
              if (!host::children(own).empty()) return true;
            }
          return false;
        },
        traced.pid()));
    ::kill(program, SIGTERM);
    CHECK(traced.finish() == 128 + SIGTERM);
  }
}

TEST_SUITE_END();
