#include "common/process.hpp"

#include <linux/sched.h>  // clone_args, CLONE_*
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace sys {

// ---- Failures travel from the child to its parent --------------------------

namespace {

int pipe_to_parent = -1;

// Well under PIPE_BUF bytes, so that write(2) delivers all of it or nothing:
// see pipe(7).
struct Failure {
  int errnum;  // 0: not a system call
  int status;
  std::array<char, 1024> text;
  std::array<char, 2048> hint;
};

// What does not fit loses its middle: a command in a hint stands at the end.
template <std::size_t Size>
void copy_text(std::array<char, Size>& to, std::string_view from) {
  const auto fits = shorten(from, Size - std::size("..."));
  to.at(fits.copy(to.data(), Size - 1)) = '\0';
}

[[noreturn]] void fail_to(const Fd& parent, const std::exception& error) {
  Failure failure{};
  failure.status = kOurFailure;
  if (const auto* call = dynamic_cast<const Error*>(&error)) {
    failure.errnum = call->code().value();
    failure.status = call->status();
    copy_text(failure.text, call->attempt().text);
    copy_text(failure.hint, call->hint());
  } else {
    copy_text(failure.text, error.what());
  }
  // If this fails, our parent is gone, and no process reads it.
  [[maybe_unused]] const auto n =
      ::write(parent.get(), &failure, sizeof failure);
  ::_exit(failure.status);
}

// The child's whole life. It leaves by exec or _exit, never by unwinding into
// a copy of the parent's stack, where it would run the parent's destructors.
[[noreturn]] void live(const std::function<void()>& body, const Fd& parent) {
  try {
    pipe_to_parent = parent.get();
    die_with_parent();
    ::sigprocmask(SIG_SETMASK, &mask_for_children(), nullptr);
    body();
  } catch (const std::exception& error) {
    fail_to(parent, error);
  }
  ::_exit(EXIT_SUCCESS);
}

std::string words_for(std::uint64_t flags) {
  if (flags == 0) return "clone3(2)";
  return "clone3(2) " +
         flag_names(flags, {{CLONE_NEWUSER, "CLONE_NEWUSER"},
                            {CLONE_NEWPID, "CLONE_NEWPID"},
                            {CLONE_NEWUTS, "CLONE_NEWUTS"},
                            {CLONE_NEWNS, "CLONE_NEWNS"},
                            {CLONE_NEWNET, "CLONE_NEWNET"},
                            {CLONE_NEWIPC, "CLONE_NEWIPC"},
                            {CLONE_NEWCGROUP, "CLONE_NEWCGROUP"},
                            {CLONE_INTO_CGROUP, "CLONE_INTO_CGROUP"}});
}

}  // namespace

Child clone(std::uint64_t flags, const std::function<void()>& body) {
  return clone(flags, Fd{}, body);
}

Child clone(std::uint64_t flags, const Fd& cgroup,
            const std::function<void()>& body) {
  Pipe failure;  // Closed by a successful exec.

  // The child starts with none of our signal handlers, as after an exec.
  clone_args args{};
  args.flags = flags | CLONE_CLEAR_SIGHAND;
  args.exit_signal = SIGCHLD;
  if (cgroup.get() != -1) args.cgroup = static_cast<__u64>(cgroup.get());
  const auto pid = ::syscall(SYS_clone3, &args, sizeof args);
  const auto doing = words_for(flags);
  if (pid == -1) throw Error{errno, doing};
  if (pid == 0) {
    failure.read_end.reset();
    live(body, failure.write_end);
  }
  try {  // Its map is written in /proc.
    if ((flags & CLONE_NEWUSER) != 0) check_proc();
  } catch (const Error&) {
    ::kill(static_cast<pid_t>(pid), SIGKILL);
    (void)::waitpid(static_cast<pid_t>(pid), nullptr, 0);
    throw;
  }
  narrate("{}: the child's PID on the host is {}", doing, pid);
  return Child{static_cast<pid_t>(pid), std::move(failure.read_end), flags};
}

void check_proc() {
  const auto pid = sys::format("{}", ::getpid());
  std::array<char, 16> self{};
  const auto n = ::readlink("/proc/self", self.data(), self.size());
  if (n == -1 ||
      std::string_view{self.data(), static_cast<std::size_t>(n)} != pid)
    throw Error{ESRCH, "readlink(2) /proc/self: find our own PID, " + pid};
}

void die_with_parent() {
  check(::prctl(PR_SET_PDEATHSIG, SIGKILL),
        "prctl(2) PR_SET_PDEATHSIG SIGKILL: die with the parent");
  // If the parent died before we asked, no process reads our pipe any more.
  pollfd pipe{.fd = pipe_to_parent, .events = 0, .revents = 0};
  if (::poll(&pipe, 1, 0) == 1) ::_exit(kOurFailure);
}

int failure_descriptor() noexcept {
  return pipe_to_parent;
}

// ---- Waiting ---------------------------------------------------------------

Child::Child(pid_t pid, Fd failure, std::uint64_t flags) noexcept
    : pid_{pid}, failure_{std::move(failure)}, flags_{flags} {}

Child::~Child() {
  if (!running_) return;
  int status = 0;
  const bool has_ended = ::waitpid(pid_, &status, WNOHANG) == pid_;
  if (!has_ended) {
    ::kill(pid_, SIGKILL);
    (void)::waitpid(pid_, nullptr, 0);
  }
  if (std::uncaught_exceptions() != 0)
    remember_its_failure(has_ended ? status : 0);
}

// An error of ours ends us: if the child had failed before, that is the reason.
void Child::remember_its_failure(int status) const {
  try {
    throw_its_failure();
    if (WIFSIGNALED(status))
      throw std::runtime_error{
          sys::format("signal {} ended the container before its command ran",
                      WTERMSIG(status))};
  } catch (const std::exception&) {
    first_error = std::current_exception();
  }
}

void Meanwhile::until_signal(const Fd& signals) {
  pollfd waited{.fd = signals.get(), .events = POLLIN, .revents = 0};
  (void)::poll(&waited, 1, -1);
}

void Child::let_go() {
  pollfd pipe{.fd = failure_.get(), .events = POLLIN, .revents = 0};
  while (::poll(&pipe, 1, -1) == -1)
    if (errno != EINTR) throw Error{errno, "poll(2) the pipe of a child"};
  if ((pipe.revents & POLLIN) != 0) (void)wait();  // It throws.
  running_ = false;
}

int Child::wait() {
  Meanwhile nothing;
  return wait(nothing);
}

int Child::wait(Meanwhile& meanwhile) {
  const auto held = held_signals();
  const Fd signals{sys::check(::signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK),
                              "signalfd(2)")};
  // Without a Signals there is none to hear: SIGCHLD itself would be lost.
  const auto mask = callers_mask();
  const int options = ::sigismember(&mask, SIGCHLD) == 1 ? WNOHANG : 0;
  int status = 0;
  for (;;) {
    const auto ended = ::waitpid(pid_, &status, options);
    if (ended == -1) throw Error{errno, sys::format("waitpid(2) {}", pid_)};
    if (ended == pid_) break;
    meanwhile.until_signal(signals);
    signalfd_siginfo signal{};
    if (::read(signals.get(), &signal, sizeof signal) == sizeof signal)
      pass_on(static_cast<int>(signal.ssi_signo), signal.ssi_code, meanwhile);
  }
  running_ = false;
  meanwhile.finish(signals, told_to_end_ > 0);
  throw_its_failure();
  meanwhile.throw_failure();
  if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
  const int signal = WTERMSIG(status);
  return 128 + (signal == SIGKILL && ended_by_ != 0 ? ended_by_ : signal);
}

