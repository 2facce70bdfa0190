// A session and a terminal of its own. In the caller's, the container could
// signal the caller's process group, read its keys and change its modes. So in
// the place of every stream that is a terminal it gets one end of a
// pseudo-terminal, and the program outside passes on what is typed and what is
// printed: see pty(7), setsid(2).

#include "steps/08-all/terminal.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "common/mount.hpp"

namespace {

#ifndef PIPEFS_MAGIC
#define PIPEFS_MAGIC 0x50495045
#endif

// What there is to read, "" at the end.
std::string read_some(int file) {
  std::array<char, 4096> chunk{};
  const auto n = ::read(file, chunk.data(), chunk.size());
  return {chunk.data(), n > 0 ? static_cast<std::size_t>(n) : 0};
}

// Writes what there is room for, and keeps the rest.
void write_some(int file, std::string& bytes) {
  const auto n = ::write(file, bytes.data(), bytes.size());
  if (n > 0) bytes.erase(0, static_cast<std::size_t>(n));
  if (n == -1 && errno != EAGAIN) bytes.clear();  // Nobody looks any more.
}

// The command may reopen its standard streams by name, /dev/stdout say, only if
// they are its own. Where there is no id 100000, map_ids will say so.
void give_away(int file, uid_t user, gid_t group) {
  if (::geteuid() == 0 && ::fchown(file, 100000 + user, 100000 + group) == -1 &&
      errno != EINVAL)
    throw sys::Error{errno, "give a stream to the container"};
}

// Gives away a pipe of a shell's; a FIFO has a name, and an owner, on the host.
void check_stream(int stream, uid_t user, gid_t group) {
  struct stat status {};
  sys::check(::fstat(stream, &status), "look at a standard stream");
  if (S_ISDIR(status.st_mode))
    throw std::runtime_error{
        "a standard stream is a directory: that would be a way out"};
  struct statfs kind {};
  sys::check(::fstatfs(stream, &kind), "look at its file system");
  if (kind.f_type == PIPEFS_MAGIC) give_away(stream, user, group);
}

// Whether a signal waits to be heard that commonly ends a program.
bool is_told_to_end() {
  sigset_t waiting;
  ::sigpending(&waiting);
  for (const int signal : {SIGTERM, SIGHUP, SIGINT, SIGQUIT})
    if (::sigismember(&waiting, signal) == 1) return true;
  return false;
}

// Whether the terminal is ours but others have the keys.
bool is_in_background() {
  const pid_t foreground = ::tcgetpgrp(STDIN_FILENO);
  return foreground != -1 && foreground != ::getpgrp();
}

// The caller's terminal, without waiting when it is full; a flag that is ours
// alone, unless it cannot be opened anew.
sys::Fd open_screen(int stream) {
  const auto name = sys::format("/proc/self/fd/{}", stream);
  sys::Fd screen{
      ::open(name.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)};
  if (screen.get() != -1) return screen;
  return sys::Fd{sys::check(::fcntl(stream, F_DUPFD_CLOEXEC, 3),
                            "copy a standard stream")};
}

}  // namespace

Terminal::Terminal(uid_t user, gid_t group) {
  int shown = -1;
  for (const int stream : {STDERR_FILENO, STDIN_FILENO, STDOUT_FILENO}) {
    check_stream(stream, user, group);
    if (::isatty(stream) != 0) shown = stream;
  }
  if (shown == -1) return;
  has_keys_ = ::isatty(STDIN_FILENO) != 0 && !is_in_background();
  screen_ = open_screen(shown);
  sys::check(::tcgetattr(shown, &before_), "get the terminal's modes");
  ours_ = sys::Fd{sys::check(
      ::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK),
      "make a terminal")};
  sys::check(::unlockpt(ours_.get()), "unlock the terminal");
  its_ = sys::Fd{sys::check(
      ::ioctl(ours_.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC),
      "open its other end")};
  sys::check(::tcsetattr(its_.get(), TCSANOW, &before_), "copy the modes");
  give_away(its_.get(), user, group);
  copy_size();
}

