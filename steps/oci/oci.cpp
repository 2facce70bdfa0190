// oci: the layers of step 08, as Podman, containerd and Kubernetes call them.
// At work, use runc(8) or crun(1).
//
//   usage   build/oci [--root DIR] create|start|state|kill|delete|exec|pause|
//           resume ID ...
//   who     root
//   new     a config.json decides what 08 decides itself; to make a container
//           and to start it are two commands
//   try     podman --runtime $PWD/build/oci run --rm -it IMAGE
//   open    few engines ask for a user namespace, and without one, root in the
//           container is root on the host

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <optional>

#include "common/file.hpp"
#include "common/process.hpp"
#include "steps/oci/caller.hpp"
#include "steps/oci/container.hpp"
#include "steps/oci/layers.hpp"

// v1 cannot create a process in a cgroup, so the child moves itself through
// files that the parent has opened. The kernel reads 0 as the process that
// writes it.
void join_v1_cgroups(const std::vector<sys::Fd>& v1_cgroups) {
  for (const auto& file : v1_cgroups)
    sys::check(::write(file.get(), "0", 1),
               "write(2) to cgroup.procs: join a v1 cgroup");
}

void set_oom_score(const Json& process, pid_t pid) {
  if (!at(process, "/oomScoreAdj").is_null())
    sys::write_file(sys::format("/proc/{}/oom_score_adj", pid),
                    sys::format("{}", need<int>(process, "/oomScoreAdj")));
}

// ---- The commands -----------------------------------------------------------

// Makes a container that waits at a FIFO.
void create(Container& container, const Words& words) {
  const auto bundle =
      std::filesystem::canonical(words.value("--bundle", ".")).string();
  const Json config = read_config(bundle);
  const Json& process = at(config, "/process");
  container.make(config, bundle);
  bool is_made = false;
  const sys::Defer undo{[&] {
    if (is_made) return;
    remove_all(container.cgroups());
    container.remove();
  }};
  const auto groups = name_cgroups(config, words.plain.at(1));
  make_cgroups(groups);
  container.save(0);
  limit_resources(at(config, "/linux/resources"), groups);
  limit_devices(config, groups);
  const sys::Fd v2_cgroup = sys::open_v2_cgroup(groups);
  const auto v1_cgroups = sys::open_v1_cgroups(groups);
  const auto console = console_for(process, words);
  const auto pid_file = open_pid_file(words);
  const sys::Fd fifo = open_file(container.start_fifo(), O_RDONLY | O_NONBLOCK);

  auto flags = new_namespaces(config);
  if (v2_cgroup.get() != -1) flags |= CLONE_INTO_CGROUP;
  sys::Gate gate;
  std::optional<Visit> visit{std::in_place, config};
  sys::Child child = sys::clone(flags, v2_cgroup, [&] {
    ::umask(022);
    join_v1_cgroups(v1_cgroups);
    if (!words.has("--no-new-keyring")) leave_keys();
    gate.wait();  // Until the maps of ids are written.
    become_root(config);
    set_up_namespaces(config);
    enter_root(config, bundle);
    auto mounts = make_mounts(config, bundle, groups);
    pivot_root();
    place_mounts(mounts);
    make_devices(config, mounts);
    hide_paths(texts(config, "/linux/maskedPaths"),
               texts(config, "/linux/readonlyPaths"));
    leave_session(process, console, true);
    finish_root(config);
    mounts.clear();
    leave_descriptors(fifo.get(), sys::failure_descriptor());
    const auto command = prepare(process, config);

    sys::check(::prctl(PR_SET_PDEATHSIG, 0), "prctl(2) PR_SET_PDEATHSIG 0");
    ::close(sys::failure_descriptor());  // This tells `create` to go.
    pollfd start{fifo.get(), POLLIN, 0};
    (void)::poll(&start, 1, -1);
    try {
      execute(command);
    } catch (const std::exception& error) {
      ::_exit(sys::report(error));
    }
  });
  visit.reset();
  map_ids(config, child.pid());
  set_oom_score(process, child.pid());
  container.save(child.pid());
  for (const auto* const kind : {"prestart", "createRuntime"})
    run_hooks(config, kind, container.state(), true);
  gate.open();
  child.let_go();
  container.must_be({"created"});
  write_pid(pid_file, container.pid());
  is_made = true;
}

// Writes the byte for which the container waits.
void start(const Container& container) {
  container.must_be({"created"});
  need<std::string>(container.config(), "/process/args/0");
  const auto path = container.start_fifo();
  const sys::Fd fifo = open_file(path, O_WRONLY | O_NONBLOCK);
  sys::check(::write(fifo.get(), "!", 1), "write(2) to {}", path);
  sys::check(::unlink(path.c_str()), "unlink(2) {}", path);
  pollfd end{fifo.get(), 0, 0};
  (void)::poll(&end, 1, -1);  // Until execve(2) closes the other end.
  run_hooks(container.config(), "poststart", container.state(), false);
}

