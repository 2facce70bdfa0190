#!/usr/bin/python3
"""Tests of the demo, with us at its keyboard. Ends with a line that sums all.

  usage   scripts/talk/demo_test.py [TEST...]
  needs   root, else most are skipped; scripts/setup slides, make build rootfs
"""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from talk import deck, recording


class Usage(unittest.TestCase):
    def test_the_demo_refuses_what_it_cannot_do(self):
        for words in ([], ['99'], ['01', '02']):
            result = subprocess.run([deck.TOP + '/scripts/demo', *words], capture_output=True,
                                    text=True, check=False, stdin=subprocess.DEVNULL)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn('usage', result.stderr)


@unittest.skipIf(os.geteuid() != 0, 'it takes root')
class Show(unittest.TestCase):
    def setUp(self, step='02'):
        self.home = tempfile.mkdtemp(prefix='demo_test.')
        self.addCleanup(shutil.rmtree, self.home)
        os.mkdir(self.home + '/tmp')
        os.chmod(self.home, 0o755)  # An ordinary user's demo reads there, too.
        # Another demo may be on.
        self.environment = {**os.environ, 'TMUX_TMPDIR': self.home, 'TMPDIR': self.home + '/tmp'}
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # A shell in the background ignores it.
            os.chdir(deck.TOP)
            os.execve('scripts/demo', ['scripts/demo', step], self.environment)
        self.said = ''
        self.ended = False
        self.addCleanup(self.end)

    def end(self):
        self.hang_up()
        if not self.ended:
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)

    def hang_up(self):
        if self.file is not None:
            os.close(self.file)
            self.file = None

    def read(self):
        if not select.select([self.file], [], [], 60)[0]:
            self.fail(f'it says nothing any more, but said:\n{self.said}')
        try:
            data = os.read(self.file, 65536)
        except OSError:  # It has ended.
            return False
        self.said += data.decode(errors='replace')
        return True

    def until(self, words):
        """Reads on until it says this, and forgets what it has said."""
        while words not in self.said:
            self.assertTrue(self.read(), f'it ended before "{words}":\n{self.said}')
        before, _, self.said = self.said.partition(words)
        return before

    def press(self, key):
        os.write(self.file, key.encode())

    def status(self):
        while self.file is not None and self.read():
            pass
        self.ended = True
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def tmux(self, *words):
        return subprocess.run(['tmux', '-L', 'demo', *words], capture_output=True, text=True,
                              check=False, env=self.environment).stdout

    def open_container(self):
        self.until(' 1 of ')
        self.press(' ')
        self.until('typed; space runs it')
        self.press(' ')
        self.until(' 2 of ')

    def living(self):
        """Processes on the demo's host: files of its directory are mounted there."""
        found = []
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{pid}/mountinfo', encoding='utf-8') as file:
                    if self.home in file.read():
                        found.append(pid)
            except OSError:  # It has ended.
                continue
        return found

    def nothing_is_left(self):
        self.assertEqual(self.tmux('list-sessions'), '')
        self.assertEqual(os.listdir(self.home + '/tmp'), [])
        self.assertEqual(self.living(), [])

    def test_it_leaves_nothing_however_it_ends(self):
        for stop in (lambda: self.press('\x03'), lambda: os.kill(self.pid, signal.SIGTERM),
                    self.hang_up):
            self.open_container()
            self.assertGreater(len(self.living()), 3)
            stop()
            self.status()
            self.nothing_is_left()
            self.doCleanups()
            self.setUp()

    def show_all(self, step):
        number = sum(len(commands) for _, commands in recording.of_step(step))
        said = self.until(f' 1 of {number}')
        for at in range(number):
            self.press(' ')
            said += self.until('typed; space runs it')
            self.press(' ')
            said += self.until(f'{at + 2} of {number}' if at + 1 < number else 'That was it')
        self.assertNotIn('v plays the recording', said)

    def test_an_ordinary_users_demo(self):
        self.doCleanups()
        self.setUp('05')
        self.show_all('05')
        self.press('q')
        self.assertEqual(self.status(), 0)
        self.nothing_is_left()

    def test_the_last_demo_with_all_that_can_be_typed(self):
        self.doCleanups()
        self.setUp('08')
        self.show_all('08')
        self.press('\x03')
        self.assertEqual(self.status(), 130)  # The demo after it does not begin.
        self.nothing_is_left()

    def test_the_first_demo_ends_with_the_escape(self):
        self.doCleanups()
        self.setUp('01')
        self.show_all('01')
        self.assertIn('/home/you', self.tmux('capture-pane', '-p', '-t', 'demo.1'))
        self.press('q')
        self.assertEqual(self.status(), 0)
        self.nothing_is_left()

    def test_it_shows_all_and_leaves_nothing(self):
        self.show_all('02')
        self.assertIn('pid:[', self.tmux('capture-pane', '-p', '-t', 'demo.0'))
        self.assertIn('NSpid', self.tmux('capture-pane', '-p', '-t', 'demo.1'))
        self.assertEqual(self.tmux('list-panes', '-t', 'demo', '-F', '#{@title}'),
                         'container\nhost\n')
        self.press('q')
        self.assertEqual(self.status(), 0)
        self.nothing_is_left()

    def test_who_watches_sees_one_demo_after_another(self):
        pid, file = pty.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # A shell in the background ignores it.
            os.chdir(deck.TOP)
            os.execve('scripts/demo', ['scripts/demo', '--watch'], {**self.environment, 'TERM': 'xterm'})
        self.addCleanup(os.close, file)
        self.addCleanup(lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        self.addCleanup(lambda: os.write(file, b'\x03'))

        def seen(words):
            text = b''
            while words not in text:
                self.assertTrue(select.select([file], [], [], 60)[0], text)
                text += os.read(file, 65536)
        seen(b'container')
        self.until(' 1 of ')
        # A terminal of 80 columns has one pane below the other, whenever it came.
        end = time.monotonic() + 60
        while len(set(self.tmux('list-panes', '-t', 'demo', '-F', '#{pane_top}').split())) == 1:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)
        self.press('q')
        self.assertEqual(self.status(), 0)
        seen(b'The next demo appears here')

    def test_what_is_not_as_in_the_text_is_told(self):
        self.until(' 1 of ')
        self.press(' ')  # Opens the container.
        self.until('typed; space runs it')
        self.press(' ')
        self.until(' 2 of ')
        self.tmux('send-keys', '-t', 'demo.0', 'echo() { busybox echo other; }', 'Enter')
        self.press(' ')
        self.until('typed; space runs it')
        self.press(' ')
        self.until('not as in the text')
        self.until('v plays the recording')
        self.until(' 3 of ')  # Keys that come before are dropped.
        self.press('v')
        self.until('any key ends it')
        self.assertIn('recording', self.tmux('list-windows', '-F', '#{window_name}'))
        self.press(' ')  # Ends it, and does nothing else.
        self.press('b')
        self.until(' 2 of ')
        self.assertNotIn('recording', self.tmux('list-windows', '-F', '#{window_name}'))
        self.press('q')
        self.assertEqual(self.status(), 0)

    def test_what_the_audience_does_to_the_panes_is_no_hindrance(self):
        self.until(' 1 of ')
        # A line that is not finished, the mouse's wheel, and a shell too many that is left.
        self.tmux('send-keys', '-t', 'demo.0', 'half a line ')
        self.tmux('send-keys', '-t', 'demo.1', 'exit', 'Enter')
        self.tmux('copy-mode', '-t', 'demo.0')
        self.press(' ')
        self.until('typed; space runs it')
        self.press(' ')
        self.until(' 2 of ')
        self.press('n')
        said = self.until(' 5 of ')
        self.tmux('send-keys', '-t', 'demo.0', 'exit', 'Enter')
        for at in range(6, 11):
            self.press(' ')
            said += self.until('typed; space runs it')
            self.press(' ')
            said += self.until(f' {at} of ')
        self.assertNotIn('not as in the text', said)
        self.press('q')
        self.assertEqual(self.status(), 0)

    def test_keys_pressed_too_early_do_nothing_but_one_that_ends(self):
        self.until(' 1 of ')
        self.press(' ' * 20)
        self.until('typed; space runs it')
        self.press('  q')
        said = self.until(' 2 of ')
        self.assertNotIn('typed;', said)
        self.assertEqual(self.status(), 0)
        self.assertNotIn('typed;', self.said)

    def test_back_skip_and_again(self):
        self.until(' 1 of ')
        self.press('s')
        self.until(' 2 of ')
        self.press('b')
        self.until(' 1 of ')
        self.press(' ')
        self.until('typed')
        self.press(' ')
        self.until(' 2 of ')
        self.press('r')
        self.until('typed; space runs it')
        self.until(' 2 of ')
        self.press('q')
        self.assertEqual(self.status(), 0)

    def test_another_container_has_other_numbers_and_none_is_told_of(self):
        self.until(' 1 of ')
        self.press('n')
        said = self.until(' 5 of ')
        for again in (False, True):
            if again:
                self.tmux('send-keys', '-t', 'demo.0', 'exit', 'Enter')
                for at in (7, 6, 5):
                    self.press('b')
                    said += self.until(f' {at} of ')
            for at in (5, 6, 7):
                self.press(' ')
                said += self.until('typed; space runs it')
                self.press(' ')
                said += self.until(f' {at + 1} of ')
        self.assertNotIn('not as in the text', said)
        self.press('q')
        self.assertEqual(self.status(), 0)


summed.main()
