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
#include <map>

using host::Caller, host::Fails, host::Kept, host::Pieces, host::must,
    host::shell, host::step, host::step_in;

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

PROMISE_AS_BOTH("the exit status is the command's own", Kept{"01-08", "03-08"},
                Pieces{"Another root directory"},
                Fails{
                    "The command ends with a status and we expect the program "
                    "to end with the same, because scripts read it."}) {
  for_each(caller, [&](const Program& program) {
    const auto run = step(caller, program.name, program.options);
    CHECK(shell(run + "true").status == 0);
    CHECK(shell(run + "sh -c 'exit 7'").status == 7);
    CHECK(shell(run + "sh -c 'exit 255'").status == 255);
  });
}

PROMISE_AS_BOTH("a command that signal N ends gives 128+N",
                Kept{"01-08", "03-08"}, Pieces{"Another root directory"},
                Fails{"A signal ends the command and we expect status 128 plus "
                      "its number, as a shell reports it."}) {
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

PROMISE_AS_BOTH("the program itself writes nothing to the rootfs",
                Kept{"01-04", "03-04"}, Pieces{"Another root directory"},
                Fails{"We compare all files of the rootfs before and after a "
                      "command that does nothing, and expect no change, "
                      "because a link in an image can lead to the host."}) {
  const auto files = [&] {
    const auto found = shell("find '" + host::rootfs(caller) +
                             "' -printf '/%P: %M %U %G %s %C@\\n'");
    host::ran().pop_back();  // Nobody reads so long a list.
    return host::lines(found.out);
  };
  for_each(caller, [&](const Program& program) {
    const auto before = files();
    (void)shell(step(caller, program.name, program.options) + "true");
    const auto changes = host::changed(before, files());
    CHECK_MESSAGE(changes == "", "the rootfs is not as before: " << changes);
  });
}

// A directory of the host's that is open is a way back to it: see chroot(2).
PROMISE_AS_BOTH(
    "the command gets no open file but the caller's", Kept{"01-08", "03-08"},
    Pieces{"Another root directory", "No link in the place of /proc",
           "The old root"},
    Fails{"The command looks for open descriptors and we expect only those of "
          "the caller, because an open directory of the host is a way out."}) {
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
    CHECK_MESSAGE(leaked == "", "open in the command: descriptor " << leaked);
  });
}

PROMISE_AS_BOTH(
    "127 if the command is not found, 126 if it cannot run",
    Kept{"01-08", "03-08"}, Pieces{"Another root directory"},
    Fails{"We run commands that do not exist or cannot run and expect status "
          "127 or 126 and one line that says why, as a shell does."}) {
  for_each(caller, [&](const Program& program) {
    const auto run = step(caller, program.name, program.options);
    for (const std::string command : {"no-such", "/no/such", "/bin/sh/x"}) {
      const auto result = shell(run + command);
      CHECK(result.status == (command == "/bin/sh/x" ? 126 : 127));
      CHECK(testing::last(host::lines(result.err))
                .starts_with(program.name + ": execve(2) "));
    }
    CHECK(shell(run + "/etc/passwd").status == 126);
    CHECK(shell(run + "/etc").status == 126);
  });
}

PROMISE_AS_BOTH("125 and one clear line if ROOTFS is none",
                Kept{"01-08", "03-08"}, Pieces{"Another root directory"},
                Fails{"We pass a ROOTFS that is missing or a file and expect "
                      "status 125 and one line with a hint, because the "
                      "command must not run on the host."}) {
  must("echo x >" + host::scratch("roots") + "/file");
  for_each(caller, [&](const Program& program) {
    const auto missing = shell(
        step_in("/no/such", caller, program.name, program.options) + "true");
    CHECK(missing.status == 125);
    CHECK(missing.out.empty());
    CHECK(missing.err.starts_with(program.name + ": "));
    CHECK_MESSAGE(missing.err.find("/no/such") != std::string::npos,
                  "the line does not say which ROOTFS is missing");
    if (!host::is_learners())
      CHECK(missing.err.starts_with(
          program.name +
          ": stat(2) /no/such: find the rootfs: No such file or directory "
          "(ENOENT); hint: "));
    CHECK(host::lines(missing.err).size() == 1);
    const auto file = shell(step_in(host::scratch("roots") + "/file", caller,
                                    program.name, program.options) +
                            "true");
    CHECK(file.status == 125);
    CHECK(host::lines(file.err).size() == 1);
  });
}

