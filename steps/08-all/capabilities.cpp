// Root is a set of capabilities. These fourteen are what Docker leaves to a
// container, and they count only for what its user namespace owns.

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "steps/08-all/layers.hpp"

namespace {

constexpr std::array kKept{
    CAP_AUDIT_WRITE, CAP_CHOWN,     CAP_DAC_OVERRIDE, CAP_FOWNER,
    CAP_FSETID,      CAP_KILL,      CAP_MKNOD,        CAP_NET_BIND_SERVICE,
    CAP_NET_RAW,     CAP_SETFCAP,   CAP_SETGID,       CAP_SETPCAP,
    CAP_SETUID,      CAP_SYS_CHROOT};

constexpr std::uint64_t kept_bits() {
  std::uint64_t bits = 0;
  for (const int capability : kKept) bits |= 1ULL << capability;
  return bits;
}

}  // namespace

void drop_capabilities() {
  // The bounding set first, because execve(2) gives back only what is in it.
  for (int capability = 0; capability < 64; ++capability) {
    if (((kept_bits() >> capability) & 1) != 0) continue;
    const int dropped = ::prctl(PR_CAPBSET_DROP, capability);
    if (dropped == -1 && errno == EINVAL) break;  // This kernel has no more.
    sys::check(dropped, "prctl(2) PR_CAPBSET_DROP {}", capability);
  }
  sys::check(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0),
             "prctl(2) PR_CAP_AMBIENT_CLEAR_ALL");

  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};  // Low and high 32 bits.
  for (unsigned half = 0; half < sets.size(); ++half) {
    const auto bits = static_cast<__u32>(kept_bits() >> (32 * half));
    sets.at(half) = {.effective = bits, .permitted = bits, .inheritable = 0};
  }
  sys::check(::syscall(SYS_capset, &header, sets.data()),
             "capset(2): keep {} capabilities", kKept.size());
}
