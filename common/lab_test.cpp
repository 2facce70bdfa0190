// The lab is a machine of its own: what goes in and comes out of it, and what
// stays inside. It takes QEMU, and a kernel that was fetched before.

#include <csignal>
#include <cstdlib>

#include "common/host_test.hpp"

using host::shell;

TEST_SUITE_BEGIN("lab");

namespace {

// A lab in the lab would take minutes to boot.
bool has_no_lab() {
  static const bool answer =
      std::getenv("LAB") != nullptr ||
      shell("LAB_OFFLINE=1 scripts/lab --fetch").status != 0;
  return answer;
}

// A process is known by the first fifteen letters of its program.
#ifdef __aarch64__
const std::string kQemu = "qemu-system-aar";
#else
const std::string kQemu = "qemu-system-x86";
#endif

// Its files out here, of this process's labs alone.
std::string lab() {
  return "TMPDIR='" + host::scratch("lab") + "' scripts/lab ";
}

}  // namespace

// One promise that takes a lab.
#define TEST_IN_LAB(name)                                          \
  TEST_CASE_FIXTURE(host::Unharmed,                                \
                    name " (takes QEMU and scripts/lab --fetch)" * \
                        doctest::skip(has_no_lab()))

TEST_IN_LAB("its input, outputs and status are the command's") {
  const auto readme = host::contents("README.md");
  const auto result = shell(
      "printf 'one\\ntwo\\n' | " + lab() +
      "sh -c 'cat; echo spoilt >README.md && cat README.md;"
      "stat -f -c %T /sys/fs/cgroup /tmp build/rootfs; id -u; echo \"$1\";"
      "sleep 1000 & echo error >/dev/stderr; exit 7' sh \"it's  so\"");
  CAPTURE(result.err);
  CHECK(result.status == 7);
  CHECK(result.out ==
        "one\ntwo\nspoilt\ncgroup2fs\next2/ext3\next2/ext3\n0\nit's  so\n");
  CHECK(result.err == "error\n");
  CHECK(host::contents("README.md") == readme);
}

TEST_IN_LAB("an ordinary user in it may limit what is theirs") {
  const auto result = shell(lab() +
                            "--user sh -c 'id -u; build/07-cgroup-memory "
                            "--net none --memory 16M build/rootfs "
                            "tail /dev/zero' </dev/null");
  CAPTURE(result.err);
  CHECK(result.status == 137);
  CHECK(result.out != "0\n");
  CHECK(result.err.find("came to its memory limit") != std::string::npos);
}

TEST_IN_LAB("what takes too long is ended with 124 and one line") {
  const auto result = shell("LAB_TIMEOUT=1 " + lab() + "sleep 1000");
  CHECK(result.status == 124);
  CHECK(result.err == "lab: no end after 1 s (LAB_TIMEOUT)\n");
  CHECK(shell("ls -A '" + host::scratch("lab") + "'").out.empty());
}

TEST_IN_LAB("a signal ends it, and nothing is left") {
  for (const int signal : {SIGINT, SIGTERM}) {
    host::Running running{"env " + lab() + "sleep 1000"};
    CHECK(host::comes_to_run(running.pid(), kQemu));
    ::kill(running.pid(), signal);
    CHECK(running.finish() == 128 + signal);
    CHECK(shell("ls -A '" + host::scratch("lab") + "'").out.empty());
  }
}

TEST_IN_LAB("125 and one line if there is no such kernel") {
  const auto result = shell("LAB_DEB=/no/such.deb " + lab() + "true");
  CHECK(result.status == 125);
  CHECK(result.err == "lab: cannot read /no/such.deb (LAB_DEB)\n");
}

TEST_CASE("what other tools read of us is JSON, and YAML") {
  const auto result =
      shell("python3 -m json.tool .devcontainer/devcontainer.json");
  CHECK(result.err.empty());
  CHECK(result.status == 0);
  if (shell("python3 -c 'import yaml'").status != 0) {
    MESSAGE("not tried: .lima.yaml, for there is no python3-yaml");
    return;
  }
  CHECK(shell("python3 -c 'import yaml; yaml.safe_load(open(\".lima.yaml\"))'")
            .status == 0);
}

TEST_SUITE_END();
