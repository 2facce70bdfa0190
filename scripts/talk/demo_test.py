#!/usr/bin/python3
"""Tests of the demo, with us at its keyboard. Ends with a line that sums all.

  usage   scripts/talk/demo_test.py [TEST...]
  needs   root, else most are skipped; scripts/setup slides, make build rootfs
"""

import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from talk import deck, recording
from texts import palette, sources


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

    def run_next(self, at):
        """Types the next command and runs it; at is the one behind it. What was said."""
        self.press(' ')
        said = self.until('typed; space runs it')
        self.press(' ')
        return said + self.until(f' {at} of ')

    def open_container(self):
        """The second part's, which begins with the eighth command."""
        self.until(' 1 of ')
        self.press('n')
        self.until(' 8 of ')
        self.run_next(9)

    def shown(self, pane, words):
        """Waits until a pane shows this at its end."""
        end = time.monotonic() + 60
        while not self.tmux('capture-pane', '-p', '-t', pane).rstrip().endswith(words):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

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
        for stop in (lambda: self.press('\x03\x03'), lambda: os.kill(self.pid, signal.SIGTERM),
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
        self.assertNotIn('not as in the text', said)

    def test_the_demo_of_two_users(self):
        self.doCleanups()
        self.setUp('03')
        self.show_all('03')
        self.press('q')
        self.assertEqual(self.status(), 0)
        self.nothing_is_left()

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
        self.press('\x03\x03')
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
                         'container · 02 · Look from outside\nhost · 02\n')
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

        fcntl.ioctl(file, termios.TIOCSWINSZ, struct.pack('4H', 24, 80, 0, 0))
        text = b''

        def seen(words):
            nonlocal text
            while words not in text:
                self.assertTrue(select.select([file], [], [], 60)[0], text)
                text += os.read(file, 65536)
            text = text.partition(words)[2]
        seen(b'80 columns, 24 lines: a smaller font, please. The demos need 84 and 22.')
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

    def test_a_container_that_has_ended_is_told_and_opened_again(self):
        self.open_container()
        self.tmux('send-keys', '-t', 'demo.0', 'exit', 'Enter')
        self.shown('demo.0', 'host#')
        said = self.run_next(10)
        self.assertIn('the container has ended: new panes are opened', said)
        self.assertNotIn('not as in the text', said)
        self.assertIn('box# echo $$', self.tmux('capture-pane', '-p', '-t', 'demo.0'))
        # Also one that ends between the two keys.
        self.press(' ')
        self.until('typed; space runs it')
        self.tmux('send-keys', '-t', 'demo.0', 'C-u', 'exit', 'Enter')
        self.shown('demo.0', 'host#')
        self.press(' ')
        said = self.until('typed; space runs it')
        self.assertIn('the container has ended', said)
        self.press(' ')
        self.assertNotIn('not as in the text', self.until(' 11 of '))

    def test_nothing_for_the_host_is_typed_in_a_container(self):
        self.until(' 1 of ')
        self.tmux('send-keys', '-t', 'demo.0', 'build/02-pidns', 'Enter')
        self.shown('demo.0', 'box#')
        self.run_next(2)  # In the other pane.
        said = self.run_next(3)
        self.assertIn('a container is still open: new panes are opened', said)

    def test_a_closed_pane_comes_again_and_the_part_goes_on(self):
        self.open_container()
        for pane, at in (('demo.1', 10), ('demo.0', 11)):
            self.tmux('kill-pane', '-t', pane)
            said = self.run_next(at)
            self.assertIn('a pane has been closed: new panes are opened', said)
            self.assertNotIn('not as in the text', said)
        subprocess.run(['tmux', '-L', 'demo', 'kill-server'], check=False, env=self.environment)
        self.assertIn('a pane has been closed', self.run_next(12))
        self.press('o')
        self.until('new panes')
        self.press('q')
        self.assertEqual(self.status(), 0)
        self.nothing_is_left()

    def test_a_shell_that_was_killed_is_no_hindrance(self):
        self.open_container()
        for at in (10, 11):
            for pid in self.living():
                if sources.read(f'/proc/{pid}/comm') == 'bash\n':
                    os.kill(int(pid), signal.SIGKILL)
            self.assertNotIn('not as in the text', self.run_next(at))
        self.press('q')
        self.assertEqual(self.status(), 0)
        self.nothing_is_left()

    def test_a_projector_of_another_size_and_a_laptop_that_slept(self):
        self.open_container()
        self.tmux('resize-window', '-t', 'demo', '-x', '60', '-y', '16')
        self.assertNotIn('not as in the text', self.run_next(10))
        self.tmux('resize-window', '-t', 'demo', '-x', '200', '-y', '50')
        self.assertNotIn('not as in the text', self.run_next(11))
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in self.living():
                os.kill(int(pid), number)
            time.sleep(1)
        self.assertNotIn('not as in the text', self.run_next(12))

    def hang(self):
        self.open_container()
        self.tmux('send-keys', '-t', 'demo.0', 'echo() { sleep 1000; }', 'Enter')
        self.press(' ')
        self.until('typed; space runs it')
        self.press(' ')
        self.until('waiting for the prompt (^C: to the pane; q: leave)')

    def test_interrupting_a_command_that_hangs(self):
        self.hang()
        self.press('\x03')
        self.until('^C is sent to the pane; ^C again ends the demo')
        self.until(' 10 of ')
        time.sleep(2)  # Later it is no second one.
        self.press('\x03')
        self.until('^C again ends the demo')
        self.press('\x03')
        self.assertEqual(self.status(), 130)
        self.nothing_is_left()

    def test_leaving_a_command_that_hangs(self):
        self.hang()
        self.press('q')
        self.assertEqual(self.status(), 0)
        self.nothing_is_left()

    def test_the_panes_have_the_colour_of_the_step_and_no_banner(self):
        self.open_container()
        self.assertEqual(self.tmux('list-panes', '-t', 'demo', '-F', '#{@title}, #{@colour}').splitlines(),
                         [f'container · 02 · Run it, {palette.layers()["02"]}',
                          f'host · 02, {palette.colours()["quiet"]}'])
        self.shown('demo.0', 'box#')
        seen = self.tmux('capture-pane', '-p', '-e', '-t', 'demo.0')
        red, green, blue = (int(palette.layers(True)['02'][n:n + 2], 16) for n in (1, 3, 5))
        self.assertIn(f'38;2;{red};{green};{blue}mbox#', seen.replace(':', ';'))
        self.assertNotIn('BusyBox', seen)
        self.assertEqual(len(self.tmux('capture-pane', '-p', '-t', 'demo.0').split('\n')[:2]), 2)
        self.assertIn('build/02-pidns\nbox#', self.tmux('capture-pane', '-p', '-t', 'demo.0'))

    def test_what_is_not_as_in_the_text_is_told(self):
        self.open_container()
        self.tmux('send-keys', '-t', 'demo.0', 'echo() { busybox echo other; }', 'Enter')
        self.press(' ')
        self.until('typed; space runs it')
        self.press(' ')
        self.until('not as in the text')
        self.until('V in the slides plays the recording')
        self.until(' 10 of ')
        self.press('q')
        self.assertEqual(self.status(), 0)

    def test_what_the_audience_does_to_the_panes_is_no_hindrance(self):
        self.until(' 1 of ')
        self.press('n')
        self.until(' 8 of ')
        # A line that is not finished, the mouse's wheel, and a shell too many that is left.
        self.tmux('send-keys', '-t', 'demo.0', 'half a line ')
        self.tmux('send-keys', '-t', 'demo.1', 'exit', 'Enter')
        self.tmux('copy-mode', '-t', 'demo.0')
        self.run_next(9)
        self.press('n')
        said = self.until(' 12 of ')
        self.tmux('send-keys', '-t', 'demo.0', 'exit', 'Enter')
        for at in range(13, 18):
            said += self.run_next(at)
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

    def test_back_and_skip(self):
        self.until(' 1 of ')
        self.press('s')
        self.until(' 2 of ')
        self.press('b')
        self.until(' 1 of ')
        self.press(' ')
        self.until('typed')
        self.press(' ')
        self.until(' 2 of ')
        self.press('q')
        self.assertEqual(self.status(), 0)

    def test_another_container_has_other_numbers_and_none_is_told_of(self):
        self.until(' 1 of ')
        self.press('nn')
        said = self.until(' 12 of ')
        for again in (False, True):
            if again:
                self.tmux('send-keys', '-t', 'demo.0', 'exit', 'Enter')
                for at in (14, 13, 12):
                    self.press('b')
                    said += self.until(f' {at} of ')
            for at in (13, 14, 15):
                said += self.run_next(at)
        self.assertNotIn('not as in the text', said)
        self.press('q')
        self.assertEqual(self.status(), 0)


summed.main()
