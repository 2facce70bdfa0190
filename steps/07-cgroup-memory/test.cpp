// Step 07 promises that the container's memory has a limit.

#include "common/testing.hpp"
#include "steps/tests/host.hpp"

#include "common/cgroup.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

using host::Caller, host::Fails, host::Kept, host::Pieces, host::must,
    host::shell, host::step;

TEST_SUITE_BEGIN("07-cgroup-memory");

namespace {

const std::string kStep = "07-cgroup-memory";

// The directory of the running container's cgroup that limits memory.
sys::Cgroup group_of(const host::Running& box) {
  auto group = testing::first(sys::find_cgroup_parents({"memory"}));
  group.directory += "/box-" + std::to_string(box.pid());
  return group;
}

std::string limit_of(const sys::Cgroup& group) {
  return host::contents(group.directory + (group.version == 2
                                               ? "/memory.max"
                                               : "/memory.limit_in_bytes"));
}

// tail reads one endless line into memory.
const std::string kHog = "tail /dev/zero";

}  // namespace

PROMISE_AS_ROOT("who takes too much is killed, and that is said", Kept{"07"},
                Pieces{"Join the group, and report kills"},
                Fails{"The command needs more memory than its limit, and we "
                      "expect status 137 and a line that says why, because a "
                      "kill without a reason is hard to find."}) {
  const auto result = shell(step(Caller::kRoot, kStep, "--memory 16M") + kHog);
  CHECK(result.status == 137);
  CHECK(result.err ==
        "07-cgroup-memory: a process was killed: the container came to its "
        "memory limit\n");
}

PROMISE_AS_ROOT("a kill for another reason is not told as one of memory",
                Kept{"07-08"}, Pieces{"Join the group, and report kills"},
                Fails{"The command ends with KILL that it sends itself, and we "
                      "expect no line about memory, because a wrong reason "
                      "misleads."}) {
  const auto result = shell(step(Caller::kRoot, kStep) +
                            "sh -c 'sh -c \"kill -9 \\$\\$\"; exit $?'");
  CHECK(result.status == 137);
  CHECK_MESSAGE(result.err.find("memory limit") == std::string::npos,
                "it speaks of a memory limit");
}

PROMISE_AS_ROOT(
    "so is who takes it by writing files to memory", Kept{"07-08"},
    Pieces{"Join the group, and report kills"},
    Fails{"The command writes more to /tmp than its memory limit and we expect "
          "status 137, because the files of a tmpfs are in memory."}) {
  const auto result = shell(step(Caller::kRoot, kStep, "--memory 16M") +
                            "dd if=/dev/zero of=/tmp/file bs=1M count=64");
  CHECK(result.status == 137);
}

PROMISE_AS_ROOT(
    "who takes less is not, and a shell may go on", Kept{"07-08"},
    Pieces{"Join the group, and report kills"},
    Fails{"The command needs less memory than its limit and we expect it to "
          "run, and a shell to go on when only its child was killed, because "
          "the limit is for the processes that need too much."}) {
  CHECK(shell(step(Caller::kRoot, kStep, "--memory 64M") +
              "dd if=/dev/zero of=/tmp/file bs=1M count=32")
            .status == 0);
  const auto result = shell(step(Caller::kRoot, kStep, "--memory 16M") +
                            "sh -c '" + kHog + "; echo shell goes on'");
  CHECK(result.out == "shell goes on\n");
  CHECK(result.status == 0);
  CHECK(result.err.find("a process was killed") != std::string::npos);
}

PROMISE_AS_ROOT("the limit is 64M, or what is asked for", Kept{"07"},
                Pieces{"The limit"},
                Fails{"We read the limit of the container's cgroup and expect "
                      "64M or the SIZE of --memory, because the kernel obeys "
                      "only the number in this file."}) {
  for (const auto& [options, wanted] :
       {std::pair{"", "67108864\n"}, {"--memory 100M", "104857600\n"}}) {
    host::Running box{step(Caller::kRoot, kStep, options) +
                      "sh -c 'echo ready; read wait'"};
    REQUIRE(box.hear() == "ready");
    const auto limit = limit_of(group_of(box));
    CHECK_MESSAGE(limit == wanted,
                  "the limit of the cgroup box-PID is "
                      << (limit.empty() ? "nothing, because there is no such "
                                          "cgroup\n"
                                        : limit)
                      << "expected: " << wanted);
    box.finish();
  }
}

PROMISE_AS_ROOT("the command is in its cgroup from the start", Kept{"07"},
                Pieces{"Join the group, and report kills"},
                Fails{"We list the processes of the container's cgroup and "
                      "expect the command, because the limit counts only what "
                      "is in the cgroup."}) {
  host::Running box{step(Caller::kRoot, kStep) +
                    "sh -c 'echo ready; read wait'"};
  REQUIRE(box.hear() == "ready");
  CHECK_MESSAGE(host::contents(group_of(box).directory + "/cgroup.procs") ==
                    std::to_string(box.child()) + "\n",
                "the command is not in the cgroup box-PID");
  box.finish();
}

