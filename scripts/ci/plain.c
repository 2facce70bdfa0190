// It uses system calls only, and nothing of common/. It keeps all that step 02
// promises, so the checker must accept it: see scripts/ci/fair.txt.

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int verbose;

static void tell(const char* who, const char* call) {
  if (verbose) fprintf(stderr, "%s%s\n", who, call);
}

// One line, and a status; `what` begins with the call.
static int fail(int status, const char* what, const char* name) {
  fprintf(stderr, "02-pidns: %s %s: %s\n", what, name, strerror(errno));
  return status;
}

static int child(char** command, const sigset_t* mask) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (chroot(".") == -1) return fail(125, "chroot(2)", ".");
  tell("[pid 1] ", "chroot(2) .");
  if (mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) ==
      -1)
    return fail(125, "mount(2)", "/proc");
  tell("[pid 1] ", "mount(2) /proc");
  sigprocmask(SIG_SETMASK, mask, NULL);
  execvp(command[0], command);
  return fail(errno == ENOENT ? 127 : 126, "execve(2)", command[0]);
}

// Whether the process has a handler for the signal.
static int has_handler(pid_t pid, int number) {
  char path[64];
  char line[256];
  unsigned long long caught = 0;
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  FILE* const file = fopen(path, "re");
  if (file == NULL) return 0;
  while (fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, "SigCgt:", 7) == 0) caught = strtoull(line + 7, NULL, 16);
  fclose(file);
  return (caught >> (number - 1) & 1) != 0;
}

static int ends_by_default(int number) {
  return strchr("\x11\x12\x13\x14\x15\x16\x17\x1c", number) == NULL;
}

// A signal for which the child has no handler would do nothing to its PID 1.
static int wait_for(pid_t pid, const sigset_t* all) {
  int status = 0;
  int ended_by = 0;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    struct sigaction action;
    const int number = sigwaitinfo(all, NULL);
    if (number < 1 || number == SIGCHLD) continue;
    sigaction(number, NULL, &action);
    if (action.sa_handler == SIG_IGN) continue;
    if (has_handler(pid, number)) {
      kill(pid, number);
    } else if (ends_by_default(number)) {
      kill(pid, SIGKILL);
      ended_by = number;
    }
  }
  if (ended_by != 0) return 128 + ended_by;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char** argv) {
  char shell[] = "sh";
  char* only_shell[] = {shell, NULL};
  int i = 1;
  for (; i < argc && argv[i][0] == '-'; ++i) {
    if (strcmp(argv[i], "--help") == 0) {
      puts(
          "usage: 02-pidns [OPTIONS] [ROOTFS [COMMAND]]\n\n-v  tell the calls");
      puts("Read pid_namespaces(7), clone(2), proc(5).");
      return 0;
    }
    if (strcmp(argv[i], "-v") != 0) {
      fprintf(stderr, "02-pidns: there is no option %s\n", argv[i]);
      return 125;
    }
    verbose = 1;
  }
  const char* const rootfs = i < argc ? argv[i++] : "build/rootfs";
  char** const command = i < argc ? argv + i : only_shell;

  sigset_t all;
  sigset_t before;
  signal(SIGCHLD, SIG_DFL);
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  if (chdir(rootfs) == -1) return fail(125, "chdir(2)", rootfs);
  char path[8192];
  snprintf(path, sizeof path, "open(2) %s/proc", rootfs);
  if (open("proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) == -1)
    return fail(125, path, "is a directory of a rootfs");
  const pid_t pid =
      (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
  if (pid == -1) return fail(125, "clone(2)", "CLONE_NEWPID");
  if (pid == 0) _exit(child(command, &before));
  tell("", "clone(2) CLONE_NEWPID");
  const int status = wait_for(pid, &all);
  umount2("proc", MNT_DETACH | UMOUNT_NOFOLLOW);
  return status;
}