PROMISE_AS_BOTH(
    "125 and one clear line for an option it does not know",
    Kept{"01-08", "03-08"}, Pieces{"Another root directory"},
    Fails{"We pass an unknown option and expect status 125 and one line that "
          "names it, because the user must learn of a typing error."}) {
  for_each(caller, [&](const Program& program) {
    const auto result =
        shell(step(caller, program.name, "--nonsense") + "true");
    CHECK(result.status == 125);
    CHECK(host::lines(result.err).size() == 1);
    CHECK_MESSAGE(result.err.find("--nonsense") != std::string::npos,
                  "the line does not name the option");
    if (!host::is_learners())
      CHECK(result.err ==
            program.name + ": unknown option --nonsense; see --help\n");
  });
}

PROMISE_AS_BOTH(
    "an option of a later step is none of its own", Kept{"01-07", "03-07"},
    Pieces{"Another root directory"},
    Fails{"We pass an option that a later step has and expect status 125 and "
          "no command, because the program cannot do what is asked for."}) {
  const std::map<std::string, std::string> first_in{{"--hostname=x", "04"},
                                                    {"--read-only", "05"},
                                                    {"--net=none", "06"},
                                                    {"--memory=none", "07"},
                                                    {"--pids=9", "08"}};
  for_each(caller, [&](const Program& program) {
    for (const auto& [option, number] : first_in) {
      if (program.name.substr(0, 2) >= number) continue;
      CAPTURE(option);
      const auto result =
          shell(step(caller, program.name, option) + "echo ran");
      CHECK(result.status == 125);
      CHECK(result.out.empty());
    }
  });
}

PROMISE_AS_BOTH(
    "--help goes to stdout and names what to read", Kept{"01-08", "03-08"},
    Pieces{"Another root directory"},
    Fails{"We ask for --help and expect the usage and the man pages on "
          "standard output and status 0, because help is no error."}) {
  for_each(caller, [&](const Program& program) {
    const auto result = shell(step(caller, program.name, "--help") + "true");
    CHECK(result.status == 0);
    CHECK(result.out.starts_with("usage: " + program.name + " [OPTIONS]"));
    CHECK_MESSAGE(result.out.find("Read ") != std::string::npos,
                  "no line begins with Read");
  });
}

PROMISE_AS_BOTH(
    "-v tells each call, from both sides", Kept{"01-08", "03-08"},
    Pieces{"Another root directory", "Separate process numbers"},
    Fails{"We run the step with -v and expect a line for each call of the "
          "parent and of the child, because readers follow the steps there."}) {
  for_each(caller, [&](const Program& program) {
    const auto result =
        shell(step(caller, program.name, program.options + " -v") + "true");
    CHECK(result.out.empty());
    CHECK_MESSAGE(result.err.find("clone") != std::string::npos,
                  "no line tells of the clone");
    if (program.name != "01-chroot")
      CHECK_MESSAGE(result.err.find("[pid 1] ") != std::string::npos,
                    "no line of the child begins with [pid 1]");
  });
}

