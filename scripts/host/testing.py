"""For the tests of programs: run one from a shell, as people do, on a host that may be harmed.

A test program ends with `testing.main()`. As root, that runs the tests on a host of their own:
see scripts/host/host. scripts/ci/shards gives each test of an OnAHost such a host, runs several at
a time, and takes what a test leaves behind there for a failure.
"""

import collections
import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from ci import summed

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
USER = 54321  # An id that nobody has.
AS_USER = f'setpriv --reuid {USER} --regid {USER} --clear-groups '
TIMEOUT_SECONDS = 60  # For what is to happen, on a slow machine too.
IS_ROOT = os.geteuid() == 0
os.environ['LC_ALL'] = 'C.UTF-8'  # The tests compare messages of coreutils(1), which are translated.
ON_A_HOST = 'TESTS_ON_A_HOST'  # In the environment: see scripts/host/host.
# What leaves a host without any of the package managers that we know.
TAKE_PACKAGE_MANAGERS = '''for name in apt-get dnf zypper pacman apk; do
  for place in /usr/bin /usr/sbin /usr/local/bin; do
    [ ! -e $place/$name ] || mount --bind /dev/null $place/$name
  done
done
'''

takes_minutes = unittest.skipUnless('ALL' in os.environ, 'it takes minutes: ALL=yes')
needs_root = unittest.skipUnless(IS_ROOT, 'it needs root')
asks_no_kernel = unittest.skipIf(
    'LAB' in os.environ, 'it asks no kernel, and takes long without KVM: it runs outside the lab')


class OnAHost(unittest.TestCase):
    """Tests of which each, as root, has a host of its own and leaves nothing behind there."""

    maxDiff = None
    before = None  # What each process that prepares a test does first.

    def scratch(self):
        """A directory that everybody may enter, removed at the end of the test."""
        path = tempfile.mkdtemp(prefix='box-test.', dir='/tmp')
        self.addCleanup(shutil.rmtree, path)
        os.chmod(path, 0o755)
        return path

    def must(self, line):
        """Runs what prepares a test: it has to succeed."""
        result = shell(line, self.before)
        self.assertEqual(result.status, 0, f'{line}: {result.err}')
        return result.out

    def running(self, line):
        """Starts a program in the background; it is ended with the test."""
        program = subprocess.Popen(['sh', '-c', 'exec ' + line], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        self.addCleanup(end, program)
        return program


Result = collections.namedtuple('Result', 'status out err')


def shell(line, before=None):
    """Runs a line under sh(1), with nothing on its standard input. Its process calls `before`
    first."""
    ended = subprocess.run(['sh', '-c', line], stdin=subprocess.DEVNULL, capture_output=True,
                           encoding='utf-8', errors='replace', check=False, preexec_fn=before)
    return Result(status(ended.returncode), ended.stdout, ended.stderr)


def status(code):
    """As a shell has it."""
    return code if code >= 0 else 128 - code


def finish(program):
    """Closes the pipes of a program in the background, waits, and returns its status."""
    program.stdin.close()
    code = program.wait()
    program.stdout.close()
    return status(code)


def end(program):
    if program.returncode is None:
        program.terminate()  # Only so can it tidy up.
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(TIMEOUT_SECONDS)
        program.kill()
        finish(program)


def contents(path):
    """Of a file; nothing if it cannot be read, as that of a process that has just ended."""
    with contextlib.suppress(OSError):
        with open(path, encoding='utf-8', errors='replace') as file:
            return file.read()
    return ''


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


def eventually(done):
    """Waits until `done` says so; False if that takes more than a minute."""
    give_up = time.monotonic() + TIMEOUT_SECONDS
    while not done():
        if time.monotonic() > give_up:
            return False
        select.select([], [], [], 0.005)
    return True


def comes_to_run(pid, name):
    """Waits until a process below `pid` runs the program `name`. A shell that is about to exec
    does not do: it may catch a signal and forget it."""
    def runs(above):
        return any(contents(f'/proc/{below}/comm') == name + '\n' or runs(below)
                   for below in contents(f'/proc/{above}/task/{above}/children').split())
    return eventually(lambda: runs(pid))


# ---- Running the tests -----------------------------------------------------------

def units():
    """What scripts/ci/shards runs apart: each test of an OnAHost, and each other class."""
    for suite in unittest.defaultTestLoader.loadTestsFromModule(sys.modules['__main__']):
        for test in suite:
            name = test.id().removeprefix('__main__.')
            yield name if isinstance(test, OnAHost) else name.partition('.')[0]


def main():
    """Runs the tests of the program, or those that are named; --units names them."""
    program = os.path.abspath(sys.argv[0])
    os.chdir(TOP)
    # nohup(1) ignores a signal, for example. The programs that we start would inherit that.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    os.environ['CCACHE_DISABLE'] = 'yes'  # Where it is the compiler, it would leave files behind.
    if sys.argv[1:] == ['--units']:
        print('\n'.join(dict.fromkeys(units())))
    elif IS_ROOT and ON_A_HOST not in os.environ:
        host = TOP + '/scripts/host/host'
        os.execv(host, [host, '--no-limits', program, *sys.argv[1:]])
    else:
        summed.main()
