// What all the programs have in common: how they end, what they say, and what
// they leave behind, which is nothing. See steps/README.md, "What every program
// promises".

#include "common/error.hpp"
#include "common/testing.hpp"
#include "steps/tests/host.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>

using host::Caller, host::must, host::shell, host::step, host::step_in;

TEST_SUITE_BEGIN("contract");

namespace {

struct Program {
  std::string name;
  std::string options;  // What it takes to run as a user, or in silence.
};

// Those that `caller` can run. ONLY_STEP=05-mountns leaves one of them: what a
// learner wrote is checked alone.
std::vector<Program> programs(Caller caller) {
  std::vector<Program> all{{"03-userns", ""},
                           {"04-uts", ""},
                           {"05-mountns", ""},
                           {"06-netns-veth", "--net none"},
                           {"07-cgroup-memory", "--net none --memory none"},
                           {"08-all", "--net none --memory none"}};
  if (caller == Caller::kRoot) {
    all.insert(all.begin(), {{"01-chroot", ""}, {"02-pidns", ""}});
    for (auto& program : all) program.options = "";
  }
  if (const char* const only = std::getenv("ONLY_STEP"))
    std::erase_if(all, [&](const auto& one) { return one.name != only; });
  return all;
}

void for_each(Caller caller, const std::function<void(const Program&)>& test) {
  for (const auto& program : programs(caller)) {
    CAPTURE(program.name);
    test(program);
  }
}

}  // namespace

TEST_AS_BOTH("the exit status is the command's own") {
  for_each(caller, [&](const Program& program) {
    const auto run = step(caller, program.name, program.options);
    CHECK(shell(run + "true").status == 0);
    CHECK(shell(run + "sh -c 'exit 7'").status == 7);
    CHECK(shell(run + "sh -c 'exit 255'").status == 255);
  });
}

TEST_AS_BOTH("a command that signal N ends gives 128+N") {
  for_each(caller, [&](const Program& program) {
    // PID 1 shrugs off its own signals (02 to 07), so let its child die.
    const auto result = shell(step(caller, program.name, program.options) +
                              "sh -c 'sh -c \"kill -9 \\$\\$\"; exit $?'");
    CHECK(result.status == 137);
  });
  if (caller == Caller::kRoot)
    CHECK(shell(step(caller, "01-chroot") + "sh -c 'kill -9 $$'").status ==
          137);
  CHECK(shell(step(caller, "08-all", "--net none --memory none") +
              "sh -c 'kill -9 $$'")
            .status == 137);
}

// A directory of the host's that is open is a way back to it: see chroot(2).
TEST_AS_BOTH("the command gets no open file but the caller's") {
  const std::string find =
      "sh -c 'exec 2>/dev/null; for n in $(seq 3 255); do (exec <&$n) && echo "
      "$n; done; true'";
  const auto own = shell("'" + host::rootfs(caller) + "/bin/busybox' " + find);
  const auto callers = host::lines(own.out);
  for_each(caller, [&](const Program& program) {
    const auto result =
        shell(step(caller, program.name, program.options) + find);
    CHECK(result.status == 0);
    std::string leaked;
    for (const auto& open : host::lines(result.out))
      if (std::count(callers.begin(), callers.end(), open) == 0)
        leaked += open + " ";
    CHECK(leaked == "");
  });
}

TEST_AS_BOTH("127 if the command is not found, 126 if it cannot run") {
  for_each(caller, [&](const Program& program) {
    const auto run = step(caller, program.name, program.options);
    for (const std::string command : {"no-such", "/no/such", "/bin/sh/x"}) {
      const auto result = shell(run + command);
      CHECK(result.status == (command == "/bin/sh/x" ? 126 : 127));
      CHECK(testing::last(host::lines(result.err))
                .starts_with(program.name + ": cannot run "));
    }
    CHECK(shell(run + "/etc/passwd").status == 126);
    CHECK(shell(run + "/etc").status == 126);
  });
}

