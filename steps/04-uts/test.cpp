// Step 04 promises a host name of the container's own.

#include "steps/tests/host.hpp"

using host::Caller, host::Fails, host::Kept, host::Pieces, host::shell,
    host::step;

TEST_SUITE_BEGIN("04-uts");

PROMISE_AS_BOTH(
    "it is called box, or as it is told", Kept{"04-08", "04-06 08"},
    Pieces{"Set the name"},
    Fails{"We ask the container for its host name and expect box, or the NAME "
          "of --hostname, because programs introduce themselves by it."}) {
  CHECK(shell(step(caller, "04-uts") + "hostname").out == "box\n");
  CHECK(shell(step(caller, "04-uts", "--hostname Crate.example") + "hostname")
            .out == "Crate.example\n");
  for (const auto& name : {std::string{"x"}, std::string(64, 'a')})
    CHECK(
        shell(step(caller, "04-uts", "--hostname=" + name) + "uname -n").out ==
        name + "\n");
}

PROMISE_AS_BOTH(
    "it may change its name, and the host keeps its own",
    Kept{"04-07", "04-06"}, Pieces{"A separate host name"},
    Fails{"Root in the container changes the host name, and we expect only the "
          "container's name to change, because the host must keep its own."}) {
  const auto before = shell("uname -n").out;
  CHECK(
      shell(step(caller, "04-uts") + "sh -c 'hostname new && hostname'").out ==
      "new\n");
  CHECK(shell("uname -n").out == before);
}

PROMISE_AS_BOTH("a name that is none is refused in one line", Kept{"04"},
                Pieces{"Set the name"},
                Fails{"We pass words to --hostname that cannot be host names "
                      "and expect status 125 and one line, because the command "
                      "must not run with a wrong name."}) {
  const std::string long_name(65, 'a');
  for (const std::string name :
       {"''", "a/b", "-a", "'a b'", long_name.c_str()}) {
    const auto result =
        shell(step(caller, "04-uts", "--hostname " + name) + "true");
    CHECK(result.status == 125);
    CHECK(host::lines(result.err).size() == 1);
  }
}

PROMISE_IF(host::can_trace(), "it does not run with another name (root)",
           Kept{"04-08"}, Pieces{"Set the name"},
           Fails{"The kernel refuses to set the NAME of --hostname, and we "
                 "expect status 125 and no command, because you asked for this "
                 "name."}) {
  const auto result =
      shell("strace -f -qq -o /dev/null -e inject=sethostname:error=EPERM " +
            step(Caller::kRoot, "04-uts", "--hostname other") + "echo ran");
  CHECK(result.status == 125);
  CHECK(result.out == "");
}

TEST_SUITE_END();
