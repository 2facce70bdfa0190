// A shell in a container takes the keys of a terminal as one of the host's
// does.

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <sstream>
#include <utility>

#include "common/testing.hpp"
#include "steps/tests/host.hpp"

using host::Caller, host::step;

TEST_SUITE_BEGIN("terminal");

namespace {

// See proc_pid_stat(5): fields 5 and 8, and 2 is the name in parentheses.
bool has_job_in_foreground(pid_t above) {
  for (const pid_t below : host::children(above)) {
    const auto stat =
        host::contents("/proc/" + std::to_string(below) + "/stat");
    std::istringstream fields{
        stat.substr(std::min(stat.rfind(')') + 1, stat.size()))};
    std::string state;
    int parent = 0;
    int group = 0;
    int session = 0;
    int terminal = 0;
    int foreground = 0;
    fields >> state >> parent >> group >> session >> terminal >> foreground;
    if (stat.find("(sleep)") != stat.npos && group == foreground) return true;
    if (has_job_in_foreground(below)) return true;
  }
  return false;
}

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
      (void)::waitpid(pid_, nullptr, 0);
    }
    hang_up();
  }

  void hang_up() { ::close(std::exchange(master_, -1)); }

  [[nodiscard]] pid_t pid() const { return pid_; }

  void type(const std::string& keys) const {
    CHECK(::write(master_, keys.data(), keys.size()) ==
          static_cast<ssize_t>(keys.size()));
  }

  // The modes that it has now: the master speaks for both ends.
  [[nodiscard]] termios modes() const {
    termios now{};
    CHECK(::tcgetattr(master_, &now) == 0);
    return now;
  }

  // Whether as much is shown as fits there; what comes then has to wait.
  [[nodiscard]] bool is_full() const {
    int bytes = 0;
    return ::ioctl(master_, FIONREAD, &bytes) == 0 && bytes > 4000;
  }

  // As stty(1) and pagers do.
  void set_flags(tcflag_t flags) const {
    termios now = modes();
    now.c_lflag = flags;
    CHECK(::tcsetattr(master_, TCSANOW, &now) == 0);
  }

  void resize(unsigned short rows, unsigned short columns) const {
    const winsize size{rows, columns, 0, 0};
    (void)::ioctl(master_, TIOCSWINSZ, &size);
  }

  // Whether the screen comes to show `text`: false if nothing comes for a
  // minute.
  bool shows(const std::string& text) {
    while (screen_.find(text) == std::string::npos) {
      pollfd output{master_, POLLIN, 0};
      std::array<char, 1024> chunk{};
      if (::poll(&output, 1, 60'000) != 1) return false;
      const auto n = ::read(master_, chunk.data(), chunk.size());
      if (n <= 0) return false;
      screen_.append(chunk.data(), static_cast<std::size_t>(n));
    }
    const auto end = screen_.find(text) + text.size();
    shown_ += screen_.substr(0, end);
    screen_.erase(0, end);
    return true;
  }

  // Whether `text` was shown at any time, looked for or not.
  [[nodiscard]] bool has_shown(const std::string& text) const {
    return (shown_ + screen_).find(text) != std::string::npos;
  }

  // Whether a sleep below comes to have its terminal: a key
  // is a signal for it only from then on.
  [[nodiscard]] bool is_with_a_job() const {
    return host::comes_to_run(pid_, "sleep") &&
           host::eventually(has_job_in_foreground, pid_);
  }

  // Whether it shows nothing, for a third of a second.
  [[nodiscard]] bool is_quiet() const {
    pollfd output{master_, POLLIN, 0};
    return ::poll(&output, 1, 300) == 0;
  }

  // The state of the program after it has changed: see waitpid(2).
  [[nodiscard]] int wait_for_change() const {
    int status = 0;
    (void)::waitpid(pid_, &status, WUNTRACED);
    return status;
  }

  int finish() {
    int status = 0;
    while (shows("no such text, so read to the end")) {
    }
    (void)::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  pid_t pid_ = -1;
  int master_ = -1;
  std::string screen_;  // Shown, and not yet looked for.
  std::string shown_;   // What comes before it.
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

// Whether a process below is stopped.
bool is_stopped(pid_t shell) {
  for (const pid_t below : host::children(shell)) {
    const auto status =
        host::contents("/proc/" + std::to_string(below) + "/stat");
    if (status.find(") T ") != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_AS_BOTH("the shell prompts box#, has job control and takes ^C and ^Z") {
  std::vector<std::string> lines;
  for (const auto& name : steps(caller)) lines.push_back(run(caller, name));
  for (const std::string without : {"terminal", "terminal --without init"})
    lines.push_back(step(caller, "08-all",
                         "--net none --memory none --without " + without));
  for (const auto& line : lines) {
    CAPTURE(line);
    Terminal terminal{line};
    CHECK(terminal.shows("box# "));
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
    CHECK(terminal.is_with_a_job());
    if (name != "08-all") {  // There it leads a session: nobody could wake it.
      terminal.type("\x1a");
      CHECK(WIFSTOPPED(terminal.wait_for_change()));
      ::kill(terminal.pid(), SIGCONT);
    }
    terminal.type("\x03");
    CHECK(terminal.finish() == 128 + SIGINT);
  }
}

TEST_AS_BOTH("in the background it waits for fg, and leaves the terminal be") {
  for (const auto& name : steps(caller)) {
    CAPTURE(name);
    Terminal terminal{"env PS1='host# ' sh -i"};
    CHECK(terminal.shows("host# "));
    // The shell inside wants to read.
    terminal.type(run(caller, name) + " &\n");
    CHECK(terminal.shows("host# "));
    CHECK(host::eventually(is_stopped, terminal.pid()));
    terminal.type("fg\n");
    CHECK(terminal.shows("box# "));
    terminal.type("echo here\n");
    CHECK(terminal.shows("\nhere"));
    terminal.type("exit\n");
    CHECK(terminal.shows("host# "));
    if (name != "08-all") {  // There ^Z is for its own terminal.
      // It began in the foreground and ends in the background.
      terminal.type(run(caller, name) + " sleep 0.5\n");
      CHECK(host::comes_to_run(terminal.pid(), "sleep"));
      terminal.type("\x1a");
      CHECK(terminal.shows("host# "));
      terminal.type("bg; wait; echo done\n");
      CHECK(terminal.shows("\ndone"));
    }
    terminal.type("exit 4\n");
    CHECK(terminal.finish() == 4);
  }
}

TEST_AS_BOTH("08 has a terminal of its own, and passes all of it on") {
  Terminal terminal{run(caller, "08-all")};
  CHECK(terminal.shows("box# "));
  terminal.type("tty; echo typed >/dev/tty; echo more >/dev/stdout\n");
  CHECK(terminal.shows("/dev/console"));
  CHECK(terminal.shows("\ntyped"));
  CHECK(terminal.shows("\nmore"));
  // More than any buffer holds, both ways.
  terminal.type("seq 20000\n");
  CHECK(terminal.shows("\n20000\r\n"));
  terminal.type("exit 3\n");
  CHECK(terminal.finish() == 3);
}

TEST_AS_BOTH("08 ignores ^Z, unless its shell has something to stop") {
  Terminal terminal{run(caller, "08-all") + "cat"};
  CHECK(host::comes_to_run(terminal.pid(), "cat"));
  terminal.type("\x1a");
  terminal.type("typed\n");
  CHECK(terminal.shows("typed\r\ntyped"));
  terminal.type("\x04");
  CHECK(terminal.finish() == 0);
}

TEST_AS_BOTH("in the background 08 reads no key and changes no mode") {
  Terminal terminal{"env PS1='host# ' sh -i"};
  CHECK(terminal.shows("host# "));
  terminal.type(run(caller, "08-all") +
                "sh -c 'stty -echo <&1; cat; cat <&1 | wc -c; echo over' &\n");
  CHECK(terminal.shows("host# "));
  CHECK(host::comes_to_run(terminal.pid(), "cat"));
  terminal.type("echo secret\n");
  CHECK(terminal.shows("echo secret"));  // It echoes still,
  CHECK(terminal.shows("\nsecret"));     // and the shell has read it.
  terminal.type("kill %1; wait; exit 4\n");
  CHECK(terminal.finish() == 4);
}

TEST_AS_BOTH("what stops itself inside can be ended all the same") {
  Terminal terminal{run(caller, "08-all") + "sh -c 'echo up; kill -STOP $$'"};
  CHECK(terminal.shows("up"));
  ::kill(terminal.pid(), SIGTERM);
  CHECK(terminal.finish() == 128 + SIGTERM);
}

TEST_AS_BOTH("08 reads the keys even if its output goes elsewhere") {
  Terminal terminal{"sh -c '" + run(caller, "08-all") + "cat | tr a-z A-Z'"};
  CHECK(host::comes_to_run(terminal.pid(), "cat"));
  terminal.type("typed\n");
  terminal.type("\x04");
  CHECK(terminal.shows("TYPED"));
  CHECK(terminal.finish() == 0);
}

TEST_AS_BOTH("TERM ends the program also if a shell inside ignores it") {
  for (const auto& name : steps(caller)) {
    CAPTURE(name);
    Terminal terminal{run(caller, name)};
    CHECK(terminal.shows("box# "));
    ::kill(terminal.pid(), SIGTERM);
    CHECK(terminal.finish() == 128 + SIGTERM);
  }
}

TEST_AS_BOTH("what 08 prints last is not lost") {
  Terminal terminal{run(caller, "08-all") + "seq 5000"};
  CHECK(terminal.shows("\n5000\r\n"));
  CHECK(terminal.finish() == 0);
}

// As over a slow line, or in a pager: nobody reads for longer than 08 waits for
// a process that stays behind.
TEST_AS_BOTH("what 08 prints is not lost on a terminal that is read late") {
  Terminal terminal{run(caller, "08-all") + "seq 5000"};
  ::poll(nullptr, 0, 2000);
  CHECK(terminal.shows("\n5000\r\n"));
  CHECK(terminal.finish() == 0);
}

// A program that runs as another user cannot open the terminal by its name.
TEST_AS_BOTH("TERM ends 08, even if nobody reads what it prints") {
  Terminal terminal{step(caller, "08-all", "--net none --memory none") + "yes"};
  CHECK(host::comes_to_run(terminal.pid(), "yes"));
  // Full, and nothing moves any more.
  int looks = 0;
  CHECK(host::eventually(
      [&](pid_t pid) {
        const bool sleeps =
            host::contents("/proc/" + std::to_string(pid) + "/status")
                .find("State:\tS") != std::string::npos;
        looks = sleeps && terminal.is_full() ? looks + 1 : 0;
        return looks == 20;
      },
      terminal.pid()));
  ::kill(terminal.pid(), SIGTERM);
  CHECK(host::eventually(host::is_gone, terminal.pid()));
}

// ---- Its modes -------------------------------------------------------------

TEST_AS_BOTH("08 takes all keys, and gives back the modes that it found") {
  Terminal terminal{"sh -c 'read go; " + run(caller, "08-all") +
                    "sh -c \"echo up; read wait\"; echo over; read wait'"};
  const auto before = terminal.modes().c_lflag;
  terminal.type("\n");
  CHECK(terminal.shows("up"));
  CHECK(host::eventually(
      [&](pid_t) { return (terminal.modes().c_lflag & ICANON) == 0; }, 0));
  terminal.type("\r");
  CHECK(terminal.shows("over"));
  CHECK(terminal.modes().c_lflag == before);
}

// The command can make the terminal answer, and end before the answer comes. A
// shell would run that as a command.
TEST_AS_BOTH("what comes when the command has ended is not the shell's") {
  Terminal terminal{"sh -c 'read go; " + run(caller, "08-all") +
                    "seq 4500; echo over; read line; echo [$line]'"};
  terminal.type("\n");
  // It has ended, and 08 waits until somebody reads what it has printed.
  CHECK(host::eventually([&](pid_t) { return terminal.is_full(); }, 0));
  CHECK(host::eventually(
      [](pid_t shell) {
        const auto below = host::children(shell);
        return below.size() == 1 && host::children(below.front()).empty();
      },
      terminal.pid()));
  terminal.type("answer\n");
  CHECK(terminal.shows("over"));
  terminal.type("key\n");
  CHECK(terminal.shows("[key]"));
}

TEST_AS_BOTH("08 leaves modes that somebody else has set meanwhile") {
  Terminal terminal{"sh -c 'read go; " + run(caller, "08-all") +
                    "sh -c \"echo up; read wait\"; echo over; read wait'"};
  const auto before = terminal.modes().c_lflag;
  terminal.type("\n");
  CHECK(terminal.shows("up"));
  CHECK(host::eventually(
      [&](pid_t) { return (terminal.modes().c_lflag & ICANON) == 0; }, 0));
  const auto others = before & ~static_cast<tcflag_t>(ECHO);
  terminal.set_flags(others);
  terminal.type("\n");
  CHECK(terminal.shows("over"));
  CHECK(terminal.modes().c_lflag == others);
}

// As in `08-all ... | less`: both have the same terminal.
TEST_AS_BOTH("08 shares the terminal with the program that reads its output") {
  Terminal terminal{"sh -c 'read go; " + run(caller, "08-all") +
                    "sh -c \"read a; echo \\$a; read b; echo \\$b\" | "
                    "while read word; do echo [$word]; done; echo over'"};
  const auto before = terminal.modes();
  const auto is_raw = [&](pid_t) {
    return (terminal.modes().c_lflag & ICANON) == 0;
  };
  terminal.type("\n");
  CHECK(host::eventually(is_raw, 0));
  // The other prints on it.
  CHECK(terminal.modes().c_oflag == before.c_oflag);
  terminal.type("one\r");
  CHECK(terminal.shows("[one]\r\n"));
  // A pager's modes are left.
  const auto pagers = before.c_lflag & ~static_cast<tcflag_t>(ICANON | ECHO);
  terminal.set_flags(pagers);
  terminal.resize(30, 90);  // It is heard, and changes nothing.
  terminal.type("two\n");
  CHECK(terminal.shows("[two]\r\n"));
  CHECK(terminal.shows("over"));
  CHECK(terminal.modes().c_lflag == pagers);
  CHECK(terminal.finish() == 0);
}

TEST_AS_BOTH("a password is read from the terminal, wherever output goes") {
  const std::string ask =
      " sh -c \"echo pw: >/dev/tty; read p </dev/tty; echo tok-\\$p\"";
  // With the echo off before it asks.
  const std::string hidden =
      " sh -c \"stty -echo </dev/tty; echo pw: >/dev/tty; read p; "
      "echo tok-\\$p\"";
  const auto test = [&](const std::string& run) {
    for (const auto& line :
         {"x=$(" + run + ask + "); echo $x", run + ask + " | cat",
          run + ask + " 2>&1 | cat", run + hidden + " | cat",
          run + hidden + " 2>/dev/null"}) {
      CAPTURE(line);
      Terminal terminal{"sh -c '" + line + "'"};
      CHECK(terminal.shows("pw:"));
      const auto is_raw = [&](pid_t) {
        return (terminal.modes().c_lflag & (ICANON | ECHO)) == 0;
      };
      CHECK(host::eventually(is_raw, 0));
      terminal.type("secret\r");
      CHECK(terminal.shows("tok-secret\r\n"));
      const bool echoes = line.find("stty") == line.npos;
      CHECK(terminal.finish() == 0);
      CHECK(terminal.has_shown("\nsecret") == echoes);
    }
  };
  test(run(caller, "08-all"));
  host::Running box{run(caller, "08-all") + "sh -c 'echo up; read wait'"};
  CHECK(box.hear() == "up");
  test("env ASAN_OPTIONS=detect_leaks=0 " + host::as(caller, "enter") + " " +
       std::to_string(box.pid()));
  CHECK(box.finish() == 1);
}

TEST_AS_BOTH("08 takes the keys when it comes to the foreground") {
  for (const std::string shell :
       {"env PS1='host# ' sh -i",
        "env HISTFILE= PS1='host# ' bash --norc --noediting -i"}) {
    CAPTURE(shell);
    Terminal terminal{shell};
    CHECK(terminal.shows("host# "));
    terminal.type(run(caller, "08-all") +
                  "sh -c 'echo u\"\"p; read x; echo got-$x; read y' &\n");
    CHECK(terminal.shows("up"));
    const auto before = terminal.modes().c_lflag;
    terminal.type("fg\n");
    CHECK(host::eventually(
        [&](pid_t) { return (terminal.modes().c_lflag & ICANON) == 0; }, 0));
    terminal.type("key\r");
    CHECK(terminal.shows("got-key\r\n"));
    terminal.type("\r");
    CHECK(terminal.shows("host# "));
    CHECK(terminal.modes().c_lflag == before);
    terminal.type("exit 4\n");
    CHECK(terminal.finish() == 4);
  }
}

TEST_AS_BOTH("08 that is told to stop gives the modes back, and takes them") {
  Terminal terminal{"env PS1='host# ' sh -i"};
  CHECK(terminal.shows("host# "));
  terminal.type(run(caller, "08-all") + "sleep 1000\n");
  CHECK(terminal.is_with_a_job());
  const auto is_raw = [&](pid_t) {
    return (terminal.modes().c_lflag & ICANON) == 0;
  };
  CHECK(host::eventually(is_raw, 0));
  ::kill(testing::first(host::children(terminal.pid())), SIGTSTP);
  CHECK(terminal.shows("host# "));
  CHECK((terminal.modes().c_lflag & ICANON) != 0);
  terminal.type("fg\n");
  CHECK(host::eventually(is_raw, 0));
  terminal.type("\x03");
  CHECK(terminal.shows("host# "));
  CHECK((terminal.modes().c_lflag & ICANON) != 0);
  terminal.type("exit 4\n");
  CHECK(terminal.finish() == 4);
}

TEST_AS_BOTH("a line ends in one carriage return, whatever the terminal is") {
  for (const auto& name : steps(caller)) {
    CAPTURE(name);
    for (const std::string streams :
         {"", "</dev/null", "2>/dev/null", "</dev/null 2>/dev/null"}) {
      CAPTURE(streams);
      Terminal terminal{run(caller, name) + "sh -c 'echo a; echo b' " +
                        streams};
      CHECK(terminal.shows("a\r\nb\r\n"));
      CHECK(terminal.finish() == 0);
    }
  }
}

TEST_AS_BOTH("^C reaches all that the command runs, also if it reads a pipe") {
  for (const auto& name : steps(caller)) {
    CAPTURE(name);
    for (const std::string streams : {"</dev/null", "| cat", ""}) {
      CAPTURE(streams);
      // A shell that is left alone waits for sleep's end, and goes on.
      Terminal terminal{"sh -c '" + run(caller, name) +
                        "sh -c \"trap \\\"exit 5\\\" INT; sleep 1000; "
                        "sleep 1000\" " +
                        streams + "'"};
      CHECK(host::comes_to_run(terminal.pid(), "sleep"));
      if (streams.empty()) CHECK(terminal.is_with_a_job());
      terminal.type("\x03");
      CHECK(host::eventually(host::is_gone, terminal.pid()));
    }
  }
}

TEST_AS_BOTH("a closed terminal ends it") {
  for (const auto& name : steps(caller)) {
    CAPTURE(name);
    Terminal terminal{run(caller, name)};
    CHECK(terminal.shows("box# "));
    const auto child = testing::first(host::children(terminal.pid()));
    terminal.hang_up();
    CHECK(host::eventually(host::is_gone, child));
  }
}

TEST_SUITE_END();
