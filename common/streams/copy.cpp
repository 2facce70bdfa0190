#include "common/streams/copy.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <ctime>
#include <utility>

namespace sys {

namespace {

// What a failed write(2) leaves waiting: its errno has told already.
void forget_signals_of_write() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGPIPE);
  ::sigaddset(&set, SIGXFSZ);
  const timespec at_once{};
  while (::sigtimedwait(&set, nullptr, &at_once) > 0) {
  }
}

std::size_t waiting_in(const Fd& pipe) {
  int bytes = 0;
  (void)::ioctl(pipe.get(), FIONREAD, &bytes);
  return static_cast<std::size_t>(bytes);
}

// A flag of ours alone, not to wait: the caller's description of the file stays
// as it is. Another user's terminal, as under runuser(1), has a second name.
Fd open_anew(int stream, int access) {
  const int flags = access | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
  const auto name = sys::format("/proc/self/fd/{}", stream);
  Fd anew{::open(name.c_str(), flags)};
  if (anew.get() != -1) return anew;
  Fd terminal{::open("/dev/tty", flags)};
  return are_one_terminal(terminal.get(), stream) ? std::move(terminal) : Fd{};
}

// Reads of packets give what fits into the buffer, and lose the rest.
bool has_packets(int stream) {
  int type = SOCK_STREAM;
  socklen_t size = sizeof type;
  (void)::getsockopt(stream, SOL_SOCKET, SO_TYPE, &type, &size);
  return type != SOCK_STREAM;
}

}  // namespace

const char* name_of(int stream) {
  if (stream == STDIN_FILENO) return "standard input";
  return stream == STDOUT_FILENO ? "standard output" : "standard error";
}

bool is_a_terminal(int fd) {
  unsigned number = 0;  // Only the emulator's end knows that of the other one.
  return ::isatty(fd) != 0 && ::ioctl(fd, TIOCGPTN, &number) == -1;
}

bool are_one_terminal(int one, int other) {
  unsigned first = 0;
  unsigned second = 0;
  return ::ioctl(one, TIOCGDEV, &first) == 0 &&
         ::ioctl(other, TIOCGDEV, &second) == 0 && first == second;
}

struct stat look_at(int stream) {
  struct stat status {};
  if (::fstat(stream, &status) == -1)
    throw Error{errno, sys::format("fstat(2) {}", name_of(stream))};
  return status;
}

Copy::Copy(int stream, bool is_input, std::shared_ptr<Fd> ours)
    : stream_{stream},
      is_input_{is_input},
      is_terminal_{is_a_terminal(stream)},
      kind_{look_at(stream).st_mode},
      ours_{std::move(ours)} {
  if (is_terminal_ || (S_ISFIFO(kind_) && !is_input))
    anew_ = open_anew(stream, is_input ? O_RDONLY : O_WRONLY);
}

std::set<int> Copy::descriptors() const {
  return {stream_, anew_.get(), ours_->get()};
}

// A terminal may be the stream of several. Standard error is also ours.
std::set<int> Copy::own_descriptors() const {
  auto own = descriptors();
  if (is_terminal_ || stream_ == STDERR_FILENO) own.erase(stream_);
  own.erase(-1);
  return own;
}

void Copy::forget_descriptors() {
  (void)anew_.release();
  (void)ours_->release();
}

bool Copy::is_over() const {
  return is_stopped_ || ours_->get() == -1;
}

int Copy::callers() const {
  return anew_.get() == -1 ? stream_ : anew_.get();
}

int Copy::from() const {
  return is_input_ ? callers() : ours_->get();
}

int Copy::to() const {
  return is_input_ ? ours_->get() : callers();
}

// Whether it is to write next: bytes that it holds, or, as input, nothing yet,
// because it first waits until the command has read what was written.
bool Copy::writes() const {
  return !bytes_.empty() || (is_input_ && !has_room_);
}

void Copy::add_to(std::vector<pollfd>& ends, bool may_read) const {
  const bool reads = may_read && !writes() && left_ > 0;
  const auto events = static_cast<short>(writes() ? POLLOUT : 0);
  ends.push_back({is_over() || !reads ? -1 : from(), POLLIN, 0});
  ends.push_back({is_over() ? -1 : to(), events, 0});
}

void Copy::go_on(const pollfd& from, const pollfd& to) {
  if (is_over()) return;  // Another copy may have closed its end meanwhile.
  if ((to.revents & POLLOUT) != 0)
    write_some();
  else if (to.revents != 0)
    give_up(EPIPE);
  else if (from.revents != 0)
    read_some();
}