Terminal::~Terminal() {
  if (ours_.get() == -1) return;
  // What was printed last. A full screen is waited for, unless we were told to
  // end; but a process that stays behind may print for ever.
  for (int i = 0; i < 50 && is_open_;) {
    is_in_a_hurry_ = is_in_a_hurry_ || is_told_to_end();
    pollfd end{ours_.get(), POLLIN, 0};
    if (printed_.empty() && ::poll(&end, 1, 20) == 1) show();
    pollfd screen{screen_.get(), POLLOUT, 0};
    const bool has_room = !printed_.empty() && ::poll(&screen, 1, 20) == 1;
    if (has_room) write_some(screen_.get(), printed_);
    if (printed_.empty() || is_in_a_hurry_) ++i;
  }
  if (is_raw_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

void Terminal::enter() const {
  sys::check(::setsid(), "leave the session of the caller");
  if (its_.get() == -1) return;
  sys::check(::ioctl(its_.get(), TIOCSCTTY, 0), "take the terminal");
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::isatty(stream) == 0) continue;
    const bool is_silent = stream == STDIN_FILENO && !has_keys_;
    const sys::Fd null{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    sys::check(::dup2(is_silent ? null.get() : its_.get(), stream),
               "use the terminal");
  }
}

void Terminal::mount() const {
  if (its_.get() == -1) return;
  std::array<char, 64> path{};
  if (::ttyname_r(its_.get(), path.data(), path.size()) == 0)
    sys::bind_file(path.data(), "dev/console");
}

void Terminal::start() {
  its_.reset();
}

// With the signal for it let through, the kernel stops us here while we are in
// the background.
void Terminal::make_raw() {
  termios raw = before_;
  ::cfmakeraw(&raw);
  // What we do not print ourselves still wants its line ends.
  if (::isatty(STDOUT_FILENO) == 0) raw.c_oflag = before_.c_oflag;
  sigset_t stop;
  sigset_t held;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGTTOU);
  ::sigprocmask(SIG_UNBLOCK, &stop, &held);
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
  ::sigprocmask(SIG_SETMASK, &held, nullptr);
  is_raw_ = true;
}

void Terminal::copy_size() const {
  winsize size{};
  if (::ioctl(screen_.get(), TIOCGWINSZ, &size) == 0)
    (void)::ioctl(ours_.get(), TIOCSWINSZ, &size);
}

void Terminal::read_keys() {
  keys_ = read_some(STDIN_FILENO);
  if (!keys_.empty()) return;
  has_keys_ = false;  // Hung up: and so is the other end.
  ours_.reset();
}

void Terminal::show() {
  printed_ = read_some(ours_.get());
  is_open_ = !printed_.empty();
}

void Terminal::pass_on(const sys::Fd& signals) {
  if (has_keys_) make_raw();
  if (ours_.get() != -1) copy_size();  // It may be SIGWINCH that was heard.
  for (;;) {
    const auto at = [](bool wanted, int file, short events) {
      return pollfd{wanted ? file : -1, events, 0};
    };
    std::array<pollfd, 5> ends{
        at(true, signals.get(), POLLIN),
        at(has_keys_ && keys_.empty(), STDIN_FILENO, POLLIN),
        at(!keys_.empty(), ours_.get(), POLLOUT),
        at(is_open_ && printed_.empty(), ours_.get(), POLLIN),
        at(!printed_.empty(), screen_.get(), POLLOUT),
    };
    // Nobody inside has the terminal open; somebody may open it again.
    const int pause = is_open_ || ours_.get() == -1 ? -1 : 50;
    if (::poll(ends.data(), ends.size(), pause) == -1) return;
    if (ends[0].revents != 0) {
      is_in_a_hurry_ = is_in_a_hurry_ || is_told_to_end();
      return;
    }
    if (ends[1].revents != 0) read_keys();
    if (ends[2].revents != 0) write_some(ours_.get(), keys_);
    if (ends[3].revents != 0) show();
    if (ends[4].revents != 0) write_some(screen_.get(), printed_);
    is_open_ = is_open_ || pause != -1;
  }
}
