// A new session and a new terminal. In the caller's, the container could signal
// the caller's process group, read its keys and change its modes. So each
// stream that is a terminal is replaced by one end of a pseudo-terminal, and
// the program on the host copies keys and output: see pty(7), setsid(2).

#include "steps/08-all/terminal.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "common/mount.hpp"

namespace {

// The command may reopen its terminal by name, /dev/console say, only if it is
// its own. Where there is no id 100000, map_ids will say so.
void give_away(int file, uid_t user, gid_t group) {
  if (::geteuid() == 0 && ::fchown(file, 100000 + user, 100000 + group) == -1 &&
      errno != EINVAL)
    throw sys::Error{errno, "fchown(2): give the terminal to the container"};
}

// Whether the terminal is ours but others have the keys.
bool is_in_background() {
  const pid_t foreground = ::tcgetpgrp(STDIN_FILENO);
  return foreground != -1 && foreground != ::getpgrp();
}

bool are_the_same(const termios& one, const termios& other) {
  return one.c_iflag == other.c_iflag && one.c_oflag == other.c_oflag &&
         one.c_cflag == other.c_cflag && one.c_lflag == other.c_lflag &&
         std::memcmp(one.c_cc, other.c_cc, sizeof one.c_cc) == 0;
}

}  // namespace

Terminal::Terminal(uid_t user, gid_t group, bool is_new, sys::Fd ptmx,
                   bool starts_threads)
    : Streams{{STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}}, is_new_{is_new} {
  for (const int stream : {STDIN_FILENO, STDERR_FILENO, STDOUT_FILENO})
    if (is_terminal(stream)) shown_ = stream;
  if (is_new && shown_ != -1) make(user, group, std::move(ptmx));
  if (starts_threads) start_threads();
}

Terminal::~Terminal() {
  pause();
}

void Terminal::make(uid_t user, gid_t group, sys::Fd ptmx) {
  termios modes{};
  sys::check(::tcgetattr(shown_, &modes), "tcgetattr(3)");
  if (ptmx.get() == -1)
    ptmx.reset(sys::check(
        ::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK),
        "open(2) /dev/ptmx: make a terminal"));
  ours_ = std::make_shared<sys::Fd>(std::move(ptmx));
  sys::check(::unlockpt(ours_->get()), "unlockpt(3)");
  its_ = std::make_shared<sys::Fd>(sys::check(
      ::ioctl(ours_->get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC),
      "ioctl(2) TIOCGPTPEER: open its other end"));
  // One of the two makes "\r\n" of the ends of lines: the caller's, unless we
  // make that raw and nobody else prints there.
  is_all_raw_ = is_terminal(STDIN_FILENO) && is_terminal(STDOUT_FILENO) &&
                are_one(STDIN_FILENO, STDOUT_FILENO) && !is_in_background();
  if (!is_all_raw_) modes.c_oflag &= ~static_cast<tcflag_t>(OPOST);
  sys::check(::tcsetattr(its_->get(), TCSANOW, &modes),
             "tcsetattr(3): copy the modes");
  give_away(its_->get(), user, group);
  copy_size();
  pass(shown_, false, ours_);
  if (is_terminal(STDIN_FILENO)) {
    use(STDIN_FILENO, its_);
    pass(STDIN_FILENO, true, ours_);
  }
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    if (!is_terminal(stream)) continue;
    if (are_one(stream, shown_))
      use(stream, its_);
    else
      use_pipe(stream);
  }
}

void Terminal::enter() const {
  if (is_new_)
    sys::check(::setsid(), "setsid(2): leave the session of the caller");
  if (its_)
    sys::check(::ioctl(its_->get(), TIOCSCTTY, 0),
               "ioctl(2) TIOCSCTTY: make this the terminal of the session");
  Streams::enter();
}

void Terminal::mount() const {
  if (!its_) return;
  std::array<char, 64> path{};
  if (::ttyname_r(its_->get(), path.data(), path.size()) == 0)
    sys::bind_file(path.data(), "dev/console");
}

void Terminal::prepare() {
  if (ours_) copy_size();  // It may be SIGWINCH that was heard.
}

// In the background the keys are others'. A shell does not tell when it has put
// us into the foreground, so this is asked again and again.
bool Terminal::may_read() {
  if (!ours_ || !is_terminal(STDIN_FILENO) || is_raw_) return true;
  if (is_in_background()) return false;
  make_raw();
  return true;
}

// With the signal for it let through, the kernel stops us here while we are in
// the background. Only then are the modes those of the caller.
void Terminal::make_raw() {
  sigset_t stop;
  sigset_t held;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGTTOU);
  ::sigprocmask(SIG_UNBLOCK, &stop, &held);
  ::tcdrain(STDIN_FILENO);
  is_raw_ = ::tcgetattr(STDIN_FILENO, &found_) == 0;
  termios raw = found_;
  ::cfmakeraw(&raw);
  if (!is_all_raw_) raw.c_oflag = found_.c_oflag;
  if (is_raw_) ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  ::tcgetattr(STDIN_FILENO, &set_);
  ::sigprocmask(SIG_SETMASK, &held, nullptr);
}

// Others may have set modes of their own meanwhile, a shell for example. They
// stay. Keys that have not been read are lost, because the container can make
// the terminal send what looks like typed keys, and a shell would run them. Not
// by TCSAFLUSH, which waits until all output is shown, maybe for ever.
void Terminal::pause() {
  termios now{};
  if (!std::exchange(is_raw_, false) || ::tcgetattr(STDIN_FILENO, &now) == -1 ||
      !are_the_same(now, set_))
    return;
  ::tcflush(STDIN_FILENO, TCIFLUSH);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &found_);
}

void Terminal::copy_size() const {
  winsize size{};
  if (::ioctl(shown_, TIOCGWINSZ, &size) == 0)
    (void)::ioctl(ours_->get(), TIOCSWINSZ, &size);
}
