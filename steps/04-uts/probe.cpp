// What step 04 makes harmless: the host is renamed.
//
// The name is one of the kernel's few global variables that anybody with
// CAP_SYS_ADMIN may set, and logs, prompts and certificates believe it.

#include "steps/probe.hpp"

namespace {

probe::Answer hostname(const std::string& name) {
  const auto what = "set the host name " + name;
  if (::sethostname(name.data(), name.size()) == -1)
    return probe::refused(what);
  return probe::done(what);
}

}  // namespace

int main(int argc, char** argv) {
  return probe::run(argc, argv, {{"hostname", hostname}});
}
