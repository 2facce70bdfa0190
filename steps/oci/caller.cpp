// What a caller hands to us: words, streams, descriptors, and a socket at which
// it waits for the terminal of the container.

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "common/mount.hpp"
#include "steps/oci/layers.hpp"

namespace {

constexpr auto kNoGroup = static_cast<gid_t>(-1);  // Leaves it as it is.

// Whether an option has a value.
const std::map<std::string, bool> kOptions{
    {"--root", true},      {"--log", true},      {"--log-format", true},
    {"--bundle", true},    {"--pid-file", true}, {"--console-socket", true},
    {"--process", true},   {"--format", true},   {"--no-new-keyring", false},
    {"--resources", true}, {"--detach", false},  {"--force", false},
    {"--all", false},      {"--tty", false},     {"--version", false}};

// The message has one byte or more of text, and the descriptor beside it.
void send_descriptor(const sys::Fd& socket, int sent) {
  std::string name{"/dev/ptmx"};
  iovec text{name.data(), name.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> buffer{};
  msghdr message{};
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  message.msg_control = buffer.data();
  message.msg_controllen = buffer.size();
  auto* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &sent, sizeof sent);
  sys::check(::sendmsg(socket.get(), &message, 0),
             "sendmsg(2) SCM_RIGHTS: send the terminal");
}

// Makes a terminal in the container, sends its outer end through the socket,
// and makes its inner end the standard streams: see pty(7).
void take_terminal(const Json& process, const sys::Fd& socket, bool is_first) {
  const sys::Fd outer = open_file("/dev/pts/ptmx", O_RDWR | O_NOCTTY);
  sys::check(::unlockpt(outer.get()), "unlockpt(3)");
  const sys::Fd inner{sys::check(
      ::ioctl(outer.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC),
      "ioctl(2) TIOCGPTPEER: open its other end")};
  const winsize size{get<unsigned short>(process, "/consoleSize/height", 0),
                     get<unsigned short>(process, "/consoleSize/width", 0), 0,
                     0};
  if (size.ws_row != 0) (void)::ioctl(outer.get(), TIOCSWINSZ, &size);
  sys::check(
      ::fchown(inner.get(), get<uid_t>(process, "/user/uid", 0), kNoGroup),
      "fchown(2): give the terminal to its user");
  send_descriptor(socket, outer.get());
  if (is_first)
    place({"/dev/console",
           sys::copy_mount(sys::format("/proc/self/fd/{}", inner.get()))});
  sys::check(::ioctl(inner.get(), TIOCSCTTY, 0), "ioctl(2) TIOCSCTTY");
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    sys::check(::dup2(inner.get(), stream), "dup2(2) to {}", stream);
}

}  // namespace

Words::Words(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word{argv[i]};
    const auto equals = word.find('=');  // "--root=/run" and "--root /run".
    const auto name = word.substr(0, equals);
    const auto known = kOptions.find(name);
    if (!word.starts_with('-'))
      plain.push_back(word);
    else if (known != kOptions.end() && !known->second && name == word)
      options[name] = "";
    else if (known != kOptions.end() && known->second && name != word)
      options[name] = word.substr(equals + 1);
    else if (known != kOptions.end() && known->second && i + 1 < argc)
      options[name] = argv[++i];
    else
      throw std::invalid_argument{"there is no option " + word};
  }
}

sys::Fd Words::open(const std::string& name, int flags) const {
  if (!has(name)) return sys::Fd{};
  return open_file(value(name), O_WRONLY | O_CREAT | flags, 0644);
}

sys::Fd connect_console(const Json& process, const Words& words) {
  if (!get(process, "/terminal", false)) return sys::Fd{};
  const auto path = words.value("--console-socket");
  sys::Fd socket{sys::check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                            "socket(2) AF_UNIX")};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    throw std::invalid_argument{"a terminal needs --console-socket, not " +
                                path};
  path.copy(address.sun_path, path.size());
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): see unix(7).
  sys::check(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address),
                       sizeof address),
             "connect(2) to {}", path);
  return socket;
}

void leave_session(const Json& process, const sys::Fd& console, bool is_first) {
  sys::check(::setsid(), "setsid(2): leave the session of the caller");
  if (console.get() != -1) take_terminal(process, console, is_first);
  // Only the owner of a pipe may reopen it by name, /dev/stdout say.
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    struct stat found {};
    if (::fstat(stream, &found) == 0 && S_ISFIFO(found.st_mode))
      (void)::fchown(stream, get<uid_t>(process, "/user/uid", 0), kNoGroup);
  }
}

// A process of the container can execute /proc/self/exe while that is us, and
// then write to our file: see CVE-2019-5736. So we run from a copy that nobody
// can change, and no process of the container can trace us or open what we have
// open: see CVE-2016-9962.
void run_from_a_copy(char** argv) {
  const sys::Fd own{::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};
  if (::fcntl(own.get(), F_GET_SEALS) > 0) {
    sys::check(::prctl(PR_SET_DUMPABLE, 0), "prctl(2) PR_SET_DUMPABLE 0");
    return;
  }
  const sys::Fd copy{
      sys::check(::memfd_create("oci", MFD_CLOEXEC | MFD_ALLOW_SEALING),
                 "memfd_create(2)")};
  while (::sendfile(copy.get(), own.get(), nullptr, 1 << 30) > 0) continue;
  sys::check(::fcntl(copy.get(), F_ADD_SEALS,
                     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL),
             "fcntl(2) F_ADD_SEALS");
  ::fexecve(copy.get(), argv, environ);
  throw sys::Error{errno, "fexecve(3) a copy of us"};
}