// "9", "KILL" and "SIGKILL" are the same.
int signal_number(const std::string& name) {
  for (int signal = 1; signal < NSIG; ++signal) {
    const char* const known = ::sigabbrev_np(signal);
    if (name == sys::format("{}", signal) ||
        (known != nullptr &&
         (name == known || name == std::string{"SIG"} + known)))
      return signal;
  }
  throw std::invalid_argument{"there is no signal " + name};
}

void kill(const Container& container, int signal, bool to_all) {
  if (to_all) {
    for (const pid_t pid : members(container.cgroups())) ::kill(pid, signal);
    return;
  }
  const auto process = container.open_process();
  if (process.get() == -1)
    throw std::runtime_error{"container not running: no such process"};
  sys::check(
      ::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0),
      "pidfd_send_signal(2) {}", signal);
}

void destroy(const Container& container, bool by_force) {
  if (!by_force) container.must_be({"stopped"});
  if (const auto process = container.open_process(); process.get() != -1) {
    (void)::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
    if (is_frozen(container.cgroups())) freeze(container.cgroups(), false);
    pollfd end{process.get(), POLLIN, 0};
    (void)::poll(&end, 1, -1);
  }
  remove_all(container.cgroups());
  container.remove();
  run_hooks(container.config(), "poststop", container.state(), false);
}

// Does what build/enter does. Another file describes what runs.
int exec(const Container& container, const Words& words) {
  container.must_be({"created", "running"});
  const Json& config = container.config();
  const Json process = read_process(words.value("--process"));
  const auto console = console_for(process, words);
  const auto pid_file = open_pid_file(words);
  std::vector<sys::Fd> cgroups;
  for (const auto& group : container.cgroups())
    cgroups.push_back(open_file(group.directory + "/cgroup.procs", O_WRONLY));
  leave_keys();
  set_oom_score(process, ::getpid());  // The child inherits it.
  const sys::Signals signals;
  sys::check(::setns(container.open_process().get(), all_namespaces(config)),
             "setns(2) to the namespaces of process {}", container.pid());
  sys::Child child = sys::clone(0, [&] {
    ::umask(022);
    join_v1_cgroups(cgroups);
    become_root(config);
    leave_session(process, console, false);
    leave_descriptors(-1, sys::failure_descriptor());
    const auto command = prepare(process, config);
    if (words.has("--detach"))
      sys::check(::prctl(PR_SET_PDEATHSIG, 0), "prctl(2) PR_SET_PDEATHSIG 0");
    execute(command);
  });
  write_pid(pid_file, child.pid());
  if (!words.has("--detach")) return child.wait();
  child.let_go();
  return 0;
}

void pause(const Container& container, bool is_paused) {
  container.must_be({is_paused ? "running" : "paused"});
  freeze(container.cgroups(), is_paused);
}

// ---- The program
// -------------------------------------------------------------

int obey(const Words& words, char** argv) {
  if (words.has("--version")) {
    std::cout << "oci version 1\nspec: " << kSpecification << '\n';
    return 0;
  }
  if (words.plain.size() < 2)
    throw std::invalid_argument{
        "usage: oci create|start|state|kill|delete|exec|pause|resume ID ..."};
  const auto& command = words.plain[0];
  Container container{words.value("--root", "/run/oci"), words.plain[1]};
  if (command == "create" || command == "exec") run_from_a_copy(argv);
  if (command == "create") return create(container, words), 0;
  if (command == "delete" && words.has("--force") && !container.exists())
    return 0;
  container.load();
  if (command == "exec") return exec(container, words);
  if (command == "start")
    start(container);
  else if (command == "state")
    std::cout << container.state().dump(2) << '\n';
  else if (command == "ps")
    std::cout << Json(members(container.cgroups())) << '\n';
  else if (command == "kill")
    kill(container,
         signal_number(words.plain.size() > 2 ? words.plain[2] : "TERM"),
         words.has("--all"));
  else if (command == "delete")
    destroy(container, words.has("--force"));
  else if (command == "pause" || command == "resume")
    pause(container, command == "pause");
  else
    throw std::invalid_argument{"there is no command " + command};
  return 0;
}

int main(int argc, char** argv) {
  Words words;
  Log log;
  try {
    read_words(argc, argv, words);
    log.open(words);
    return obey(words, argv);
  } catch (const std::exception& error) {
    log.tell(error);
    return sys::report(error);
  }
}