PROMISE_AS_BOTH("stdin, stdout and stderr are the command's",
                Kept{"01-08", "03-08"},
                Pieces{"Another root directory", "The standard streams"},
                Fails{"We read from and write to the command by pipes and "
                      "files, and expect all bytes to come through, because "
                      "the program must work in a pipeline."}) {
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

PROMISE_AS_BOTH("any signal to the program ends the container",
                Kept{"01-08", "03-08"},
                Pieces{"Another root directory", "The group"},
                Fails{"We send signals to the program and expect the container "
                      "to end and status 128 plus the number, because a "
                      "program that dies alone leaves its container behind."}) {
  for_each(caller, [&](const Program& program) {
    for (const int signal : {SIGTERM, SIGHUP, SIGINT, SIGALRM, SIGRTMAX}) {
      host::Running box{step(caller, program.name, program.options) +
                        "sleep 1000 2>/dev/null"};
      CHECK(host::comes_to_run(box.pid(), "sleep"));
      const auto child = box.child();
      ::kill(box.pid(), signal);
      CHECK(box.finish() == 128 + signal);
      CHECK_MESSAGE(!host::is_alive(child), "the child still runs");
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
PROMISE_AS_BOTH(
    "a signal that the caller ignores does nothing, on both sides",
    Kept{"01-08", "03-08"},
    Pieces{"Another root directory", "Limits and an init"},
    Fails{"The caller ignores signals and we expect them to do nothing to the "
          "program and the command, because nohup(1) relies on it."}) {
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

PROMISE_AS_BOTH(
    "a command that handles TERM gets it", Kept{"01-08", "03-08"},
    Pieces{"Another root directory", "Limits and an init"},
    Fails{"We send TERM to the program and expect the command's own handler to "
          "run, because a service saves its work there."}) {
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
PROMISE_AS_BOTH(
    "what the command leaves in the background ends with it, but in 01",
    Kept{"01-08", "03-08"},
    Pieces{"Another root directory", "Separate process numbers",
           "Limits and an init"},
    Fails{"The command leaves a process in the background and we expect it to "
          "end with the command, because the end of a container must be the "
          "end of all its processes."}) {
  const auto sleep = sys::format("sleep {}", 1'000'000 + ::getpid());
  for_each(caller, [&](const Program& program) {
    const auto result = shell(step(caller, program.name, program.options) +
                              "sh -c '" + sleep + " >/dev/null 2>&1 &'");
    CHECK(result.status == 0);
    const auto is_left = [&](pid_t) {
      return shell("pgrep -xf '" + sleep + "'").status == 0;
    };
    if (program.name != "01-chroot") {
      CHECK_MESSAGE(!is_left(0), "the process in the background still runs");
    } else {  // It might be about to run, and then about to end.
      CHECK(host::eventually(is_left, 0));
      must("pkill -xf '" + sleep + "'");
      CHECK(host::eventually([&](pid_t) { return !is_left(0); }, 0));
    }
  });
}

// What it does leave then is 02's /proc in the host's table, and the cgroup
// directories of 07 and 08: the kernel does not know whose they are.
PROMISE_AS_BOTH("KILL to the program leaves no process", Kept{"01-08", "03-08"},
                Pieces{"Another root directory", "A /proc for these numbers",
                       "Become root"},
                Fails{"We kill the program with KILL and expect the child to "
                      "end too, because no parent is left to end it."}) {
  for_each(caller, [&](const Program& program) {
    host::Running box{step(caller, program.name, program.options) +
                      "sh -c 'sleep 1000 & echo $!; exec sleep 1000' "
                      "2>/dev/null"};
    const auto background = box.hear();
    CHECK(!background.empty());
    const auto child = box.child();
    ::kill(box.pid(), SIGKILL);
    CHECK(box.finish() == 128 + SIGKILL);
    CHECK_MESSAGE(host::ends(child), "the child still runs");
    if (program.name == "01-chroot") {
      must("kill " + background);  // It would fail if that were gone.
      const auto number = std::strtol(background.c_str(), nullptr, 10);
      CHECK(host::eventually(host::is_gone, static_cast<pid_t>(number)));
    }
    if (program.name == "02-pidns")  // A better one has left none.
      shell("umount " + host::rootfs(caller) + "/proc");
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

// Others remove theirs, and make one of the same name, while a test runs.
TEST_CASE("the name of a namespace that goes is nobody's harm" *
          doctest::skip(::geteuid() != 0)) {
  const auto name = host::scratch("namespace") + "/name";
  must("touch " + name + "; mount --bind /proc/self/ns/net " + name);
  {
    const host::Unharmed unharmed;
    must("umount " + name);
  }
}

TEST_CASE("reset does nothing that it was not told to") {
  for (const std::string word : {"--help", "--dryrun", "x"})
    CHECK(shell("scripts/reset " + word).status == 2);
}

PROMISE_AS_BOTH(
    "a program that its caller runs with CHLD ignored waits all the same",
    Kept{"01-08", "03-08"}, Pieces{"Another root directory"},
    Fails{"The caller ignores CHLD and we expect the exit status all the same, "
          "because the kernel reaps children by itself then, and their status "
          "is lost."}) {
  for_each(caller, [&](const Program& program) {
    CHECK(shell("trap '' CHLD; " + step(caller, program.name, program.options) +
                "sh -c 'exit 9'")
              .status == 9);
  });
}

PROMISE_AS_BOTH("--bind takes a source whose path is longer than PATH_MAX",
                Kept{"05-08"}, Pieces{"--bind and --read-only"},
                Fails{"We bind a source whose absolute path is longer than "
                      "PATH_MAX and expect its content in the container, "
                      "because a relative path is short enough."}) {
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