TEST_AS_BOTH("125 and one clear line if ROOTFS is none") {
  must("echo x >" + host::scratch("roots") + "/file");
  for_each(caller, [&](const Program& program) {
    const auto missing = shell(
        step_in("/no/such", caller, program.name, program.options) + "true");
    CHECK(missing.status == 125);
    CHECK(missing.out.empty());
    CHECK(missing.err.starts_with(
        program.name +
        ": cannot find the rootfs /no/such: No such file or directory "
        "(ENOENT); hint: "));
    CHECK(host::lines(missing.err).size() == 1);
    const auto file = shell(step_in(host::scratch("roots") + "/file", caller,
                                    program.name, program.options) +
                            "true");
    CHECK(file.status == 125);
    CHECK(host::lines(file.err).size() == 1);
  });
}

TEST_AS_BOTH("125 and one clear line for an option it does not know") {
  for_each(caller, [&](const Program& program) {
    const auto result =
        shell(step(caller, program.name, "--nonsense") + "true");
    CHECK(result.status == 125);
    CHECK(result.err ==
          program.name + ": unknown option --nonsense; see --help\n");
  });
}

TEST_AS_BOTH("--help goes to stdout and names what to read") {
  for_each(caller, [&](const Program& program) {
    const auto result = shell(step(caller, program.name, "--help") + "true");
    CHECK(result.status == 0);
    CHECK(result.out.starts_with("usage: " + program.name + " [OPTIONS]"));
    CHECK(result.out.find("Read ") != std::string::npos);
  });
}

TEST_AS_BOTH("-v tells each call, from both sides") {
  for_each(caller, [&](const Program& program) {
    const auto result =
        shell(step(caller, program.name, program.options + " -v") + "true");
    CHECK(result.out.empty());
    CHECK(result.err.find("clone a child") != std::string::npos);
    if (program.name != "01-chroot")
      CHECK(result.err.find("[pid 1] ") != std::string::npos);
  });
}

TEST_AS_BOTH("stdin, stdout and stderr are the command's") {
  for_each(caller, [&](const Program& program) {
    const auto run = step(caller, program.name, program.options);
    CHECK(shell("echo through | " + run + "cat 2>/dev/null").out ==
          "through\n");
    CHECK(shell(run + "sh -c 'echo out; echo err >&2' 2>/dev/null").out ==
          "out\n");
    CHECK(shell(run + "true <&- >&- 2>&-").status == 0);
    CHECK(shell(run + "sh -c 'echo x' >/dev/full").status == 1);
    CHECK(shell(run + "yes 2>/dev/null | head -1").out == "y\n");
  });
}

TEST_AS_BOTH("any signal to the program ends the container") {
  for_each(caller, [&](const Program& program) {
    for (const int signal : {SIGTERM, SIGHUP, SIGINT, SIGALRM, SIGRTMAX}) {
      host::Running box{step(caller, program.name, program.options) +
                        "sleep 1000 2>/dev/null"};
      CHECK(host::comes_to_run(box.pid(), "sleep"));
      const auto child = box.child();
      ::kill(box.pid(), signal);
      CHECK(box.finish() == 128 + signal);
      CHECK(!host::is_alive(child));
    }
  });
}

// Of the tests themselves: a program that they start is one, and no copy of
// them, when a signal comes. doctest caught that signal, and the test had no
// result.
TEST_CASE("a program of the tests is ended by a signal, however early") {
  for (int i = 0; i < 50; ++i) {
    host::Running box{"sleep 1000"};
    ::kill(box.pid(), SIGTERM);
    CHECK(box.finish() == 128 + SIGTERM);
  }
}

// As under nohup(1), or behind `trap '' INT`. The last signal is not ignored.
TEST_AS_BOTH("a signal that the caller ignores does nothing, on both sides") {
  for_each(caller, [&](const Program& program) {
    host::Running box{"env --ignore-signal=HUP,INT,QUIT,USR1,TSTP,PIPE " +
                      step(caller, program.name, program.options) +
                      "sh -c 'for s in HUP INT QUIT USR1 TSTP PIPE; do "
                      "kill -$s $$; done; trap \"exit 3\" TERM; echo ready; "
                      "while :; do read -t 1 wait; done' 2>/dev/null"};
    CHECK(box.hear() == "ready");
    for (const int signal :
         {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGTSTP, SIGPIPE, SIGTERM})
      ::kill(box.pid(), signal);
    CHECK(box.finish() == 3);
  });
}

