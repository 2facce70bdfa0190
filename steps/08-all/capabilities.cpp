// Root is a set of capabilities. These thirteen are what Docker leaves to a
// container, without CAP_NET_RAW, and they count only for what its user
// namespace owns. With CAP_NET_RAW the container could write any packet, for
// example an ICMP message that the host believes. Podman drops it, too.

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <bit>

#include "steps/08-all/layers.hpp"

namespace {

constexpr std::array kKept{
    CAP_AUDIT_WRITE, CAP_CHOWN,  CAP_DAC_OVERRIDE,     CAP_FOWNER,  CAP_FSETID,
    CAP_KILL,        CAP_MKNOD,  CAP_NET_BIND_SERVICE, CAP_SETFCAP, CAP_SETGID,
    CAP_SETPCAP,     CAP_SETUID, CAP_SYS_CHROOT};

constexpr std::uint64_t kept_bits() {
  std::uint64_t bits = 0;
  for (const int capability : kKept) bits |= 1ULL << capability;
  return bits;
}

}  // namespace

void drop_capabilities() {
  bound_capabilities(kept_bits());
  keep_capabilities({.permitted = kept_bits(), .effective = kept_bits()});
}

void bound_capabilities(std::uint64_t kept) {
  for (int capability = 0; capability < 64; ++capability) {
    if (((kept >> capability) & 1) != 0) continue;
    const int dropped = ::prctl(PR_CAPBSET_DROP, capability);
    if (dropped == -1 && errno == EINVAL) break;  // This kernel has no more.
    sys::check(dropped, "prctl(2) PR_CAPBSET_DROP {}", capability);
  }
}

void keep_capabilities(const Capabilities& kept) {
  sys::check(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0),
             "prctl(2) PR_CAP_AMBIENT_CLEAR_ALL");

  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};  // Low and high 32 bits.
  for (const unsigned half : {0U, 1U}) {
    const auto bits = [half](std::uint64_t set) {
      return static_cast<__u32>(set >> (32 * half));
    };
    sets.at(half) = {.effective = bits(kept.effective),
                     .permitted = bits(kept.permitted),
                     .inheritable = bits(kept.inheritable)};
  }
  sys::check(::syscall(SYS_capset, &header, sets.data()),
             "capset(2): keep {} capabilities", std::popcount(kept.permitted));
}
