#include "common/streams/streams.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include "common/streams/copy.hpp"

namespace sys {

namespace {

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

// Whether it is of a kind that is never read or written: opened the other way,
// an epoll(7), a socket that listens. A read of no bytes does not wait.
bool is_useless(int stream, const struct stat& status) {
  const bool is_input = stream == STDIN_FILENO;
  if (S_ISSOCK(status.st_mode)) {
    char byte = 0;
    return is_input &&
           ::recv(stream, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == -1 &&
           (errno == ENOTCONN || errno == EINVAL);
  }
  const auto use = is_input ? &::readv : &::writev;
  return use(stream, nullptr, 0) == -1 && (errno == EBADF || errno == EINVAL);
}

// Whether a signal waits to be heard that commonly ends a program.
bool is_told_to_end() {
  sigset_t waiting;
  ::sigpending(&waiting);
  for (const int signal : {SIGTERM, SIGHUP, SIGINT, SIGQUIT})
    if (::sigismember(&waiting, signal) == 1) return true;
  return false;
}

int make_counter(int flags) {
  return sys::check(::eventfd(0, flags | EFD_CLOEXEC | EFD_NONBLOCK),
                    "eventfd(2)");
}

// A write to an eventfd does not fail. If it did, the thread that waits for it
// would wait for ever, so it is tried again.
void add_one(int counter) {
  while (::eventfd_write(counter, 1) == -1) continue;
}

// How much it holds, or 1 of it; 0 if there is nothing.
eventfd_t take(const Fd& counter) {
  eventfd_t number = 0;
  return ::eventfd_read(counter.get(), &number) == 0 ? number : 0;
}

// Waits until it holds something.
eventfd_t await(const Fd& counter) {
  pollfd end{counter.get(), POLLIN, 0};
  for (;;) {
    if (const auto number = take(counter); number != 0) return number;
    (void)::poll(&end, 1, -1);
  }
}

// See close_range(2).
void close_all_but(const std::set<int>& needed) {
  unsigned first = 0;
  for (const int kept : needed) {
    if (kept < 0) continue;
    const auto end = static_cast<unsigned>(kept);
    if (first < end) (void)::syscall(SYS_close_range, first, end - 1, 0);
    first = end + 1;
  }
  (void)::syscall(SYS_close_range, first, ~0U, 0);
}

constexpr int kForEver = -1;         // Of poll(2).
constexpr int kHurryTimeout = 1000;  // Milliseconds without a byte, in a hurry.

}  // namespace

// ---- Threads ---------------------------------------------------------------

struct Streams::Counters {
  Fd ready{make_counter(0)};  // Each adds 1 when it has its descriptors.
  Fd news{make_counter(0)};   // Each adds 1 for some bytes, and at its end.
};

// The container can hold our system calls up: while one of its processes waits
// in sendfile(2) from a terminal to the pipe, the kernel keeps the pipe locked,
// and then our read(2), write(2) or close(2) of the pipe hears no signal, not
// even SIGKILL. So a thread makes these calls, and the others go on. It has the
// pipe in a table of descriptors of its own: if we are killed, closing it does
// not hold us up, and the container gets the signal that ends it, too.
//
// build/enter does not end the container, and a process ends only when its last
// thread does. So a process makes these calls for build/enter: it shares our
// memory, as a thread does, and what holds it up does not hold us up.
struct Streams::Carrier {
  Carrier(Copy its_copy, std::shared_ptr<Counters> its_counters)
      : copy{std::move(its_copy)}, counters{std::move(its_counters)} {}

  void run();
  void run_in_a_process();
  void take_descriptors();
  bool wait(int timeout);

