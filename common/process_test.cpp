#include "common/process.hpp"

#include <doctest/doctest.h>
#include <grp.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/diagnosis/causes.hpp"
#include "common/testing.hpp"

using testing::error_of;

namespace {

// One process tells another that it has come to a point.
class Bell {
 public:
  void ring() const {
    sys::check(::write(pipe_.write_end.get(), "!", 1), "ring");
  }
  void await() const {
    char byte = 0;
    if (::read(pipe_.read_end.get(), &byte, 1) != 1)
      throw std::runtime_error{"there is nobody to ring"};
  }
  // Whether all who could ring are gone.
  [[nodiscard]] bool is_orphaned() {
    pipe_.write_end.reset();
    return testing::is_at_end(pipe_.read_end);
  }

 private:
  sys::Pipe pipe_;
};

constexpr int kCaught = 42;

void handle(int signal, void (*handler)(int)) {
  if (std::signal(signal, handler) == SIG_ERR)
    throw sys::Error{errno, "set what a signal does"};
}

[[noreturn]] void sleep_for_ever() {
  for (;;) ::pause();
}

}  // namespace

TEST_SUITE_BEGIN("common/process");

// ---- Ends ------------------------------------------------------------------

TEST_CASE("wait returns the status a shell would") {
  CHECK(sys::clone(0, [] {}).wait() == 0);
  CHECK(sys::clone(0, [] { ::_exit(7); }).wait() == 7);
  CHECK(sys::clone(0, [] { ::raise(SIGTERM); }).wait() == 128 + SIGTERM);
  CHECK(sys::clone(0, [] { ::raise(SIGKILL); }).wait() == 128 + SIGKILL);
}

TEST_CASE("a command that was run has its own status") {
  auto child = sys::clone(0, [] {
    ::execl("/bin/sh", "sh", "-c", "exit 7", nullptr);
    sys::exec_failed("/bin/sh");
  });
  CHECK(child.wait() == 7);
}

TEST_CASE("what the child throws before its exec, wait throws") {
  auto failing = sys::clone(0, [] {
    throw sys::Error{EBUSY, "mount proc", "wait a little", 126};
  });
  const auto error = error_of([&] { failing.wait(); });
  CHECK(error.code() == std::errc::device_or_resource_busy);
  CHECK(error.attempt().text == "mount proc");
  CHECK(error.hint() == "wait a little");
  CHECK(error.status() == 126);

  auto buggy = sys::clone(0, [] { throw std::logic_error{"no system call"}; });
  CHECK_THROWS_WITH_AS(buggy.wait(), "no system call", std::runtime_error);
}

