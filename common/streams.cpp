#include "common/streams.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <csignal>
#include <ctime>
#include <stdexcept>

namespace sys {

namespace {

const char* name_of(int stream) {
  if (stream == STDIN_FILENO) return "standard input";
  return stream == STDOUT_FILENO ? "standard output" : "standard error";
}

struct stat look_at(int stream) {
  struct stat status {};
  if (::fstat(stream, &status) == -1)
    throw Error{errno, sys::format("look at {}", name_of(stream))};
  return status;
}

// The devices that every container has, or none: see null(4), random(4).
const char* common_device(const struct stat& status) {
  if (!S_ISCHR(status.st_mode) || major(status.st_rdev) != 1) return nullptr;
  switch (minor(status.st_rdev)) {
    case 3:
      return "/dev/null";
    case 5:
      return "/dev/zero";
    case 7:
      return "/dev/full";
    case 8:
      return "/dev/random";
    case 9:
      return "/dev/urandom";
    default:
      return nullptr;
  }
}

// Whether a signal waits to be heard that commonly ends a program.
bool is_told_to_end() {
  sigset_t waiting;
  ::sigpending(&waiting);
  for (const int signal : {SIGTERM, SIGHUP, SIGINT, SIGQUIT})
    if (::sigismember(&waiting, signal) == 1) return true;
  return false;
}

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

bool are_one_terminal(int one, int other) {
  unsigned first = 0;
  unsigned second = 0;
  return ::ioctl(one, TIOCGDEV, &first) == 0 &&
         ::ioctl(other, TIOCGDEV, &second) == 0 && first == second;
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

// ---- Making them -----------------------------------------------------------

bool Streams::Copy::is_over() const {
  return is_stopped || ours->get() == -1;
}

int Streams::Copy::callers() const {
  return anew.get() == -1 ? stream : anew.get();
}

int Streams::Copy::from() const {
  return is_input ? callers() : ours->get();
}

int Streams::Copy::to() const {
  return is_input ? ours->get() : callers();
}

Streams::Streams(const std::set<int>& replaced) {
  for (const int stream : replaced) {
    if (::isatty(stream) != 0) terminals_.insert(stream);
    if (is_terminal(stream)) continue;
    const auto status = look_at(stream);
    if (S_ISDIR(status.st_mode))
      throw std::runtime_error{
          "a standard stream is a directory: that would be a way out"};
    const int flags = ::fcntl(stream, F_GETFL);
    const int access = flags & O_ACCMODE;
    const int useless = stream == STDIN_FILENO ? O_WRONLY : O_RDONLY;
    if ((flags & O_PATH) != 0 || access == useless)
      use_device(stream, "/dev/null", useless);
    else if (const char* const device = common_device(status))
      use_device(stream, device, access);
    else if (stream == STDERR_FILENO && !is_terminal(STDOUT_FILENO) &&
             are_one(STDOUT_FILENO, STDERR_FILENO))
      its_[STDERR_FILENO] = its_[STDOUT_FILENO];
    else
      use_pipe(stream);
  }
}

bool Streams::is_terminal(int stream) const {
  return terminals_.contains(stream);
}

bool Streams::are_one(int stream, int other) {
  if (are_one_terminal(stream, other)) return true;
  const auto one = look_at(stream);
  const auto two = look_at(other);
  if (one.st_dev != two.st_dev || one.st_ino != two.st_ino) return false;
  // A file that is opened twice has two places to write to.
  return !S_ISREG(one.st_mode) ||
         (::fcntl(stream, F_GETFL) == ::fcntl(other, F_GETFL) &&
          ::lseek(stream, 0, SEEK_CUR) == ::lseek(other, 0, SEEK_CUR));
}

void Streams::use(int stream, std::shared_ptr<Fd> its) {
  its_[stream] = std::move(its);
}

void Streams::pass(int stream, bool is_input, std::shared_ptr<Fd> ours) {
  Copy copy{.stream = stream,
            .is_input = is_input,
            .kind = look_at(stream).st_mode,
            .ours = std::move(ours)};
  if (is_terminal(stream) || (S_ISFIFO(copy.kind) && !is_input))
    copy.anew = open_anew(stream, is_input ? O_RDONLY : O_WRONLY);
  copies_.push_back(std::move(copy));
}

void Streams::use_pipe(int stream) {
  Pipe pipe;
  // Each user of the container may open it by its name, /dev/stdout say.
  if (::fchmod(pipe.read_end.get(), 0666) == -1)
    throw Error{errno, "let a pipe be opened by its name"};
  auto ours = std::make_shared<Fd>(std::move(pipe.write_end));
  auto its = std::make_shared<Fd>(std::move(pipe.read_end));
  const bool is_input = stream == STDIN_FILENO;
  if (is_input)
    // Of one page. So when it can be written to, all has been read.
    (void)::fcntl(ours->get(), F_SETPIPE_SZ, PIPE_BUF);
  else
    ours.swap(its);
  (void)::fcntl(ours->get(), F_SETFL, O_NONBLOCK);
  use(stream, std::move(its));
  pass(stream, is_input, std::move(ours));
}

void Streams::use_device(int stream, const char* path, int access) {
  auto device = std::make_shared<Fd>(::open(path, access | O_CLOEXEC));
  if (device->get() == -1) throw Error{errno, sys::format("open {}", path)};
  its_[stream] = std::move(device);
}

void Streams::enter() const {
  for (const auto& [stream, its] : its_)
    check(::dup2(its->get(), stream),
          "put another descriptor in the place of {}", name_of(stream));
}

// ---- Copying ---------------------------------------------------------------

void Streams::pass_on(const Fd& signals) {
  its_.clear();  // They are the child's.
  prepare();
  while (copy(signals, -1) != Event::kSignal) {
  }
}

// Waits for a signal, or until something can be read or written, and does that.
Streams::Event Streams::copy(const Fd& signals, int timeout) {
  std::vector<pollfd> ends{{signals.get(), POLLIN, 0}};
  for (const auto& copy : copies_) {
    const bool may = !copy.is_input || copy.is_over() || may_read();
    if (!may && timeout == -1) timeout = 100;  // Then ask again.
    const bool writes =
        !copy.bytes.empty() || (copy.is_input && !copy.has_room);
    const bool reads = may && !writes && copy.left > 0;
    ends.push_back({copy.is_over() || !reads ? -1 : copy.from(), POLLIN, 0});
    ends.push_back({copy.is_over() ? -1 : copy.to(),
                    static_cast<short>(writes ? POLLOUT : 0), 0});
  }
  const int number = ::poll(ends.data(), ends.size(), timeout);
  if (number <= 0) return number == 0 ? Event::kNothing : Event::kSignal;
  if (ends[0].revents != 0) return Event::kSignal;
  auto end = ends.begin() + 1;
  for (auto& copy : copies_) {
    const auto from = *end++;
    const auto to = *end++;
    // Another copy may have closed its end meanwhile.
    if (copy.is_over()) continue;
    if ((to.revents & POLLOUT) != 0)
      write_some(copy);
    else if (to.revents != 0)
      give_up(copy, EPIPE);
    else if (from.revents != 0)
      read_some(copy);
  }
  return Event::kBytes;
}

// Does not wait, because another process may have read what was there.
ssize_t Streams::read_from(const Copy& copy, char* bytes, std::size_t size) {
  if (copy.is_input && S_ISSOCK(copy.kind))
    return ::recv(copy.stream, bytes, size, MSG_DONTWAIT);
  return ::read(copy.from(), bytes, size);
}

void Streams::read_some(Copy& copy) {
  copy.has_room = false;
  if (copy.is_input && S_ISFIFO(copy.kind)) {
    const auto n = ::splice(copy.stream, nullptr, copy.to(), nullptr, PIPE_BUF,
                            SPLICE_F_NONBLOCK);
    if (n > 0 || (n == -1 && (errno == EAGAIN || errno == EINTR))) return;
    if (n == -1 && errno == EPIPE) return give_up(copy, EPIPE);
    return end_reading(copy, n);
  }
  std::array<char, 16 * PIPE_BUF> chunk{};
  const auto size = copy.is_input && !has_packets(copy.stream)
                        ? PIPE_BUF
                        : std::min(chunk.size(), copy.left);
  const auto place = ::lseek(copy.from(), 0, SEEK_CUR);
  const auto n = read_from(copy, chunk.data(), size);
  if (n == -1 && (errno == EAGAIN || errno == EINTR)) return;
  if (n > 0) {
    copy.bytes.assign(chunk.data(), static_cast<std::size_t>(n));
    copy.left -= static_cast<std::size_t>(n);
    copy.place = place + n;
    return;
  }
  end_reading(copy, n);
}

// `n` is what read(2) returned. A terminal that was hung up gives an error,
// too.
void Streams::end_reading(Copy& copy, ssize_t n) {
  if (n == -1 && copy.is_input && !is_terminal(copy.stream))
    note(Error{errno, "read standard input"}.what());
  end(copy);
}

void Streams::write_some(Copy& copy) {
  if (copy.bytes.empty()) {
    copy.has_room = true;
    return;
  }
  // A pipe that has room has room for this. If others write there as well,
  // lines stay whole.
  auto size = std::min<std::size_t>(copy.bytes.size(), PIPE_BUF);
  if (size < copy.bytes.size())
    if (const auto end = copy.bytes.rfind('\n', size - 1);
        end != std::string::npos)
      size = end + 1;
  const bool is_socket = !copy.is_input && S_ISSOCK(copy.kind);
  const auto n = is_socket ? ::send(copy.to(), copy.bytes.data(), size,
                                    MSG_DONTWAIT | MSG_NOSIGNAL)
                           : ::write(copy.to(), copy.bytes.data(), size);
  if (n >= 0)
    copy.bytes.erase(0, static_cast<std::size_t>(n));
  else if (errno != EAGAIN && errno != EINTR)
    give_up(copy, errno);
}

// Nothing can be written any more. One who prints is to notice, as on the host:
// with SIGPIPE.
void Streams::give_up(Copy& copy, int errnum) {
  forget_signals_of_write();
  if (copy.is_input) return stop_reading(copy);
  copy.bytes.clear();
  end(copy);
  const bool is_nobody_there = errnum == EPIPE || errnum == ECONNRESET ||
                               (errnum == EIO && is_terminal(copy.stream));
  if (!is_nobody_there && !failure_)
    failure_.emplace(errnum, sys::format("write to {}", name_of(copy.stream)));
}

// A file goes on behind what the command has read, if nobody else has read
// there since.
void Streams::stop_reading(Copy& copy) {
  const auto rest = waiting_in(*copy.ours) + copy.bytes.size();
  if (::lseek(copy.stream, 0, SEEK_CUR) == copy.place)
    (void)::lseek(copy.stream, -static_cast<off_t>(rest), SEEK_CUR);
  copy.is_stopped = true;
  leave(copy);
}

// The command's side comes to the end, and the caller's.
void Streams::end(Copy& copy) {
  copy.ours->reset();
  leave(copy);
}

// One who writes to the command, or reads, is to notice that it has closed the
// stream. Standard error is also ours.
void Streams::leave(Copy& copy) {
  copy.anew.reset();
  if (!is_terminal(copy.stream) && copy.stream != STDERR_FILENO)
    ::close(copy.stream);
}

// ---- The end ---------------------------------------------------------------

bool Streams::has_more_to_write() {
  bool has_more = false;
  for (auto& copy : copies_) {
    if (copy.is_input || copy.is_over()) continue;
    if (copy.bytes.empty() && copy.left > 0) read_some(copy);
    has_more = has_more || !copy.bytes.empty();
  }
  return has_more;
}

void Streams::finish(const Fd& signals, bool in_a_hurry) {
  for (auto& copy : copies_) {
    if (copy.is_over()) continue;
    const bool is_pipe = ::fcntl(copy.ours->get(), F_GETPIPE_SZ) > 0;
    if (copy.is_input)
      stop_reading(copy);
    else
      // No more, because one that stays behind may print for ever. A
      // pseudo-terminal does not tell; it holds less than this.
      copy.left = is_pipe ? waiting_in(*copy.ours) : 16 * PIPE_BUF;
  }
  while (has_more_to_write()) {
    in_a_hurry = in_a_hurry || is_told_to_end();
    const Fd none;
    const auto event =
        copy(in_a_hurry ? none : signals, in_a_hurry ? 1000 : -1);
    if (event == Event::kNothing && in_a_hurry) return;
    if (event != Event::kSignal || is_told_to_end()) continue;
    signalfd_siginfo signal{};
    if (::read(signals.get(), &signal, sizeof signal) == sizeof signal &&
        signal.ssi_signo == SIGTSTP) {
      pause();
      ::raise(SIGSTOP);
    }
  }
}

void Streams::throw_failure() const {
  if (failure_) throw Error{*failure_};
}

}  // namespace sys
