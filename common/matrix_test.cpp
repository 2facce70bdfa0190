// The matrix comes out as steps/matrix.md has it: every attack in every step.

#include "common/testing.hpp"
#include "steps/tests/host.hpp"

#include <csignal>
#include <filesystem>

namespace fs = std::filesystem;
using host::Running, host::shell;

TEST_SUITE_BEGIN("matrix");

namespace {

const bool kIsSkipped = ::geteuid() != 0 || host::kIsSanitized;

std::string matrix(const std::string& options) {
  const auto build = host::build_directory();
  return "scripts/matrix/matrix --build " + build.string() + " " + options;
}

// What a run with this number has for itself outside: nothing, when it is over.
std::vector<std::string> left_by(pid_t pid) {
  const auto mark = "/tmp/matrix." + std::to_string(pid) + ".";
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator("/tmp"))
    if (entry.path().string().starts_with(mark)) found.push_back(entry.path());
  for (const auto& line :
       host::lines(shell("cat /sys/block/*/loop/backing_file").out))
    if (line.starts_with(mark)) found.push_back(line);
  return found;
}

}  // namespace

TEST_CASE_FIXTURE(host::Unharmed,
                  "every attack in every step ends as expected (root)" *
                      doctest::skip(kIsSkipped)) {
  const auto result = shell(matrix("--compare steps"));
  // 22 attacks; root has eight steps, an ordinary user the last six.
  long cells = 0;
  for (const auto& line : host::lines(result.out))
    if (line.starts_with("not compared: ")) {
      ++cells;
      MESSAGE(line);
    }
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  cells += testing::number(testing::last(host::lines(result.out)));
  CHECK(cells == 22 * (8 + 6));
}

TEST_CASE_FIXTURE(host::Unharmed, "a wall that is not there is noticed (root)" *
                                      doctest::skip(kIsSkipped)) {
  const auto without = "STEP_05=" + host::as(host::Caller::kRoot, "04-uts");
  const auto result =
      shell(without + " " +
            matrix("--compare steps --who root --step 05 --probe chroot2"));
  CHECK(result.status == 1);
  CHECK(
      result.out.starts_with("expected: its own, but\n"
                             "chroot2 in 05, as root: hits the host\n"));
}

TEST_CASE_FIXTURE(host::Unharmed,
                  "a probe that only claims is not believed (root)" *
                      doctest::skip(kIsSkipped)) {
  const auto liar = host::scratch("liar") + "/liar";
  host::must("printf '#!/bin/sh\\necho I did it all\\n' >" + liar +
             "; chmod 755 " + liar);
  const auto result =
      shell("STEP_01=" + liar + " " + matrix("--json --who root --step 01"));
  CHECK(result.out.find("I did it all") != std::string::npos);
  CHECK(result.out.find("hits the host") == std::string::npos);
}

TEST_CASE_FIXTURE(host::Unharmed, "a step that does not run is no wall (root)" *
                                      doctest::skip(kIsSkipped)) {
  const auto result =
      shell("STEP_08=/bin/false " +
            matrix("--compare steps --who root --step 08 --probe hostname"));
  CHECK(result.status == 1);
  CHECK(result.out.find("hostname in 08, as root: broken") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(host::Unharmed,
                  "interrupted, it leaves nothing behind (root)" *
                      doctest::skip(kIsSkipped)) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    CAPTURE(signal);
    Running running{matrix("--json --step 08")};
    const auto pid = running.pid();
    CHECK(host::comes_to_run(pid, "08-all"));
    ::kill(pid, signal);
    CHECK(running.finish() == 128 + signal);
    CHECK(left_by(pid).empty());
  }
}

TEST_SUITE_END();
