// Step 04 promises a host name of the container's own.

#include "steps/tests/host.hpp"

using host::shell, host::step;

TEST_SUITE_BEGIN("04-uts");

TEST_AS_BOTH("it is called box, or as it is told") {
  CHECK(shell(step(caller, "04-uts") + "hostname").out == "box\n");
  CHECK(shell(step(caller, "04-uts", "--hostname crate.example") + "hostname")
            .out == "crate.example\n");
  CHECK(shell(step(caller, "04-uts", "--hostname=x") + "uname -n").out ==
        "x\n");
}

TEST_AS_BOTH("it may change its name, and the host keeps its own") {
  const auto before = shell("uname -n").out;
  CHECK(
      shell(step(caller, "04-uts") + "sh -c 'hostname new && hostname'").out ==
      "new\n");
  CHECK(shell("uname -n").out == before);
}

TEST_AS_BOTH("a name that is none is refused in one line") {
  const std::string long_name(65, 'a');
  for (const std::string name :
       {"''", "a/b", "-a", "'a b'", long_name.c_str()}) {
    const auto result =
        shell(step(caller, "04-uts", "--hostname " + name) + "true");
    CHECK(result.status == 125);
    CHECK(host::lines(result.err).size() == 1);
  }
  CHECK(shell(step(caller, "04-uts", "--hostname " + std::string(64, 'a')) +
              "true")
            .status == 0);
}

TEST_SUITE_END();
