// Step 07 promises that the container's memory has a limit.

#include "common/testing.hpp"
#include "steps/tests/host.hpp"

#include "common/cgroup.hpp"

using host::Caller, host::must, host::shell, host::step;

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

TEST_AS_ROOT("who takes too much is killed, and that is said") {
  const auto result = shell(step(Caller::kRoot, kStep, "--memory 16M") + kHog);
  CHECK(result.status == 137);
  CHECK(result.err ==
        "07-cgroup-memory: a process was killed: the container came to its "
        "memory limit\n");
}

TEST_AS_ROOT("so is who takes it by writing files to memory") {
  const auto result = shell(step(Caller::kRoot, kStep, "--memory 16M") +
                            "dd if=/dev/zero of=/tmp/file bs=1M count=64");
  CHECK(result.status == 137);
}

TEST_AS_ROOT("who takes less is not, and a shell may go on") {
  CHECK(shell(step(Caller::kRoot, kStep, "--memory 64M") +
              "dd if=/dev/zero of=/tmp/file bs=1M count=32")
            .status == 0);
  const auto result = shell(step(Caller::kRoot, kStep, "--memory 16M") +
                            "sh -c '" + kHog + "; echo shell goes on'");
  CHECK(result.out == "shell goes on\n");
  CHECK(result.status == 0);
  CHECK(result.err.find("a process was killed") != std::string::npos);
}

TEST_AS_ROOT("the limit is 64M, or what is asked for, from the start") {
  {
    host::Running box{step(Caller::kRoot, kStep) + "sh -c 'echo; read wait'"};
    CHECK(box.hear().empty());
    CHECK(limit_of(group_of(box)) == "67108864\n");
    CHECK(host::contents(group_of(box).directory + "/cgroup.procs") ==
          std::to_string(box.child()) + "\n");
    box.finish();
  }
  host::Running box{step(Caller::kRoot, kStep, "--memory 100M") +
                    "sh -c 'echo; read wait'"};
  CHECK(box.hear().empty());
  CHECK(limit_of(group_of(box)) == "104857600\n");
  box.finish();
}

TEST_AS_ROOT("it does not swap instead") {
  host::Running box{step(Caller::kRoot, kStep) + "sh -c 'echo; read wait'"};
  CHECK(box.hear().empty());
  const auto group = group_of(box);
  const auto swap = host::contents(
      group.directory + (group.version == 2 ? "/memory.swap.max"
                                            : "/memory.memsw.limit_in_bytes"));
  if (!swap.empty()) CHECK(swap == (group.version == 2 ? "0\n" : "67108864\n"));
  box.finish();
}

TEST_AS_ROOT("--memory none is no limit, and no cgroup") {
  const auto own = host::contents("/proc/self/cgroup");
  CHECK(shell(step(Caller::kRoot, kStep, "--memory none") +
              "cat /proc/self/cgroup")
            .out == own);
}

TEST_WITHOUT_CGROUP("a limit that cannot be set stops the program") {
  const auto result = shell(step(Caller::kUser, kStep) + "echo ran");
  CHECK(result.status == 125);
  CHECK(result.out.empty());
  CHECK(result.err.find("EACCES); hint: ") != std::string::npos);
  CHECK(shell(step(Caller::kUser, kStep, "--memory none") + "echo ran").out ==
        "ran\n");
}

TEST_AS_ROOT("an ordinary user's limit holds in a delegated cgroup") {
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

TEST_AS_BOTH("a size that is none is refused in one line") {
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