TEST_CASE("a failure with too much to say arrives, and is cut") {
  const std::string much(100'000, 'x');
  auto child = sys::clone(0, [&] { throw sys::Error{EIO, much, much}; });
  const auto error = error_of([&] { child.wait(); });
  CHECK(error.code() == std::errc::io_error);
  CHECK(error.attempt().text.size() > 1000);
  CHECK(error.hint().size() > 500);
  CHECK(error.attempt().text.size() + error.hint().size() < 4000);
}

TEST_CASE("wait waits for the child, not for those it leaves behind") {
  const Bell bell;
  auto child = sys::clone(0, [&] {
    if (::fork() == 0) bell.await();  // It holds the child's error pipe open.
  });
  CHECK(child.wait() == 0);
  bell.ring();
}

TEST_CASE("the child runs none of the parent's destructors") {
  sys::Pipe pipe;
  {
    const sys::Defer mark{
        [&] { sys::check(::write(pipe.write_end.get(), "x", 1), "mark"); }};
    CHECK(sys::clone(0, [] {}).wait() == 0);
    auto failing = sys::clone(0, [] { throw std::logic_error{"failed"}; });
    CHECK_THROWS(failing.wait());
  }
  pipe.write_end.reset();
  CHECK(sys::read_file(sys::format("/proc/self/fd/{}", pipe.read_end.get())) ==
        "x");
}

TEST_CASE("a child left un-waited is killed and reaped") {
  pid_t pid = 0;
  {
    const auto child = sys::clone(0, sleep_for_ever);
    pid = child.pid();
    CHECK(::kill(pid, 0) == 0);
  }
  CHECK(::kill(pid, 0) == -1);
  CHECK(errno == ESRCH);
}

TEST_CASE("a child that is let go lives on without us") {
  const Bell at_work;
  const Bell end;
  pid_t pid = 0;
  {
    sys::Child child = sys::clone(0, [&] {
      ::close(sys::failure_descriptor());
      end.await();
      at_work.ring();
    });
    pid = child.pid();
    child.let_go();
  }
  CHECK(::waitpid(pid, nullptr, WNOHANG) == 0);
  end.ring();
  at_work.await();
  CHECK(::waitpid(pid, nullptr, 0) == pid);
}

TEST_CASE("a child that fails before it is let go tells why") {
  sys::Child child =
      sys::clone(0, [] { throw std::runtime_error{"it did not work"}; });
  CHECK_THROWS_WITH_AS(child.let_go(), "it did not work", std::runtime_error);
}

TEST_CASE("the child dies with its parent") {
  Bell bell;
  auto parent = sys::clone(0, [&] {
    const auto child = sys::clone(0, [&] {
      bell.ring();
      sleep_for_ever();
    });
    sleep_for_ever();
  });
  bell.await();
  CHECK(::kill(parent.pid(), SIGKILL) == 0);
  CHECK(parent.wait() == 128 + SIGKILL);
  CHECK(bell.is_orphaned());
}

TEST_CASE("the child has none of the caller's signal handlers") {
  const auto before = std::signal(SIGUSR1, [](int) { ::_exit(kCaught); });
  CHECK(sys::clone(0, [] { ::raise(SIGUSR1); }).wait() == 128 + SIGUSR1);
  handle(SIGUSR1, before);
}

TEST_CASE("clone says what the kernel does not clone") {
  const auto error =
      error_of([] { sys::clone(CLONE_NEWNS | CLONE_FS, [] {}); });
  CHECK(error.code() == std::errc::invalid_argument);
  CHECK(error.attempt().text == "clone3(2) CLONE_NEWNS");
}

TEST_CASE("clone tells who is in a chroot or lacks a namespace why" *
          doctest::skip(::geteuid() != 0)) {
  auto child = sys::clone(0, [] {
    sys::check(::chroot("/proc"), "enter a chroot");
    sys::check(::setresuid(1, 1, 1), "setresuid(2): become user 1");
    sys::clone(CLONE_NEWUSER, [] {});
  });
  const auto error = error_of([&] { child.wait(); });
  CHECK(error.code() == std::errc::operation_not_permitted);
  CHECK(sys::hint_of(error).starts_with("this is a chroot, "));
}

TEST_CASE("CLONE_NEWPID makes the child PID 1" *
          doctest::skip(::geteuid() != 0)) {
  const auto am_i_first = [] { ::_exit(::getpid() == 1 ? 0 : 1); };
  CHECK(sys::clone(CLONE_NEWPID, am_i_first).wait() == 0);
}

// ---- exec ------------------------------------------------------------------

TEST_CASE("a command that is not there is 127, one that cannot run 126") {
  const auto failure = [](int errnum, const char* command) {
    return error_of([&] {
      errno = errnum;
      sys::exec_failed(command);
    });
  };
  const auto missing = failure(ENOENT, "/no/such");
  CHECK(missing.attempt().text == "execve(2) /no/such");
  CHECK(missing.code() == std::errc::no_such_file_or_directory);
  CHECK(missing.status() == 127);
  CHECK(missing.hint().empty());

  CHECK(failure(EACCES, "/etc/passwd").status() == 126);
  CHECK(failure(ENOEXEC, "/etc/passwd").status() == 126);
  CHECK(failure(EACCES, "/etc/passwd").hint() ==
        "chmod +x makes it executable");
  CHECK(failure(EACCES, "/etc").hint() == "it is a directory");
  CHECK(failure(EACCES, "/bin/sh").hint().empty());
}

TEST_CASE("a command that is there but not found lacks its loader") {
  const testing::Directory directory;
  const auto script = directory.make_file("script", "#!/no/such/loader\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  auto child = sys::clone(0, [&] {
    ::execl(script.c_str(), script.c_str(), nullptr);
    sys::exec_failed(script.c_str());
  });
  const auto error = error_of([&] { child.wait(); });
  CHECK(error.code() == std::errc::no_such_file_or_directory);
  CHECK(error.status() == 127);
  CHECK(error.hint() == "its interpreter or loader is not in the rootfs");
}