namespace {

bool is_one_of(int signal, std::initializer_list<int> set) {
  return std::find(set.begin(), set.end(), signal) != set.end();
}

// PF_... of the kernel's linux/sched.h: see proc_pid_stat(5), flags.
constexpr unsigned kExiting = 0x4;      // It has ended, but is not gone.
constexpr unsigned kForkedOnly = 0x40;  // It has not called execve(2).

struct Stat {
  char state = ' ';
  unsigned flags = 0;
};

// The name before the state may itself have parentheses.
Stat parse_stat(const std::string& text) {
  Stat stat;
  const auto end = text.rfind(')');
  if (end != text.npos)
    (void)std::sscanf(text.c_str() + end, ") %c %*d %*d %*d %*d %*d %u",
                      &stat.state, &stat.flags);
  return stat;
}

// Says why a child that has ended is not gone after a moment. timeout(1) sends
// TERM twice, to us and to our group.
void tell_if_it_stays(pid_t pid) {
  constexpr int kMilliseconds = 500;
  const Fd process{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  pollfd end{process.get(), POLLIN, 0};
  if (::poll(&end, 1, kMilliseconds) == 1) return;
  note(
      sys::format("PID {} has ended; the kernel keeps it until every process "
                  "that joined it has a parent that runs: is an enter stopped?",
                  pid));
}

// Whether a child still runs our code: it has neither called execve(2), nor
// another name, as the init of step 08.
bool is_setting_up(const std::string& stat) {
  std::array<char, 16> own_name{};
  (void)::prctl(PR_GET_NAME, own_name.data());
  return (parse_stat(stat).flags & kForkedOnly) != 0 &&
         stat.find(sys::format("({})", own_name.data())) != stat.npos;
}

}  // namespace

// A signal with a default action does nothing to PID 1 of a PID namespace, and
// would be ignored for ever: see pid_namespaces(7). So look what it does with
// it. A terminal has already sent its signals to the whole foreground group.
void Child::pass_on(int number, int code, Meanwhile& meanwhile) {
  // SIGPIPE and SIGXFSZ come of our own writing, which tells by errno.
  if (is_one_of(number, {SIGCHLD, SIGPIPE, SIGXFSZ, SIGURG, SIGWINCH})) return;
  if (number == SIGCONT) {
    meanwhile.pause();
    ::kill(pid_, SIGCONT);
    return;
  }
  const Fd* const kept = callers_proc();
  const Fd own_proc = kept == nullptr ? open_proc() : Fd{};
  const Fd& proc = kept == nullptr ? own_proc : *kept;
  const auto stat = file_of(proc, pid_, "stat");
  const auto [state, flags] = parse_stat(stat);
  if ((flags & kExiting) != 0) {
    if (told_to_end_++ > 0) tell_if_it_stays(pid_);
    return;
  }
  if (is_one_of(number, {SIGTERM, SIGHUP})) ++told_to_end_;
  const auto status = file_of(proc, pid_, "status");
  // A child begins with our mask. What PID 1 then unblocks, the kernel drops.
  const bool wanted =
      in_mask(status, "SigCgt:", number) ||
      (in_mask(status, "SigBlk:", number) && !is_setting_up(stat));
  const int stop = wanted ? SIGTSTP : SIGSTOP;
  if (is_one_of(number, {SIGTSTP, SIGTTIN, SIGTTOU})) {
    ::kill(pid_, stop);
    meanwhile.pause();
    ::raise(SIGSTOP);  // Here we stand until the shell's fg or bg.
    ::kill(pid_, SIGCONT);
    return;
  }
  const bool ignored = in_mask(status, "SigIgn:", number);
  const bool has_it = code == SI_KERNEL && ::getsid(pid_) == ::getsid(0);
  // A terminal sends these to a whole group, and so do we.
  const bool is_for_group =
      is_one_of(number, {SIGINT, SIGQUIT}) && ::getpgid(pid_) == pid_;
  if ((wanted || is_for_group) && !has_it)
    ::kill(is_for_group ? -pid_ : pid_, number);
  // Stopped by somebody else, it would not hear that it is to end.
  if (wanted && state == 'T' && is_one_of(number, {SIGTERM, SIGHUP}))
    ::kill(pid_, SIGCONT);
  if (wanted || (ignored && (number == SIGINT || number == SIGQUIT))) return;
  ended_by_ = number;
  ::kill(pid_, SIGKILL);
}

void Child::throw_its_failure() const {
  Failure failure{};
  // A daemon that outlived the child may still hold the other end: do not wait.
  pollfd pipe{.fd = failure_.get(), .events = POLLIN, .revents = 0};
  if (::poll(&pipe, 1, 0) != 1 ||
      ::read(failure_.get(), &failure, sizeof failure) != sizeof failure)
    return;
  if (failure.errnum == 0) throw std::runtime_error{failure.text.data()};
  // Only here is known in which namespaces it failed.
  throw Error{Attempt{failure.text.data(), failure.errnum, flags_},
              failure.hint.data(), failure.status};
}

}  // namespace sys