PROMISE_AS_ROOT("it does not swap instead", Kept{"07-08"}, Pieces{"The limit"},
                Fails{"We read the limit of swap and expect none to be left "
                      "for the container, because a process that swaps is not "
                      "killed but slows down the host."}) {
  host::Running box{step(Caller::kRoot, kStep) + "sh -c 'echo; read wait'"};
  CHECK(box.hear().empty());
  const auto group = group_of(box);
  const auto swap = host::contents(
      group.directory + (group.version == 2 ? "/memory.swap.max"
                                            : "/memory.memsw.limit_in_bytes"));
  const std::string wanted = group.version == 2 ? "0\n" : "67108864\n";
  if (!swap.empty())
    CHECK_MESSAGE(swap == wanted, "the cgroup's limit of swap is " << swap);
  box.finish();
}

// With --net nat, the program runs nft(8) before it opens the gate. This nft
// looks, and waits for a child that has yet to join.
PROMISE_AS_ROOT(
    "the child is in its limited cgroup before the gate opens", Kept{"07-08"},
    Pieces{"The limit", "Join the group, and report kills"},
    Fails{"We look at the cgroup while the child waits at the gate and expect "
          "the limit and the child there, because what a process uses before "
          "it joins is not counted."}) {
  const auto path = host::scratch("looks");
  const auto parent = testing::first(sys::find_cgroup_parents({"memory"}));
  const auto group = parent.directory + "/box-$PPID/";
  std::ofstream{path + "/nft"}
      << "#!/bin/sh\n[ -e '" << path
      << "/seen' ] && exit\n"
         "for i in $(seq 300); do [ -z \"$(cat "
      << group << "cgroup.procs)\" ] || break; sleep 0.01; done\ncd " << group
      << "\necho $(wc -l <cgroup.procs) $(cat "
      << (parent.version == 2 ? "memory.max" : "memory.limit_in_bytes")
      << ") >'" << path << "/seen'\n";
  must("chmod +x " + path + "/nft; echo 1 >/proc/sys/net/ipv4/ip_forward");
  CHECK(shell("PATH='" + path + "':$PATH " +
              step(Caller::kRoot, kStep, "--net nat") + "/bin/true")
            .status == 0);
  must("echo 0 >/proc/sys/net/ipv4/ip_forward");
  const auto seen = host::contents(path + "/seen");
  CHECK_MESSAGE(
      seen == "1 67108864\n",
      "so many processes are in the cgroup, and this is its limit: " << seen);
}

// strace(1) tells the order of the calls.
PROMISE_IF(host::can_trace(), "the limit is there before the child (root)",
           Kept{"07-08"}, Pieces{"The limit"},
           Fails{"We list the program's calls and expect that it writes the "
                 "limit before it creates a process, because what the child "
                 "uses before the limit is there is not limited."}) {
  const auto calls = host::scratch("calls") + "/calls";
  CHECK(shell("strace -f -qq -y -o '" + calls +
              "' -e trace=write,writev,pwrite64,clone,clone3,fork,vfork " +
              step(Caller::kRoot, kStep) + "/bin/true")
            .status == 0);
  const auto log = host::lines(host::contents(calls));
  const auto first = std::find_if(log.begin(), log.end(), [](const auto& line) {
    const auto has = [&](const char* words) {
      return line.find(words) != std::string::npos;
    };
    return has("/memory.max>") || has("/memory.limit_in_bytes>") ||
           has("fork(") ||
           // The second half of a line says nothing of the flags.
           (has(" clone") && !has("CLONE_THREAD") && !has(" resumed>"));
  });
  REQUIRE(first != log.end());
  CHECK_MESSAGE(first->find(" write") != std::string::npos,
                "the program creates a process before it writes the limit");
}

// v1 counts the queues of sockets only if they have a limit.
PROMISE_AS_ROOT("the queues of its sockets count, too", Kept{"07-08"},
                Pieces{"The limit"},
                Fails{"We read the limit of the memory of sockets and expect "
                      "that of the container, because the queues of sockets "
                      "are memory of the host."}) {
  host::Running box{step(Caller::kRoot, kStep) + "sh -c 'echo; read wait'"};
  CHECK(box.hear().empty());
  const auto limit = host::contents(group_of(box).directory +
                                    "/memory.kmem.tcp.limit_in_bytes");
  CHECK_MESSAGE((limit.empty() || limit == "67108864\n"),
                "the limit of sockets is " << limit);
  box.finish();
}

PROMISE_AS_ROOT(
    "--memory none is no limit, and no cgroup", Kept{"07"}, Pieces{"The group"},
    Fails{
        "We run the step with --memory none and expect the command in the "
        "caller's cgroup, because without a limit there is nothing to make."}) {
  const auto own = host::contents("/proc/self/cgroup");
  CHECK(shell(step(Caller::kRoot, kStep, "--memory none") +
              "cat /proc/self/cgroup")
            .out == own);
}

