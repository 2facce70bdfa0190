"""Runs what a learner wrote, on a throw-away host: see scripts/host/host."""

import collections
import contextlib
import glob
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from learn.files import BUILD, own_rootfs, read

TIMEOUT_SECONDS = 90  # For one test, on a slow machine too.
MOST_OUTPUT = 1 << 24  # Bytes of output that anybody may wait for.
LEFT = 'host: left behind: '
GIVE_UP = threading.Event()  # Whoever waits for a program, ends it.


class Root:
    """How to run something as root."""
    command = [] if os.geteuid() == 0 else None
    is_known = False  # sudo(8) asks for a password, and prints a refusal: once is enough.

    @classmethod
    def find(cls):
        if cls.command is None and not cls.is_known and shutil.which('sudo') and (
                subprocess.run(['sudo', '-n', 'true'], stderr=subprocess.DEVNULL,
                               check=False).returncode == 0 or
                (sys.stdin.isatty() and
                 subprocess.run(['sudo', '-v'], check=False).returncode == 0)):
            cls.command = ['sudo']
        cls.is_known = True
        return cls.command is not None


def short(text, most=160):
    text = ' '.join(text.split())
    return text if len(text) <= most else text[:most - 3] + '...'


Outcome = collections.namedtuple('Outcome', 'status out err left')

# What an ordinary user may run more than they do, who has no host to be harmed.
MORE_PROCESSES = 500


def limit_processes():
    """One that forks without end is to come to its end, without root, too."""
    mine = sum(os.stat(path).st_uid == os.geteuid() for path in glob.glob('/proc/[0-9]*/task/*')
               if os.path.exists(path))
    _, most = resource.getrlimit(resource.RLIMIT_NPROC)
    limit = mine + MORE_PROCESSES
    resource.setrlimit(resource.RLIMIT_NPROC, (
        limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def on_a_host(root):
    """What is not finished may harm its host: so that is one made for it, if we may."""
    if not Root.find():
        return []
    return Root.command + ['scripts/host/host'] + (
        [] if root or os.geteuid() == 0 else ['--as', f'{os.geteuid()}:{os.getegid()}']) + [
            '--copy', f'{BUILD}/rootfs']


def run(command, root=False, timeout=TIMEOUT_SECONDS, **environment):
    """How it ended (status None: it did not), what it said, and what it has left on its
    host. Ends whatever it started."""
    words = on_a_host(root) + ['env'] + [
        f'{name}={value}' for name, value in environment.items()] + command
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
            preexec_fn=None if Root.find() else limit_processes) as process:
        status = wait_for(process, timeout, (out, err))
        texts = [written(file) for file in (out, err)]
    if not Root.find():
        end_orphans()
    left = [line.removeprefix(LEFT) for line in texts[1].splitlines() if line.startswith(LEFT)]
    return Outcome(status, *texts, left)


def written(file):
    file.seek(0)
    return file.read(MOST_OUTPUT).decode(errors='replace')


def wait_for(process, timeout, files):
    """Its status; None if it took too long, or printed too much. A ^C does not reach it: it
    has a session of its own."""
    give_up = time.monotonic() + timeout
    ended = os.pidfd_open(process.pid)
    try:
        while (not GIVE_UP.is_set() and time.monotonic() < give_up and
               sum(os.fstat(file.fileno()).st_size for file in files) < MOST_OUTPUT):
            if select.select([ended], [], [], 0.02)[0]:  # What prints fills a disk meanwhile.
                return process.wait()
    finally:
        os.close(ended)
        if process.poll() is None:
            end(process)
    return None


def end(process):
    """TERM is for scripts/host/host, which tidies up."""
    for name in ('TERM', 'KILL'):
        subprocess.run((Root.command if Root.find() else []) +
                       ['kill', f'-{name}', '--', f'-{process.pid}'],
                       stderr=subprocess.DEVNULL, check=False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
            return


def end_orphans():
    """What a program leaves in the background is given to us: see main()."""
    for pid in read('/proc/thread-self/children').split():
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(int(pid), signal.SIGKILL)
            os.waitpid(int(pid), 0)


def rootfs():
    """One to be spoilt, because a step that is not finished might do that. A throw-away host has a
    copy at this path."""
    return os.path.abspath(f'{BUILD}/rootfs') if Root.find() else own_rootfs()


def renew_rootfs():
    """Makes the copy where there is no such host."""
    if not Root.find():
        subprocess.run(['rm', '-rf', '--one-file-system', own_rootfs()], check=True)
        subprocess.run(['cp', '-ax', f'{BUILD}/rootfs', own_rootfs()], check=True)