// ---- Gate ------------------------------------------------------------------

TEST_CASE("a Gate holds the child until the parent has given its word") {
  struct Word {
    int number;
    char letter;
  };
  sys::Gate<Word> gate;
  auto child = sys::clone(0, [&] {
    const auto word = gate.wait();
    ::_exit(word.number == 7 && word.letter == 'x' ? 0 : 1);
  });
  gate.open({.number = 7, .letter = 'x'});
  CHECK(child.wait() == 0);
}

TEST_CASE("a child at the Gate ends when nobody is left to open it") {
  std::optional<sys::Gate<>> gate{std::in_place};
  auto child = sys::clone(0, [&] { gate->wait(); });
  gate.reset();
  CHECK(child.wait() == sys::kOurFailure);
}

// ---- Signals ---------------------------------------------------------------

namespace {

// Stands for one of our programs: holds signals back, has a child, waits for
// it.
class Program {
 public:
  Program(std::uint64_t flags, const std::function<void()>& body)
      : self_{sys::clone(0, [&] {
          const sys::Signals signals;
          auto child = sys::clone(flags, body);
          result_.open(child.wait());
        })} {}

  void send(int signal) const {
    sys::check(::kill(self_.pid(), signal), "send signal {}", signal);
  }

  // What the program's wait() returned. If a signal has ended the program
  // itself, not even the status comes out.
  int wait() {
    if (const int status = self_.wait(); status != 0)
      throw std::runtime_error{
          sys::format("the program ended with {}", status)};
    return result_.wait();
  }

  // Waits until ^Z has stopped it.
  [[nodiscard]] bool is_stopped() const {
    int status = 0;
    return ::waitpid(self_.pid(), &status, WUNTRACED) == self_.pid() &&
           WIFSTOPPED(status);
  }

 private:
  sys::Gate<int> result_;
  sys::Child self_;
};

}  // namespace

TEST_CASE("a signal for which the child has no use ends it") {
  for (const int signal :
       {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2}) {
    CAPTURE(signal);
    const Bell bell;
    Program program{0, [&] {
                      bell.ring();
                      sleep_for_ever();
                    }};
    bell.await();
    program.send(signal);
    CHECK(program.wait() == 128 + signal);
  }
}

TEST_CASE("SIGTERM ends even a child that is PID 1 and would not notice" *
          doctest::skip(::geteuid() != 0)) {
  const Bell bell;
  Program program{CLONE_NEWPID, [&] {
                    bell.ring();
                    sleep_for_ever();
                  }};
  bell.await();
  program.send(SIGTERM);
  CHECK(program.wait() == 128 + SIGTERM);
}

TEST_CASE("SIGTERM ends a child that ignores it") {
  const Bell bell;
  Program program{0, [&] {
                    handle(SIGTERM, SIG_IGN);
                    bell.ring();
                    sleep_for_ever();
                  }};
  bell.await();
  program.send(SIGTERM);
  CHECK(program.wait() == 128 + SIGTERM);
}