  Copy copy;
  std::shared_ptr<Counters> counters;
  Fd told{make_counter(EFD_SEMAPHORE)};  // Begin; the command ended; hurry.
  const std::set<int> own_descriptors = copy.own_descriptors();
  const pid_t parent = ::getpid();
  std::atomic<bool> has_own_table = false;
  std::atomic<bool> is_over = false;
};

// A child that is cloned meanwhile has a copy of our memory but not of this
// thread, so the thread holds no lock of the C library's until it is told to
// begin: it only waits.
void Streams::Carrier::run() {
  take_descriptors();
  add_one(counters->ready.get());
  await(told);
  while (!copy.is_over() && take(told) == 0) wait(kForEver);
  copy.come_to_the_end();
  int timeout = kForEver;
  while (copy.has_more_to_write()) {
    if (take(told) != 0) timeout = kHurryTimeout;
    if (!wait(timeout)) break;
    add_one(counters->news.get());
  }
  if (has_own_table) copy.forget_descriptors();
  const int news = counters->news.get();
  is_over = true;
  add_one(news);
}

// The thread waits until the process has ended, so the process may use what the
// C library keeps for each thread, errno for example. No signal tells us of its
// end. The process ends when the thread does: see PR_SET_PDEATHSIG in prctl(2).
void Streams::Carrier::run_in_a_process() {
  const auto body = [](void* carrier) {
    auto& self = *static_cast<Carrier*>(carrier);
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() == self.parent) self.run();
    return 0;
  };
  std::vector<char> stack(65536);
  const pid_t pid =
      ::clone(body, stack.data() + stack.size(), CLONE_VM | CLONE_VFORK, this);
  if (pid == -1) return run();
  (void)::waitpid(pid, nullptr, static_cast<int>(__WCLONE));
}

// Copies the table of descriptors, and closes what it does not need. Where a
// filter forbids unshare(2), a thread shares the table.
void Streams::Carrier::take_descriptors() {
  has_own_table = ::unshare(CLONE_FILES) == 0;
  if (!has_own_table) return;
  auto needed = copy.descriptors();
  needed.insert(
      {STDERR_FILENO, told.get(), counters->ready.get(), counters->news.get()});
  close_all_but(needed);
}

bool Streams::Carrier::wait(int timeout) {
  std::vector<pollfd> ends{{told.get(), POLLIN, 0}};
  copy.add_to(ends, true);
  const int number = ::poll(ends.data(), ends.size(), timeout);
  if (number > 0) copy.go_on(ends[1], ends[2]);
  return number != 0;
}

// ---- Making them -----------------------------------------------------------

Streams::Streams() : Streams{{STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}} {
  start_threads();
}

Streams::Streams(const std::set<int>& replaced) {
  for (const int stream : replaced) {
    if (is_a_terminal(stream)) terminals_.insert(stream);
    if (is_terminal(stream)) continue;
    const auto status = look_at(stream);
    if (S_ISDIR(status.st_mode))
      throw std::runtime_error{
          "a standard stream is a directory: that would be a way out"};
    if (is_useless(stream, status))
      use_device(stream, "/dev/null",
                 stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    else if (const char* const device = common_device(status))
      use_device(stream, device, ::fcntl(stream, F_GETFL) & O_ACCMODE);
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
  copies_.emplace_back(stream, is_input, std::move(ours));
}

void Streams::use_pipe(int stream) {
  Pipe pipe;
  // Each user of the container may open it by its name, /dev/stdout say.
  if (::fchmod(pipe.read_end.get(), 0666) == -1)
    throw Error{errno, "fchmod(2) a pipe: let it be opened by its name"};
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
  if (!counters_) counters_ = std::make_shared<Counters>();
  Copy copy{stream, is_input, std::move(ours)};
  carriers_.push_back(std::make_shared<Carrier>(std::move(copy), counters_));
}

void Streams::use_device(int stream, const char* path, int access) {
  auto device = std::make_shared<Fd>(::open(path, access | O_CLOEXEC));
  if (device->get() == -1) throw Error{errno, sys::format("open(2) {}", path)};
  its_[stream] = std::move(device);
}

void Streams::enter() const {
  for (const auto& [stream, its] : its_)
    check(::dup2(its->get(), stream), "dup2(2) over {}", name_of(stream));
}

// ---- Copying ---------------------------------------------------------------

void Streams::start_threads() {
  start(&Carrier::run);
}

void Streams::start_processes() {
  start(&Carrier::run_in_a_process);
}

void Streams::start(void (Carrier::*run)()) {
  if (std::exchange(has_started_, true)) return;
  try {
    for (const auto& carrier : carriers_) std::thread{run, carrier}.detach();
  } catch (const std::system_error& error) {
    throw Error{error.code().value(),
                "pthread_create(3): a thread that copies a stream"};
  }
  for (std::size_t ready = 0; ready < carriers_.size();)
    ready += await(counters_->ready);
}

// The child has its ends of the pipes.
void Streams::begin() {
  start_threads();
  its_.clear();
  if (std::exchange(has_begun_, true)) return;
  for (const auto& carrier : carriers_)
    if (carrier->has_own_table)
      for (const int fd : carrier->own_descriptors) ::close(fd);
  tell_carriers();
}

void Streams::until_signal(const Fd& signals) {
  begin();
  prepare();
  while (copy(signals, kForEver) != Event::kSignal) {
  }
}

// Waits for a signal, or until something can be read or written, and does that.
Streams::Event Streams::copy(const Fd& signals, int timeout) {
  std::vector<pollfd> ends{{signals.get(), POLLIN, 0},
                           {counters_ ? counters_->news.get() : -1, POLLIN, 0}};
  for (const auto& copy : copies_) {
    const bool may = !copy.is_input() || copy.is_over() || may_read();
    if (!may && timeout == kForEver) timeout = 100;  // Then ask again.
    copy.add_to(ends, may);
  }
  const int number = ::poll(ends.data(), ends.size(), timeout);
  if (number <= 0) return number == 0 ? Event::kNothing : Event::kSignal;
  if (ends[0].revents != 0) return Event::kSignal;
  if (counters_) (void)take(counters_->news);
  for (std::size_t i = 0; i < copies_.size(); ++i)
    copies_[i].go_on(ends[2 + 2 * i], ends[3 + 2 * i]);
  return Event::kBytes;
}

// ---- The end ---------------------------------------------------------------

bool Streams::has_more_to_write() {
  bool has_more = false;
  for (auto& copy : copies_)
    if (copy.has_more_to_write()) has_more = true;
  for (const auto& carrier : carriers_)
    if (!carrier->is_over) has_more = true;
  return has_more;
}

void Streams::tell_carriers() const {
  for (const auto& carrier : carriers_) add_one(carrier->told.get());
}

void Streams::finish(const Fd& signals, bool in_a_hurry) {
  begin();
  for (auto& copy : copies_) copy.come_to_the_end();
  tell_carriers();
  if (in_a_hurry) tell_carriers();
  while (has_more_to_write()) {
    if (!in_a_hurry && is_told_to_end()) {
      in_a_hurry = true;
      tell_carriers();
    }
    const Fd none;
    const auto event = copy(in_a_hurry ? none : signals,
                            in_a_hurry ? kHurryTimeout : kForEver);
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
  for (const auto& copy : copies_) copy.throw_failure();
  for (const auto& carrier : carriers_)
    if (carrier->is_over) carrier->copy.throw_failure();
}

}  // namespace sys
