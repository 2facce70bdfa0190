// The attack that step 07 stops. It uses memory that the host needs.
//
// No namespace limits memory. mmap(2) returns only addresses. The kernel adds a
// page of memory at the first write to it.

#include <sys/mman.h>

#include "steps/probe.hpp"

namespace {

probe::Answer memory(const std::string& mebibytes) {
  const auto size = std::stoul(mebibytes) << 20;
  const auto what = "write to " + mebibytes + " MiB";
  void* const place = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (place == MAP_FAILED) return probe::refused(what);
  std::memset(place, 1, size);
  return probe::done(what);
}

}  // namespace

int main(int argc, char** argv) {
  return probe::run(argc, argv, {{"memory", memory}});
}
