"""The host that is attacked in one cell of the matrix, with its files and processes, and how a cell
looks at it."""

import collections
import contextlib
import ctypes
import fcntl
import os
import platform
import random
import re
import secrets
import signal
import socket
import struct
import subprocess
import tempfile
import threading

from host.namespaces import LIBC, call, new_session_keyring

USER = 54321  # No account has this id.
# A file of the host. It is not below /tmp, because a mount of a step would hide it there.
SECRET = '/mnt/secret'
HITS, REFUSED, OWN, BROKEN = 'hits the host', 'refused', 'its own', 'broken'


def make_disk(path, text):
    """A descriptor of a loop device with `text` on it. The device ends with the descriptor. None if
    this machine has no loop device, or does not permit one."""
    with open(path, 'w', encoding='ascii') as file:
        file.write(text.ljust(4096, '\n'))
    try:
        with open('/dev/loop-control', 'rb') as control, open(path, 'rb') as file:
            for _ in range(10):  # Another program might take it first.
                number = fcntl.ioctl(control, 0x4C82)  # LOOP_CTL_GET_FREE
                disk = os.open(f'/dev/loop{number}', os.O_RDONLY | os.O_CLOEXEC)
                # loop_config in linux/loop.h: only lo_flags are of interest,
                # LO_FLAGS_READ_ONLY and LO_FLAGS_AUTOCLEAR.
                config = struct.pack('II52xI176x64x', file.fileno(), 0, 1 | 4)
                with contextlib.suppress(BlockingIOError, OSError):
                    fcntl.ioctl(disk, 0x4C0A, config)  # LOOP_CONFIGURE
                    return disk
                os.close(disk)
    except OSError:
        pass
    return None


def add_key(name, text):
    """Puts a key into a new session keyring, which ends with this process."""
    calls = {'x86_64': 248, 'aarch64': 217}
    if platform.machine() not in calls:
        raise OSError(f'no numbers for {platform.machine()}')
    new_session_keyring()
    call('syscall', calls[platform.machine()], b'user', name.encode(), text.encode(), len(text),
         -3)  # KEY_SPEC_SESSION_KEYRING


def make_segment(text):
    """Makes a System V segment that all users can read. Returns its key."""
    key = random.randrange(1, 1 << 31)
    LIBC.shmat.restype = ctypes.c_void_p
    segment = call('shmget', key, 4096, 0o1000 | 0o644)  # IPC_CREAT
    ctypes.memmove(LIBC.shmat(segment, None, 0), text.encode(), len(text))
    return key


def listen(address, text):
    """Sends `text` to each program that connects."""
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    ear = socket.socket(family)
    ear.bind(address)
    ear.listen()

    def answer():
        while True:
            caller, _ = ear.accept()
            caller.sendall(text.encode() + b'\n')
            caller.close()

    threading.Thread(target=answer, daemon=True).start()
    return ear.getsockname()


def read(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()


def pids():
    return [int(name) for name in os.listdir('/proc') if name.isdigit()]


def status_of(pid):
    """The fields of /proc/PID/status; none if the process has just ended."""
    with contextlib.suppress(OSError):
        return dict(re.findall(r'^(\w+):\s*(.*)$', read(f'/proc/{pid}/status'), re.M))
    return {}


# not_decided: why this host cannot decide the cell, or None. without: the walls that were left out.
Cell = collections.namedtuple(
    'Cell', 'who step attack verdict tried answer saw notes not_decided without',
    defaults=[None, ()])


class Host:
    """The host of one cell, as the process of this cell sees it."""

    def __init__(self, place, who, step, attack, probe, without):
        self.place, self.who, self.step, self.without = place, who, step, without
        self.attack, self.probe = attack, probe  # The probe of the step that has this attack.
        self.secret = read(SECRET)
        self.name = 'm' + secrets.token_hex(4)  # For what an attack makes.
        self.rootfs = f'{place}/rootfs-{who}'

    def victim(self):
        """Starts a process in the caller's process group. Returns its PID, and a function that asks
        whether it lives."""
        question, ask = os.pipe()
        hear, answer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ask)
            os.close(hear)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG])
            call('prctl', 15, self.name.encode())  # PR_SET_NAME
            if self.who == 'user':
                os.setgroups([])
                os.setresgid(USER, USER, USER)
                os.setresuid(USER, USER, USER)
            os.write(answer, b'.')
            while os.read(question, 1):
                os.write(answer, b'.')
            os._exit(0)
        os.close(question)
        os.close(answer)
        os.read(hear, 1)

        def lives():  # A process that was killed cannot answer.
            with contextlib.suppress(BrokenPipeError):
                os.write(ask, b'.')
            return os.read(hear, 1) != b''
        return pid, lives

    def options(self):
        # An ordinary user has no cgroup, and 07 needs one.
        return (['--memory', 'none'] if (self.who, self.step[:2]) == ('user', '07') else []) + [
            '--without=' + wall for wall in self.without]

    def attacker(self):
        """The PID on the host of the probe in the container."""
        for pid in pids():
            with contextlib.suppress(OSError):
                if read(f'/proc/{pid}/comm').startswith('probe-'):
                    return pid
        return None

    def run(self, argument, look, stdin=subprocess.PIPE, stderr=None, descriptors=()):
        """Runs the probe in the step, looks at the host while the probe waits,
        and says how it went. `look` gets the probe's line, and returns whether
        the host was hit, and what it saw."""
        user = {'user': USER, 'group': USER, 'extra_groups': []}
        words = ([f'{self.place}/{self.step}'] + self.options() +
                 # Right in the rootfs, where a step begins, and in a new root.
                 [self.rootfs, f'bin/probe-{self.probe}', self.attack, str(argument)])
        notes = tempfile.TemporaryFile('w+', encoding='utf-8', errors='replace')
        box = subprocess.Popen(
            words, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr or notes,
            pass_fds=descriptors, encoding='utf-8', errors='replace', cwd='/',
            **(user if self.who == 'user' else {}))
        try:
            line = box.stdout.readline(4096).rstrip('\n')
            hit, saw = look(line)
            if box.stdin:
                box.stdin.close()
            status = box.wait()
        except TimeoutError:
            box.terminate()  # So that it can remove its cgroup.
            with contextlib.suppress(subprocess.TimeoutExpired):
                box.wait(5)
            raise
        notes.seek(0)
        if not line and status - 128 in (signal.SIGKILL, signal.SIGSYS):
            line, status = 'killed by ' + signal.Signals(status - 128).name, 1
        said = {0: OWN, 1: REFUSED}.get(status, BROKEN) if line else BROKEN
        verdict = HITS if hit else said
        if verdict == BROKEN:
            saw = f'the probe did not run: exit status {status}'
        # Readers do not need what changes from run to run.
        hidden = re.sub('(^| )' + re.escape(self.place) + '/', r'\1', ' '.join(words))
        return Cell(self.who, self.step[:2], self.attack, verdict, hidden, line, saw,
                    notes.read())

    def tells(self, argument, **others):
        """Runs a probe that tries to read the host's secret."""
        def look(line):
            if self.secret in line:
                return True, 'its secret in what the probe says'
            return False, 'its secret kept'
        return self.run(argument, look, **others)
