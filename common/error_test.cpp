#include "common/error.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <stdexcept>

#include "common/testing.hpp"

namespace {

std::string reported(const std::exception& error) {
  return testing::written_to(STDERR_FILENO, [&] { sys::report(error); });
}

std::string program() {
  return ::program_invocation_short_name;
}

}  // namespace

TEST_SUITE_BEGIN("common/error");

TEST_CASE("check passes a result on, and turns -1 into an Error") {
  CHECK(sys::check(42, "unused") == 42);
  CHECK(sys::check(0, "unused") == 0);
  CHECK(sys::check(-2L, "unused") == -2);

  const auto error = testing::error_of([] {
    sys::check(::chdir("/no/such"), "enter {} and {}", "/no/such", 7);
  });
  CHECK(error.code() == std::errc::no_such_file_or_directory);
  CHECK(error.doing() == "enter /no/such and 7");
  CHECK(error.hint().empty());
  CHECK(error.status() == 125);
}

TEST_CASE("the statuses of our own are those of env(1) and timeout(1)") {
  CHECK(sys::kOurFailure == 125);
  CHECK(sys::kNotExecutable == 126);
  CHECK(sys::kNotFound == 127);
}

TEST_CASE("an error is told in one line: who, what, why, and the errno") {
  CHECK(reported(sys::Error{ENOENT, "enter /no/such"}) ==
        program() +
            ": cannot enter /no/such: No such file or directory (ENOENT)\n");
}

TEST_CASE("a hint stands at the end of the line") {
  CHECK(reported(sys::Error{EBUSY, "mount it", "wait a little"}) ==
        program() +
            ": cannot mount it: Device or resource busy (EBUSY); hint: wait a "
            "little\n");
}

TEST_CASE("only an ordinary user without permission is told to be root") {
  const auto sudo = std::string{
      "; hint: this needs root: run it as root, "
      "or in make lab\n"};
  const bool is_told =
      reported(sys::Error{EPERM, "chroot to ."}).ends_with(sudo);
  CHECK(is_told == (::geteuid() != 0));
  CHECK_FALSE(reported(sys::Error{EIO, "chroot to ."}).ends_with(sudo));
  CHECK(reported(sys::Error{EPERM, "map ids", "ask AppArmor"})
            .ends_with("(EPERM); hint: ask AppArmor\n"));
}

TEST_CASE("an error that is not a system call's is told as it is") {
  CHECK(reported(std::runtime_error{"all links are taken"}) ==
        program() + ": all links are taken\n");
}

TEST_CASE("report returns the status that the error deserves") {
  const auto status_of = [](const std::exception& error) {
    int status = -1;
    testing::written_to(STDERR_FILENO, [&] { status = sys::report(error); });
    return status;
  };
  CHECK(status_of(sys::Error{EIO, "read"}) == 125);
  CHECK(status_of(sys::Error{ENOENT, "run x", {}, sys::kNotFound}) == 127);
  CHECK(status_of(sys::Error{EACCES, "run x", {}, sys::kNotExecutable}) == 126);
  CHECK(status_of(std::logic_error{"a bug"}) == 125);
}

TEST_CASE("an errno without a name is given by its number") {
  CHECK(sys::errno_name(99999) == "errno 99999");
  CHECK(sys::common_errno_name(99999) == "errno 99999");
}

TEST_CASE("what musl does not name has the name that glibc gives it") {
  int named = 0;
  for (int errnum = 1; errnum < 200; ++errnum) {
    const auto name = sys::common_errno_name(errnum);
    if (name.starts_with("errno ")) continue;
    CHECK(name == sys::errno_name(errnum));
    ++named;
  }
  CHECK(named > 40);
  CHECK(sys::common_errno_name(EPERM) == "EPERM");
}

TEST_CASE("check and narrate speak when verbose, and name the process") {
  const auto told = [](bool verbose) {
    return testing::written_to(STDERR_FILENO, [&] {
      sys::verbose = verbose;
      sys::check(::chdir("."), "stay in {}", ".");
      sys::narrate("and {}", "rest");
      sys::verbose = false;
    });
  };
  CHECK(told(false).empty());
  CHECK(told(true) ==
        sys::format("[pid {0}] stay in .\n[pid {0}] and rest\n", ::getpid()));
}

TEST_CASE("a note is printed even without -v") {
  CHECK(testing::written_to(STDERR_FILENO, [] { sys::note("no cable"); }) ==
        program() + ": no cable\n");
}

TEST_CASE("a report with no stderr to go to still has its status") {
  int status = -1;
  {
    const sys::Fd before{::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)};
    ::close(STDERR_FILENO);
    status = sys::report(sys::Error{EIO, "read"});
    REQUIRE(::dup2(before.get(), STDERR_FILENO) == STDERR_FILENO);
  }
  CHECK(status == 125);
}

TEST_SUITE_END();
