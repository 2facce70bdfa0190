// A terminal of the container. Its outer end goes to the caller who asked for
// it, conmon(8) or containerd's shim, through a socket: see pty(7), and
// SCM_RIGHTS in unix(7).

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "steps/oci/layers.hpp"

sys::Fd connect_console(const std::string& path) {
  sys::Fd socket{sys::check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                            "socket(2) AF_UNIX")};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    throw sys::Error{ENAMETOOLONG, "connect(2) to " + path};
  path.copy(address.sun_path, path.size());
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): see unix(7).
  sys::check(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address),
                       sizeof address),
             "connect(2) to {}", path);
  return socket;
}

namespace {

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

}  // namespace

void take_terminal(const Json& process, const sys::Fd& socket, bool is_first) {
  const sys::Fd outer{
      sys::check(::open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC),
                 "open(2) /dev/pts/ptmx: make a terminal")};
  sys::check(::unlockpt(outer.get()), "unlockpt(3)");
  const sys::Fd inner{sys::check(
      ::ioctl(outer.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC),
      "ioctl(2) TIOCGPTPEER: open its other end")};
  const winsize size{get<unsigned short>(process, "/consoleSize/height", 0),
                     get<unsigned short>(process, "/consoleSize/width", 0), 0,
                     0};
  if (size.ws_row != 0) (void)::ioctl(outer.get(), TIOCSWINSZ, &size);
  sys::check(::fchown(inner.get(), get<uid_t>(process, "/user/uid", 0),
                      static_cast<gid_t>(-1)),
             "fchown(2): give the terminal to its user");
  send_descriptor(socket, outer.get());
  if (is_first) {
    std::vector<Mount> console;
    console.push_back({"/dev/console", copy_tree(sys::format("/proc/self/fd/{}",
                                                             inner.get()))});
    place_mounts(console);
  }
  sys::check(::ioctl(inner.get(), TIOCSCTTY, 0), "ioctl(2) TIOCSCTTY");
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    sys::check(::dup2(inner.get(), stream), "dup2(2) to {}", stream);
}