TEST_CASE("a child that catches SIGTERM gets it") {
  const Bell bell;
  Program program{0, [&] {
                    handle(SIGTERM, [](int) { ::_exit(kCaught); });
                    bell.ring();
                    sleep_for_ever();
                  }};
  bell.await();
  program.send(SIGTERM);
  CHECK(program.wait() == kCaught);
}

TEST_CASE(
    "a child that blocks SIGTERM, and reads it from a signalfd, gets it") {
  const Bell bell;
  Program program{
      0, [&] {
        ::prctl(PR_SET_NAME, "init");  // It is no longer setting up.
        sigset_t set;
        ::sigemptyset(&set);
        ::sigaddset(&set, SIGTERM);
        ::sigprocmask(SIG_BLOCK, &set, nullptr);
        const sys::Fd signals{::signalfd(-1, &set, SFD_CLOEXEC)};
        bell.ring();
        signalfd_siginfo signal{};
        const auto n = ::read(signals.get(), &signal, sizeof signal);
        ::_exit(n == sizeof signal ? kCaught : 1);
      }};
  bell.await();
  program.send(SIGTERM);
  CHECK(program.wait() == kCaught);
}

TEST_CASE("^C is not for a child that ignores it") {
  const Bell bell;
  Program program{0, [&] {
                    handle(SIGINT, SIG_IGN);
                    handle(SIGQUIT, SIG_IGN);
                    handle(SIGUSR1, [](int) { ::_exit(kCaught); });
                    bell.ring();
                    sleep_for_ever();
                  }};
  bell.await();
  program.send(SIGINT);
  program.send(SIGQUIT);
  program.send(SIGUSR1);  // The highest number: it is heard last.
  CHECK(program.wait() == kCaught);
}

TEST_CASE("a signal that came before the child was made waits for it") {
  const Bell bell;
  sys::Gate<int> result;
  auto program = sys::clone(0, [&] {
    const sys::Signals signals;
    ::raise(SIGTERM);
    auto child = sys::clone(0, sleep_for_ever);
    result.open(child.wait());
  });
  CHECK(program.wait() == 0);
  CHECK(result.wait() == 128 + SIGTERM);
}

// The groups stand in /proc/PID/status before the signals. With an account from
// a directory service they can be hundreds.
TEST_CASE("a child in a thousand groups gets the TERM that it handles (root)" *
          doctest::skip(::geteuid() != 0)) {
  const Bell bell;
  Program program{0, [&] {
                    std::vector<gid_t> groups(1000);
                    std::iota(groups.begin(), groups.end(), 3000000000U);
                    sys::check(::setgroups(groups.size(), groups.data()),
                               "join a thousand groups");
                    handle(SIGTERM, [](int) { ::_exit(kCaught); });
                    bell.ring();
                    sleep_for_ever();
                  }};
  bell.await();
  program.send(SIGTERM);
  CHECK(program.wait() == kCaught);
}

TEST_CASE("the child does not inherit that signals are held back") {
  Program program{0, [] {
                    sigset_t mask;
                    ::sigprocmask(SIG_SETMASK, nullptr, &mask);
                    ::_exit(::sigismember(&mask, SIGTERM) == 0 ? 0 : 1);
                  }};
  CHECK(program.wait() == 0);
}

TEST_CASE("^Z stops the program with its child, and fg goes on with both") {
  const Bell bell;
  Program program{0, [&] {
                    handle(SIGTERM, [](int) { ::_exit(kCaught); });
                    bell.ring();
                    sleep_for_ever();
                  }};
  bell.await();
  program.send(SIGTSTP);
  REQUIRE(program.is_stopped());
  program.send(SIGCONT);
  program.send(SIGTERM);  // A child still stopped would not catch it.
  CHECK(program.wait() == kCaught);
}

