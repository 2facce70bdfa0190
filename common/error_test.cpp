#include "common/error.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>
#include <vector>

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
  CHECK(error.attempt().text == "enter /no/such and 7");
  CHECK(error.hint().empty());
  CHECK(error.status() == 125);
}

TEST_CASE("an attempt has its call apart from what it was given") {
  const sys::Attempt mount{"mount(2) proc on /proc", EPERM};
  CHECK(mount.call() == "mount(2)");
  CHECK(mount.subject() == "proc on /proc");
  const sys::Attempt told{"setsid(2): leave the session", EPERM};
  CHECK(told.call() == "setsid(2)");
  CHECK(told.subject() == "leave the session");
  const sys::Attempt bare{"pipe2(2)", EMFILE};
  CHECK(bare.call() == "pipe2(2)");
  CHECK(bare.subject().empty());
  for (const char* const text :
       {"", "mount proc", "mount proc (2)", "(2) x", "mount(proc)", "a b(2)"}) {
    CAPTURE(text);
    const sys::Attempt own{text, EPERM};
    CHECK(own.call().empty());
    CHECK(own.subject() == text);
  }
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

TEST_CASE("for a script an error is an object of JSON, one a line") {
  ::setenv("BOX_MESSAGES", "json", 1);
  const sys::Defer unset{[] { ::unsetenv("BOX_MESSAGES"); }};
  CHECK(reported(sys::Error{EBUSY, "mount(2) a \"b\\c\n on /x", "wait"}) ==
        "{\"message\": \"mount(2) a \\\"b\\\\c? on /x: Device or resource busy "
        "(EBUSY)\", \"call\": \"mount(2)\", \"subject\": \"a \\\"b\\\\c? on "
        "/x\", \"errno\": \"EBUSY\", \"hint\": \"wait\"}\n");
  CHECK(reported(std::runtime_error{"no way"}) == R"({"message": "no way"})"
                                                  "\n");
  const auto refused = reported(sys::Error{ENOENT, "open(2) /srv/tree/proc"});
  CHECK(refused.find(R"("mend": "make rootfs", "stops": "everybody"})") !=
        refused.npos);
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

// ---- What may be anybody's --------------------------------------------------

TEST_CASE("what a terminal would act on is shown, not sent") {
  const std::vector<std::pair<std::string, std::string>> texts{
      {"", ""},
      {"plain, \u00e4\u00f6\u00fc, \u4e16, \U0001f980",
       "plain, \u00e4\u00f6\u00fc, \u4e16, \U0001f980"},
      {"\x1b[2J\a\b\r\n\t\x7f", "?[2J??????"},
      {std::string{"a\0b", 3}, "a?b"},
      // CSI and OSC of C1, as characters and as bytes.
      {"\u0080\u0085\u009b2J\u009d0;x\u009c\u009f", "???2J?0;x??"},
      {"\x80\x9b"
       "2J\x9d",
       "\\x80\\x9b2J\\x9d"},
      {"\u00a0\u00ac\u00ae", "\u00a0\u00ac\u00ae"},
      // Right to left, and nothing at all.
      {"a\u202e\u2066b\u200b\u200f\u2028\ufeff\u061c\u2069\u202c",
       "a??b???????"},
      {"\U000e0041", "?"},
      // Each looks like nothing, or changes the character before it.
      {"a\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b\u180e\u180f\u3164b",
       "a??????????b"},
      {"a\ufe00\ufe0f\uffa0\ufff0\ufffbb", "a?????b"},
      {"\U0001d173\U0001d17a\U000e0000\U000e007f\U000e0100\U000e0fff",
       "??????"},
      // Their neighbours are seen.
      {"\u115e\u1161\u180a\u3163\u3165\ufdff\ufe10\uff9f\uffa1",
       "\u115e\u1161\u180a\u3163\u3165\ufdff\ufe10\uff9f\uffa1"},
      // Latin-1; cut short; longer than needed; half of a pair; too large.
      {"caf\xe9", "caf\\xe9"},
      {"\xe4\xb8", "\\xe4\\xb8"},
      {"\xc0\x9b\xe0\x82\x9b", "\\xc0\\x9b\\xe0\\x82\\x9b"},
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
      {"\xf5\x80\x80\x80\xff", "\\xf5\\x80\\x80\\x80\\xff"},
      // A byte that promises more does not swallow what follows.
      {"\xe4\x1b[2J", "\\xe4?[2J"},
  };
  for (const auto& one : texts) {
    const auto& text = one.first;
    const auto& shown = one.second;
    CHECK(sys::printable(text) == shown);
    // Every way by which it can get there.
    CHECK(reported(sys::Error{EIO, text}).find(": cannot " + shown + ": ") !=
          std::string::npos);
    CHECK(reported(sys::Error{EIO, "x", "mend " + text})
              .ends_with("mend " + shown + "\n"));
    CHECK(reported(std::runtime_error{"no " + text}) ==
          program() + ": no " + sys::printable(text.c_str()) + "\n");
    CHECK(testing::written_to(STDERR_FILENO, [&] { sys::note(text); }) ==
          program() + ": " + shown + "\n");
    CHECK(testing::written_to(STDERR_FILENO, [&] {
            sys::verbose = true;
            sys::narrate("{}", text);
            sys::verbose = false;
          }).ends_with("] " + shown + "\n"));
  }
}

TEST_CASE("a long text is told without its middle") {
  CHECK(sys::shorten("short") == "short");
  CHECK(sys::shorten("0123456789", 10) == "0123456789");
  CHECK(sys::shorten("0123456789x", 10) == "01234...6789x");
  // Never in the middle of a character.
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "\u4e16";
  for (std::size_t most = 1; most < 50; ++most) {
    const auto shown = sys::shorten(text, most);
    CHECK(shown.size() <= most + 3);
    CHECK(sys::printable(shown) == shown);
  }
  // Both ends are there, and all that follows.
  const auto path = "/begin" + std::string(5000, 'a') + "/end";
  const auto line = reported(sys::Error{ENAMETOOLONG, "enter " + path, "mend"});
  CHECK(line.size() < 600);
  CHECK(line.find("cannot enter /begin") != std::string::npos);
  CHECK(
      line.ends_with("a/end: File name too long (ENAMETOOLONG); hint: mend\n"));
  CHECK(reported(std::runtime_error{"no " + path}).size() < 600);
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