TEST_AS_BOTH("a command that handles TERM gets it") {
  for_each(caller, [&](const Program& program) {
    host::Running box{step(caller, program.name, program.options) +
                      "sh -c 'trap \"echo caught; exit 3\" TERM; echo ready; "
                      "while :; do read -t 1 wait; done' 2>/dev/null"};
    CHECK(box.hear() == "ready");
    ::kill(box.pid(), SIGTERM);
    CHECK(box.hear() == "caught");
    CHECK(box.finish() == 3);
  });
}

// 01 has no PID namespace, and knows of the command alone.
TEST_AS_BOTH(
    "what the command leaves in the background ends with it, but in 01") {
  const auto sleep = sys::format("sleep {}", 1'000'000 + ::getpid());
  for_each(caller, [&](const Program& program) {
    const auto result = shell(step(caller, program.name, program.options) +
                              "sh -c '" + sleep + " >/dev/null 2>&1 &'");
    CHECK(result.status == 0);
    const auto is_left = [&](pid_t) {
      return shell("pgrep -xf '" + sleep + "'").status == 0;
    };
    if (program.name != "01-chroot") {
      CHECK(!is_left(0));
    } else {  // It might be about to run, and then about to end.
      CHECK(host::eventually(is_left, 0));
      must("pkill -xf '" + sleep + "'");
      CHECK(host::eventually([&](pid_t) { return !is_left(0); }, 0));
    }
  });
}

// What it does leave then is 02's /proc in the host's table, and the cgroup
// directories of 07 and 08: the kernel does not know whose they are.
TEST_AS_BOTH("KILL to the program leaves no process") {
  for_each(caller, [&](const Program& program) {
    host::Running box{step(caller, program.name, program.options) +
                      "sh -c 'sleep 1000 & echo $!; exec sleep 1000' "
                      "2>/dev/null"};
    const auto background = box.hear();
    CHECK(!background.empty());
    const auto child = box.child();
    ::kill(box.pid(), SIGKILL);
    CHECK(box.finish() == 128 + SIGKILL);
    CHECK(host::eventually(host::is_gone, child));
    if (program.name == "01-chroot") {
      must("kill " + background);  // It would fail if that were gone.
      const auto number = std::strtol(background.c_str(), nullptr, 10);
      CHECK(host::eventually(host::is_gone, static_cast<pid_t>(number)));
    }
    if (program.name == "02-pidns")
      must("umount " + host::rootfs(caller) + "/proc");
  });
  // The kernel takes a moment to end a network namespace, and its link with it.
  CHECK(host::eventually(
      [](pid_t) {
        return shell("ip -o link show type veth | wc -l").out == "0\n";
      },
      0));
  // No reset here: in its own PID namespace this test does not see who lives.
  for (const auto& group : host::our_cgroups()) must("rmdir '" + group + "'");
}

TEST_CASE("reset does nothing that it was not told to") {
  for (const std::string word : {"--help", "--dryrun", "x"})
    CHECK(shell("scripts/reset " + word).status == 2);
}

TEST_AS_BOTH(
    "a program that its caller runs with CHLD ignored waits all the "
    "same") {
  for_each(caller, [&](const Program& program) {
    CHECK(shell("trap '' CHLD; " + step(caller, program.name, program.options) +
                "sh -c 'exit 9'")
              .status == 9);
  });
}

TEST_AS_BOTH("--bind takes a source whose path is longer than PATH_MAX") {
  const auto base = host::scratch("deep-bind");
  const auto go = "cd " + base +
                  " && for i in 1 2 3 4 5; do for j in 1 2 3 4 "
                  "5 6; do name=" +
                  std::string(200, 'd') +
                  "; mkdir -p $name && cd -P $name || exit; done; done; ";
  must(go + "mkdir -p data && echo found >data/file && echo one >file");
  for (const std::string name :
       {"05-mountns", "06-netns-veth", "07-cgroup-memory", "08-all"}) {
    CAPTURE(name);
    const auto options = std::string{name >= "06" ? "--net none " : ""} +
                         (name >= "07" ? "--memory none " : "");
    const auto result = shell(
        go +
        step(caller, name,
             options +
                 "--bind data:/mnt --bind ./file:/tmp/file --bind .:/tmp/all") +
        "cat /mnt/file /tmp/file /tmp/all/file");
    CAPTURE(result.err);
    CHECK(result.out == "found\none\none\n");
    CHECK(
        shell(go + step(caller, name, options + "--bind nothing:/mnt") + "true")
            .status == 125);
  }
  must("rm -rf " + base);
}

TEST_SUITE_END();