PROMISE_WITHOUT_CGROUP("a limit that cannot be set stops the program",
                       Kept{"07"}, Pieces{"The group"},
                       Fails{"An ordinary user without a cgroup runs the step "
                             "and we expect status 125 and a hint, because the "
                             "command must not run without its limit."}) {
  const auto result = shell(step(Caller::kUser, kStep) + "echo ran");
  CHECK(result.status == 125);
  CHECK(result.out.empty());
  CHECK_MESSAGE(result.err.find("EACCES); hint: ") != std::string::npos,
                "the program does not end with an error that has a hint");
  CHECK(shell(step(Caller::kUser, kStep, "--memory none") + "echo ran").out ==
        "ran\n");
}

// strace(1) makes the file of the limit one that cannot be opened or written.
PROMISE_IF(host::can_trace(),
           "a limit that the kernel refuses stops the program (root)",
           Kept{"07-08"}, Pieces{"The group", "The limit"},
           Fails{"The kernel refuses the limit and we expect status 125, one "
                 "line, no command and no cgroup afterwards, because the "
                 "command must not run without its limit."}) {
  const auto parent = testing::first(sys::find_cgroup_parents({"memory"}));
  const auto result = shell(
      "exec strace -D -f -qq -o /dev/null -P " + parent.directory + "/box-$$/" +
      (parent.version == 2 ? "memory.max" : "memory.limit_in_bytes") +
      " -e inject=open,openat,write:error=EIO " + step(Caller::kRoot, kStep) +
      "echo ran");
  CHECK(result.status == 125);
  CHECK(result.out.empty());
  CHECK(host::lines(result.err).size() == 1);
}

PROMISE_AS_ROOT("a cgroup that was there before is left alone", Kept{"07-08"},
                Pieces{"The group"},
                Fails{"There is a cgroup box-PID already, and we expect it to "
                      "stay, and no command in it, because it can belong to "
                      "another container."}) {
  const auto parent = testing::first(sys::find_cgroup_parents({"memory"}));
  const auto group = parent.directory + "/box-$$";
  const auto result =
      shell("mkdir " + group + "; echo " + group + " >&2; exec " +
            step(Caller::kRoot, kStep) + "cat /proc/self/cgroup");
  const auto directory = testing::first(host::lines(result.err));
  CHECK_MESSAGE(std::filesystem::exists(directory),
                "the cgroup that was there before is gone");
  CHECK_MESSAGE(
      result.out.find(std::filesystem::path{directory}.filename().string() +
                      "\n") == std::string::npos,
      "the command is in the cgroup that was there before");
  shell("rmdir " + directory);
}

PROMISE_AS_ROOT("an ordinary user's limit holds in a delegated cgroup",
                Kept{"07"},
                Pieces{"The group", "The limit",
                       "Join the group, and report kills"},
                Fails{"An ordinary user runs the step in a cgroup that root "
                      "has delegated, and we expect the limit to hold there, "
                      "because the kernel counts in each cgroup."}) {
  const auto parent = testing::first(sys::find_cgroup_parents({"memory"}));
  for (const auto& name : parent.missing)
    must("echo +" + name + " >" + parent.directory + "/cgroup.subtree_control");
  const auto mine = parent.directory + "/delegated-to-54321";
  const auto leaf = parent.version == 2 ? mine + "/leaf" : mine;
  must("mkdir -p " + leaf + "; [ " + std::to_string(parent.version) +
       " = 1 ] || echo +memory >" + mine +
       "/cgroup.subtree_control; "
       "chown -R 54321 " +
       mine);
  const auto result = shell("echo $$ >" + leaf + "/cgroup.procs; " +
                            step(Caller::kUser, kStep, "--memory 16M") + kHog);
  CHECK(result.status == 137);
  CHECK(result.err.find("came to its memory limit") != std::string::npos);
  if (leaf != mine) must("rmdir " + leaf);
  must("rmdir " + mine);
}

PROMISE_AS_BOTH("a size that is none is refused in one line", Kept{"07"},
                Pieces{"The group"},
                Fails{"We pass words to --memory that are no sizes and expect "
                      "status 125, one line and no command, because the "
                      "command must not run with a wrong limit."}) {
  for (const std::string size :
       {"0", "-1", "abc", "1.5G", "99999999T", "''", "M", "64MB",
        "9223372036854775808", "4k", "1023K"}) {
    CAPTURE(size);
    const auto result =
        shell(step(caller, kStep, "--memory " + size) + "echo ran");
    CHECK(result.status == 125);
    CHECK(result.out.empty());
    CHECK(host::lines(result.err).size() == 1);
  }
}

TEST_SUITE_END();