// Does not wait, because another process may have read what was there.
ssize_t Copy::read_from(char* bytes, std::size_t size) {
  if (is_input_ && S_ISSOCK(kind_))
    return ::recv(stream_, bytes, size, MSG_DONTWAIT);
  return ::read(from(), bytes, size);
}

void Copy::read_some() {
  has_room_ = false;
  if (is_input_ && S_ISFIFO(kind_) && can_splice_) {
    const auto n =
        ::splice(stream_, nullptr, to(), nullptr, PIPE_BUF, SPLICE_F_NONBLOCK);
    if (n > 0 || (n == -1 && (errno == EAGAIN || errno == EINTR))) return;
    if (n == -1 && errno == EPIPE) return give_up(EPIPE);
    can_splice_ = n != -1 || (errno != EPERM && errno != ENOSYS);  // A filter?
    if (can_splice_) return end_reading(n);
  }
  chunk_.resize(16 * PIPE_BUF);
  const auto size = is_input_ && !has_packets(stream_)
                        ? PIPE_BUF
                        : std::min(chunk_.size(), left_);
  const auto place = ::lseek(from(), 0, SEEK_CUR);
  const auto n = read_from(chunk_.data(), size);
  if (n == -1 && (errno == EAGAIN || errno == EINTR)) return;
  if (n > 0) {
    bytes_.assign(chunk_.data(), static_cast<std::size_t>(n));
    left_ -= static_cast<std::size_t>(n);
    if (first_place_ == -1) first_place_ = place;
    place_ = place + n;
    return;
  }
  end_reading(n);
}

// `n` is what read(2) returned. A terminal that was hung up gives an error,
// too.
void Copy::end_reading(ssize_t n) {
  if (n == -1 && is_input_ && !is_terminal_)
    note(Error{errno, "read(2) standard input"}.what());
  end();
}

void Copy::write_some() {
  if (bytes_.empty()) {
    has_room_ = true;
    return;
  }
  // A pipe that has room has room for this. If others write there as well,
  // lines stay whole.
  auto size = std::min<std::size_t>(bytes_.size(), PIPE_BUF);
  if (size < bytes_.size())
    if (const auto end = bytes_.rfind('\n', size - 1); end != std::string::npos)
      size = end + 1;
  const bool is_socket = !is_input_ && S_ISSOCK(kind_);
  const auto n =
      is_socket ? ::send(to(), bytes_.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL)
                : ::write(to(), bytes_.data(), size);
  if (n >= 0)
    bytes_.erase(0, static_cast<std::size_t>(n));
  else if (errno != EAGAIN && errno != EINTR)
    give_up(errno);
}

// Nothing can be written any more. We close our end, so that a command that
// prints gets SIGPIPE, as on the host.
void Copy::give_up(int errnum) {
  forget_signals_of_write();
  if (is_input_) return stop_reading();
  bytes_.clear();
  end();
  const bool is_nobody_there = errnum == EPIPE || errnum == ECONNRESET ||
                               (errnum == EIO && is_terminal_);
  if (!is_nobody_there && !failure_)
    failure_.emplace(errnum, sys::format("write(2) to {}", name_of(stream_)));
}

// A file goes on behind what the command has read, if no other process has read
// there since. The container can write to the pipe, too, so what waits in the
// pipe can be more than we read. But we never go back to before our first read.
void Copy::stop_reading() {
  const auto rest = static_cast<off_t>(waiting_in(*ours_) + bytes_.size());
  if (first_place_ != -1 && ::lseek(stream_, 0, SEEK_CUR) == place_)
    (void)::lseek(stream_, std::max(place_ - rest, first_place_), SEEK_SET);
  is_stopped_ = true;
  leave();
}

// Closes the command's side and the caller's side.
void Copy::end() {
  ours_->reset();
  leave();
}

// Closes the caller's stream, so that the process at its other end notices that
// the command has closed it. Standard error stays open, because we use it too.
void Copy::leave() {
  anew_.reset();
  if (!is_terminal_ && stream_ != STDERR_FILENO) ::close(stream_);
}

// ---- The end ---------------------------------------------------------------

// A pseudo-terminal does not tell how much is there; it holds less than this.
void Copy::come_to_the_end() {
  if (is_over()) return;
  const bool is_pipe = ::fcntl(ours_->get(), F_GETPIPE_SZ) > 0;
  if (is_input_)
    stop_reading();
  else
    left_ = is_pipe ? waiting_in(*ours_) : 16 * PIPE_BUF;
}

bool Copy::has_more_to_write() {
  if (is_input_ || is_over()) return false;
  if (bytes_.empty() && left_ > 0) read_some();
  return !bytes_.empty();
}

void Copy::throw_failure() const {
  if (failure_) throw Error{*failure_};
}

}  // namespace sys
