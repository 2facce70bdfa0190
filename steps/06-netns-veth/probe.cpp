// The attacks that step 06 stops. They see the host's interfaces, and reach its
// services that trust all processes on the same machine.
//
// Only other machines cannot reach 127.0.0.1. An abstract Unix socket has no
// path, so neither a root directory nor a mount table hides it, and it has no
// mode. Interfaces, addresses and abstract sockets belong to the network
// namespace.

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>

#include "steps/probe.hpp"

namespace {

probe::Answer interfaces(const std::string& /*unused*/) {
  struct if_nameindex* const links = ::if_nameindex();
  if (links == nullptr) return probe::refused("list the interfaces");
  std::string names = "list the interfaces:";
  for (const auto* link = links; link->if_index != 0; ++link)
    names += std::string{" "} + link->if_name;
  ::if_freenameindex(links);
  return probe::done(names);
}

// If no process listens there, shows that the probe itself can listen there.
template <typename Address>
probe::Answer connect(const Address& address, socklen_t size,
                      const std::string& what) {
  const void* const any = &address;  // Each family has another type.
  const auto* const general = static_cast<const sockaddr*>(any);
  const int family = general->sa_family;
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd == -1) return probe::refused("make a socket");
  if (::connect(fd, general, size) == 0)
    return probe::done(what + " and hear: " + probe::first_line(fd));
  if (errno != ECONNREFUSED) return probe::refused(what);
  const int ear = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int again = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::bind(ear, general, size) == -1 || ::listen(ear, 1) == -1 ||
      ::connect(again, general, size) == -1)
    return probe::refused(what + ": ECONNREFUSED; listen there");
  return probe::done(what + ": ECONNREFUSED; listen there, and hear itself");
}

probe::Answer localhost(const std::string& port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<in_port_t>(std::stoi(port)));
  return connect(address, sizeof address, "connect to 127.0.0.1:" + port);
}

probe::Answer abstract(const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto room = sizeof address.sun_path - 1;
  const auto length = std::min(name.size(), room);  // After a first zero byte.
  std::copy_n(name.data(), length, address.sun_path + 1);
  const auto size = offsetof(sockaddr_un, sun_path) + 1 + length;
  return connect(address, static_cast<socklen_t>(size), "connect to @" + name);
}

}  // namespace

int main(int argc, char** argv) {
  return probe::run(argc, argv,
                    {{"interfaces", interfaces},
                     {"localhost", localhost},
                     {"abstract", abstract}});
}
