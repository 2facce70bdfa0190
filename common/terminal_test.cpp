// A shell in a container takes the keys of a terminal as one of the host's
// does.

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <utility>

#include "common/host_test.hpp"

using host::Caller, host::step;

TEST_SUITE_BEGIN("terminal");

namespace {

// A program with a terminal of its own, and us at the keyboard.
class Terminal {
 public:
  explicit Terminal(const std::string& line) {
    const winsize size{24, 80, 0, 0};
    pid_ = ::forkpty(&master_, nullptr, nullptr, &size);
    if (pid_ == 0) {
      std::signal(SIGINT,
                  SIG_DFL);  // What runs in the background may ignore it.
      ::execl("/bin/sh", "sh", "-c", ("exec " + line).c_str(), nullptr);
      ::_exit(127);
    }
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() {
    if (pid_ != -1) {
      ::kill(pid_, SIGTERM);
      if (!host::eventually(host::is_gone, pid_)) ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    hang_up();
  }

  void hang_up() { ::close(std::exchange(master_, -1)); }

  [[nodiscard]] pid_t pid() const { return pid_; }

  void type(const std::string& keys) const {
    CHECK(::write(master_, keys.data(), keys.size()) ==
          static_cast<ssize_t>(keys.size()));
  }

  void resize(unsigned short rows, unsigned short columns) const {
    const winsize size{rows, columns, 0, 0};
    ::ioctl(master_, TIOCSWINSZ, &size);
  }

  // Whether the screen comes to show `text`, within ten seconds.
  bool shows(const std::string& text) {
    while (screen_.find(text) == std::string::npos) {
      pollfd output{master_, POLLIN, 0};
      std::array<char, 1024> chunk{};
      if (::poll(&output, 1, 10000) != 1) return false;
      const auto n = ::read(master_, chunk.data(), chunk.size());
      if (n <= 0) return false;
      screen_.append(chunk.data(), static_cast<std::size_t>(n));
    }
    screen_.erase(0, screen_.find(text) + text.size());
    return true;
  }

  // Remembers that the foreground process group is now the shell's.
  void is_with_the_shell() { shell_ = ::tcgetpgrp(master_); }

  // Whether it comes to be that of a sleep, within ten seconds.
  bool is_with_a_job() const {
    for (int i = 0; i < 2000; ++i) {
      if (::tcgetpgrp(master_) != shell_)
        return host::comes_to_run(pid_, "sleep");
      ::poll(nullptr, 0, 5);
    }
    return false;
  }

  // The state of the program after it has changed: see waitpid(2).
  [[nodiscard]] int wait_for_change() const {
    int status = 0;
    ::waitpid(pid_, &status, WUNTRACED);
    return status;
  }

  int finish() {
    int status = 0;
    while (shows("no such text, so read to the end")) {
    }
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  pid_t pid_ = -1;
  int master_ = -1;
  pid_t shell_ = -1;
  std::string screen_;
};

const std::vector<std::string> kSteps{"03-userns",        "04-uts",
                                      "05-mountns",       "06-netns-veth",
                                      "07-cgroup-memory", "08-all"};

std::string run(Caller caller, const std::string& name) {
  const bool has_net = name >= "06";
  const bool has_memory = name >= "07" && caller == Caller::kUser;
  return step(caller, name,
              std::string{has_net ? "--net none " : ""} +
                  (has_memory ? "--memory none" : ""));
}

std::vector<std::string> steps(Caller caller) {
  auto names = kSteps;
  if (caller == Caller::kRoot)
    names.insert(names.begin(), {"01-chroot", "02-pidns"});
  return names;
}

}  // namespace

TEST_AS_BOTH("the shell prompts box#, has job control and takes ^C and ^Z") {
  for (const auto& name : steps(caller)) {
    CAPTURE(name);
    Terminal terminal{run(caller, name)};
    CHECK(terminal.shows("box# "));
    terminal.is_with_the_shell();
    // A key is a signal only once the shell has handed the terminal over.
    terminal.type("sleep 1000\n");
    CHECK(terminal.is_with_a_job());
    terminal.type("\x03");
    CHECK(terminal.shows("box# "));
    terminal.type("sleep 1000\n");
    CHECK(terminal.is_with_a_job());
    terminal.type("\x1a");
    CHECK(terminal.shows("Stopped"));
    CHECK(terminal.shows("box# "));
    terminal.type("fg\n");
    CHECK(terminal.is_with_a_job());
    terminal.type("\x03");
    CHECK(terminal.shows("box# "));
    terminal.type("exit 3\n");
    CHECK(terminal.finish() == 3);
  }
}

TEST_AS_BOTH("the shell knows the window's size, and a new one") {
  for (const auto& name : steps(caller)) {
    CAPTURE(name);
    Terminal terminal{run(caller, name)};
    CHECK(terminal.shows("box# "));
    terminal.type("stty size\n");
    CHECK(terminal.shows("24 80"));
    terminal.resize(50, 132);
    terminal.type("stty size\n");
    CHECK(terminal.shows("50 132"));
    terminal.type("exit\n");
    CHECK(terminal.finish() == 0);
  }
}

TEST_AS_BOTH("without a shell, ^C ends the command, and ^Z stops it") {
  for (const auto& name : steps(caller)) {
    CAPTURE(name);
    Terminal terminal{run(caller, name) + "sleep 1000"};
    CHECK(host::comes_to_run(terminal.pid(), "sleep"));
    terminal.type("\x1a");
    CHECK(WIFSTOPPED(terminal.wait_for_change()));
    ::kill(terminal.pid(), SIGCONT);
    terminal.type("\x03");
    CHECK(terminal.finish() == 128 + SIGINT);
  }
}

TEST_AS_BOTH("a closed terminal ends it") {
  for (const auto& name : steps(caller)) {
    CAPTURE(name);
    Terminal terminal{run(caller, name)};
    CHECK(terminal.shows("box# "));
    const auto child = host::children(terminal.pid()).front();
    terminal.hang_up();
    CHECK(host::eventually(host::is_gone, child));
  }
}

TEST_SUITE_END();