TEST_CASE("what the caller ignores, neither the program nor its child hears") {
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE,
                           SIGALRM, SIGTERM, SIGTSTP, SIGTTIN, SIGVTALRM}) {
    CAPTURE(signal);
    const Bell bell;
    sys::Gate<int> result;
    auto program = sys::clone(0, [&] {
      handle(signal, SIG_IGN);
      const sys::Signals signals;
      auto child = sys::clone(0, [&] {
        ::raise(signal);
        handle(SIGSYS, [](int) { ::_exit(kCaught); });
        bell.ring();
        sleep_for_ever();
      });
      result.open(child.wait());
    });
    bell.await();
    sys::check(::kill(program.pid(), signal), "send it");
    // The highest number: it is heard last.
    sys::check(::kill(program.pid(), SIGSYS), "end it");
    CHECK(program.wait() == 0);
    CHECK(result.wait() == kCaught);
  }
}

TEST_CASE("what the caller ignored does not keep wait from its child") {
  auto program = sys::clone(0, [] {
    handle(SIGCHLD, SIG_IGN);
    const sys::Signals signals;
    ::_exit(sys::clone(0, [] { ::_exit(7); }).wait());
  });
  CHECK(program.wait() == 7);
}

// ---- Which of two errors is told --------------------------------------------

namespace {

struct Told {
  std::string text;
  int status = -1;
};

// What main would print if the parent fails, too, when the child has ended, or
// waits for ever.
Told told_of(const std::function<void()>& body, bool has_ended = true) {
  Told told;
  told.text = testing::written_to(STDERR_FILENO, [&] {
    try {
      const sys::Defer undo{[] { throw sys::Error{EBUSY, "undo it"}; }};
      const auto child = sys::clone(0, body);
      siginfo_t end{};
      if (has_ended)
        REQUIRE(::waitid(P_PID, static_cast<id_t>(child.pid()), &end,
                         WEXITED | WNOWAIT) == 0);
      throw sys::Error{ESRCH, "do our part"};
    } catch (const std::exception& error) {
      told.status = sys::report(error);
    }
  });
  return told;
}

std::string line(const std::string& text) {
  return sys::format("{}: {}\n", ::program_invocation_short_name, text);
}

}  // namespace

TEST_CASE("the child's error is told, not what failed after it") {
  const auto undone = line("cannot undo it: Device or resource busy (EBUSY)");
  auto told = told_of([] { throw sys::Error{EIO, "do its part", "wait"}; });
  CHECK(told.text ==
        undone + line("cannot do its part: Input/output error (EIO); "
                      "hint: wait"));
  CHECK(told.status == 125);

  told = told_of([] { throw sys::Error{ENOENT, "run x", "look", 127}; });
  CHECK(told.text.ends_with("(ENOENT); hint: look\n"));
  CHECK(told.status == 127);

  told = told_of([] { throw std::runtime_error{"there is no way"}; });
  CHECK(told.text == undone + line("there is no way"));

  told = told_of([] { ::raise(SIGKILL); });
  CHECK(told.text ==
        undone + line("signal 9 ended the container before its command ran"));
  CHECK(told.status == 125);
}

TEST_CASE("our own error is told if the child has not failed") {
  const std::string ours = "cannot do our part: No such process (ESRCH)";
  CHECK(told_of([] { ::pause(); }, false).text.find(ours) != std::string::npos);
  CHECK(told_of([] { ::_exit(0); }).text.find(ours) != std::string::npos);
  CHECK(sys::first_error == nullptr);
}

TEST_CASE("a failure with long texts arrives with both ends of them") {
  const auto told = told_of([] {
    throw sys::Error{ENAMETOOLONG,
                     "enter /begin" + std::string(5000, 'a') + "/end",
                     "run " + std::string(1500, 'b') + " it"};
  });
  CHECK(told.text.find("cannot enter /begin") != std::string::npos);
  CHECK(told.text.find("/end: File name") != std::string::npos);
  CHECK(told.text.ends_with("hint: run " + std::string(1500, 'b') + " it\n"));
}

TEST_SUITE_END();
