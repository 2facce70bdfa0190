"""Shows a step live: types what its README says, at a key, in two panes.

  usage   sudo scripts/demo NN
          sudo scripts/demo --watch    what the audience sees, one demo after another
  needs   root, tmux; make build rootfs

This terminal is yours: it shows what comes next and why. The audience sees another one, of 84
columns and 22 lines, in which `sudo scripts/demo --watch` waits for the next demo.

Space types the next command, space again runs it; then it waits for the prompt, and tells if
what came is not what the text says. s skips a command, n all that is left of a part, b goes back
by one, o opens the part's panes anew, and q ends. ^C goes to the pane; a second ^C ends it all.

The panes are ordinary shells: type in them by hand whenever you like. Whatever stands at the
prompt then is taken back. If a container has ended, or a pane has been closed, the demo says so,
opens new panes and runs again what came before in the part. A part begins with new panes.

It runs on a host made for it, and nothing of that is left behind: see
scripts/texts/sandbox.py.
"""

import contextlib
import dataclasses
import glob
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import textwrap
import time
import tty

from pexpect import fdpexpect

from host import namespaces
from talk import recording
from texts import palette, reading, sandbox, shells, transcript

STOPPED = 130  # As a shell tells of ^C: make does not go on.
TMUX = ['tmux', '-L', 'demo']
INTERRUPT, ENDING = '\x03', ('q', '\x04')  # Keys.
KEY = 0.03  # Seconds.
PLAN_B = 'V in the slides plays the recording'
TIMEOUT_SECONDS = 20  # For tmux.
PATIENCE_SECONDS = 3  # Then the presenter is told what it waits for.
TWICE_SECONDS = 2     # Between two ^C that end.


CONFIG = """\
set -g status off
set -g mouse on
set -g prefix None
set -g pane-border-status top
set -g pane-border-format '#[bold,fg=#ffffff,bg=#{@colour}] #{@title} '
set -g pane-active-border-style fg=default
set -g default-terminal screen
set -g window-size latest
set -g terminal-overrides xterm*:Tc  # The colours as they are: a dark green is no grey.
"""


class Ended(Exception):
    """By a key, with the status of the program."""


def tmux(*words):
    try:
        result = subprocess.run([*TMUX, *words], capture_output=True, text=True,
                                check=False, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        raise shells.Failure(f'tmux {words[0]}: no end after {TIMEOUT_SECONDS} s') from None
    if result.returncode:
        raise shells.Failure(f'tmux {words[0]}: {result.stderr.strip()}')
    return result.stdout.strip()


def is_on():
    return subprocess.run([*TMUX, 'has-session'], capture_output=True, check=False).returncode == 0


class Pane(shells.Shell):
    """A shell in a pane of tmux: typed to through tmux, and heard through a pipe."""

    def __init__(self, name, scratch, sign, meanwhile, above=None):
        # Its shell starts when the pipe is there, so that the first prompt is heard.
        self.name, self.meanwhile, self.began = name, meanwhile, None
        self.inside, self.lost, self.key = False, False, KEY
        wait = f'tmux wait-for {name}; while :; do "$@"; done'
        words, environment = sandbox.shell_words(scratch, sign, 'tmux')
        command = shlex.join(['sh', '-c', wait, 'sh', 'env', '-i',
                              *(f'{k}={v}' for k, v in environment.items()), *words])
        made = ['split-window', '-t', above.pane] if above else \
            ['new-window', '-t', 'demo'] if is_on() else \
            ['-f', f'{scratch}/tmux.conf', 'new-session', '-s', 'demo',
             '-x', f'{recording.COLUMNS}', '-y', f'{recording.LINES}']
        self.pane = tmux(*made, '-d', '-P', '-F', '#{pane_id}', command)
        pipe = f'{scratch}/pane-{time.monotonic_ns()}'  # Of a new server, too, the first is %0.
        os.mkfifo(pipe, 0o600)
        self.process = fdpexpect.fdspawn(os.open(pipe, os.O_RDWR | os.O_CLOEXEC), **shells.DECODING)
        tmux('pipe-pane', '-t', self.pane, f'exec cat >{pipe}')

    def start(self):
        self.wait_for_size()
        tmux('wait-for', '-S', self.name)
        self.wait()

    def wait_for_size(self):
        """tmux gives a terminal the size of its pane a moment later, and bash would then print its
        prompt a second time."""
        *size, path = tmux('display-message', '-p', '-t', self.pane,
                           '#{pane_width} #{pane_height} #{pane_tty}').split()
        terminal = os.open(path, os.O_RDONLY | os.O_NOCTTY)
        end = time.monotonic() + TIMEOUT_SECONDS
        while os.get_terminal_size(terminal) != tuple(map(int, size)) and time.monotonic() < end:
            time.sleep(0.01)
        os.close(terminal)

    def is_there(self):
        return self.pane in tmux('list-panes', '-s', '-t', 'demo', '-F', '#{pane_id}').split()

    def type(self, text):
        if not text.startswith('\x1b'):  # tmux itself says where the cursor is.
            for key in text:
                # tmux takes a ; at the end of a word for the end of its own command.
                self.send(*(['Enter'] if key == '\n' else ['-l', '\\;' if key == ';' else key]))
                time.sleep(self.key)

    def send(self, *keys):
        """To what runs in the pane, also if somebody has scrolled it with the mouse."""
        tmux('if-shell', '-F', '-t', self.pane, '#{pane_in_mode}',
             f'send-keys -t {self.pane} -X cancel', ';', 'send-keys', '-t', self.pane, *keys)

    def wait(self, seconds=30):
        self.began, self.lost = time.monotonic(), True
        try:
            text = super().wait(seconds)
            self.lost = False
            return text
        finally:
            self.began = None

    def read(self, before=''):
        text = super().read(before)
        if self.began:
            self.meanwhile(time.monotonic() - self.began)
        return text

    def listen(self):
        """What has been done by hand: is the shell in a container now?"""
        text = self.read()
        plain = shells.ESCAPES.sub('', text.rpartition(shells.MARK)[2])
        if '\nbox# ' in '\n' + plain:  # Something may be typed behind it.
            self.inside, self.lost = True, False
        elif shells.MARK in text:
            self.inside, self.lost = False, False


def set_up(scratch, step, heading, sign, meanwhile):
    """Two new panes, titled, in the colour of the step. What was there before goes."""
    old = tmux('list-windows', '-t', 'demo', '-F', '#{window_id}').split() if is_on() else []
    panes = {'box': Pane('box', scratch, sign, meanwhile)}
    panes['host'] = Pane('host', scratch, sign, meanwhile, panes['box'])
    for name, pane in panes.items():
        colour = palette.layers()[step] if name == 'box' else palette.colours()['quiet']
        title = f'{recording.TITLES[name]} · {step}' + (f' · {heading}' if name == 'box' else '')
        for option, value in (('@title', title), ('@colour', colour)):
            tmux('set-option', '-p', '-t', pane.pane, option, value)
    for window in old:
        tmux('kill-window', '-t', window)
    for pane in panes.values():
        pane.start()
    return panes


def dress(scratch, step):
    """The prompts of the demo's host in their colours, and the container's shell without its
    banner: five lines that it prints before it reads its profile."""
    sandbox.write(f'{scratch}/tmux.conf', CONFIG)
    red, green, blue = (int(palette.layers(True)[step][n:n + 2], 16) for n in (1, 3, 5))
    with open(f'{scratch}/bashrc', 'a', encoding='utf-8') as file:
        file.write(rf"PS1='\[\e[1;36m\]host\$\[\e[0m\] \[{shells.MARK}\]'" + '\n')
    for profile in glob.glob(f'{scratch}/rootfs-*/etc/profile'):
        with open(profile, 'a', encoding='utf-8') as file:
            file.write(rf"PS1='\[\e[1;38;2;{red};{green};{blue}m\]box#\[\e[0m\] '" + '\n'
                       r"case $- in *i*) printf '\033[5A\033[J' ;; esac" + '\n')


class Demo:
    def __init__(self, step, text, scratch):
        parts = recording.of_text(text)
        self.step, self.scratch = step, scratch
        self.commands = [
            (heading, dataclasses.replace(command, expected=recording.told_here(command)))
            for heading, commands in parts for command in commands]
        self.reading = reading.Reading(transcript.parse(text), self)
        self.panes, self.opened = {}, None  # Of which part the panes are.
        self.at, self.is_typed = 0, False  # The next command, and whether it stands at the prompt.
        self.late = False  # A key that ends came while it was busy.
        self.interrupted, self.told = 0, False  # When ^C came; whether it was said that it waits.
        dress(scratch, step)
        self.open()

    def pane(self):
        return self.panes[recording.pane_of(self.commands[self.at][1])]

    def show(self):
        if self.at == len(self.commands):
            print('\n  That was it. q ends, b goes back.')
            return
        heading, command = self.commands[self.at]
        print(f'\n\x1b[2m{self.step} · {heading} · {self.at + 1} of {len(self.commands)}\x1b[0m')
        # One sentence leads to several commands: it is told once.
        if command.before and (self.at == 0 or
                               self.commands[self.at - 1][1].before != command.before):
            print(textwrap.fill(command.before, shutil.get_terminal_size().columns - 1,
                                initial_indent='  ', subsequent_indent='  '))
        print(f'  \x1b[7m {recording.TITLES[recording.pane_of(command)]} \x1b[0m '
              f'\x1b[1m{command.place}{command.sign} ' +
              '\n> '.join(self.reading.typed_today(command)) + '\x1b[0m')
        for line in command.expected[:4]:
            print(f'  \x1b[2m{line}\x1b[0m')

    def open(self):
        """New panes for the part of the next command, where all before it has been run again."""
        here, self.opened, self.is_typed = self.at, self.commands[self.at][0], False
        first = next(n for n, (heading, _) in enumerate(self.commands) if heading == self.opened)
        sandbox.run('hostname', 'host')  # A part may have given it another.
        self.panes = set_up(self.scratch, self.step, self.opened, self.commands[first][1].sign,
                            self.meanwhile)
        try:
            for self.at in range(first, here):
                self.pane().key = 0
                self.reading.run(self.commands[self.at][1])
                self.pane().key = KEY
        finally:
            self.at = here

    def trouble(self):
        """Why the next command cannot be typed; '' if it can."""
        heading, command = self.commands[self.at]
        if not is_on() or not all(pane.is_there() for pane in self.panes.values()):
            return 'a pane has been closed'
        for pane in self.panes.values():
            pane.listen()
        if heading != self.opened:
            return 'a new part'
        if self.pane().lost:
            return 'the prompt has not come back'
        if self.pane().inside == (command.place == 'box'):
            return ''
        return 'a container is still open' if self.pane().inside else 'the container has ended'

    def go_on(self):
        """Types the next command; the next time, runs it."""
        if self.at == len(self.commands):
            return
        if why := self.trouble():
            if why != 'a new part':
                print(f'  \x1b[33m{why}: new panes are opened\x1b[0m', flush=True)
            self.open()
        command = self.commands[self.at][1]
        if not self.is_typed:
            self.is_typed = True
            self.pane().send('C-u')  # What somebody has left there.
            self.pane().type(self.reading.typed_today(command)[0])
            self.drop_keys()
            print('  typed; space runs it')
            return
        _, why = self.reading.run(command)
        if why:
            print(f'  \x1b[31mnot as in the text: {why}\x1b[0m\n  {PLAN_B}')
        self.drop_keys()
        self.is_typed = False
        self.at += 1
        self.show()

    def run(self, _, typed):
        """What a reading types: its first line may stand at the prompt already."""
        return self.pane().run([''] + typed[1:] if self.is_typed else typed)

    def drop_keys(self):
        """Those that came while it was busy mean what was to be seen then."""
        while select.select([sys.stdin], [], [], 0)[0]:
            keys = os.read(sys.stdin.fileno(), 1024).decode(errors='replace')
            self.late = self.late or not keys or any(key in keys for key in ENDING)
            for _ in range(keys.count(INTERRUPT)):
                self.interrupt()
            if not keys:
                return

    def meanwhile(self, seconds):
        """While a pane is waited for."""
        self.drop_keys()
        if seconds < PATIENCE_SECONDS:
            self.told = False
        elif self.late:
            raise Ended(0)
        elif not self.told:
            self.told = True
            print('  waiting for the prompt (^C: to the pane; q: leave)', flush=True)

    def interrupt(self):
        """^C is for the pane. A second one is for us."""
        if time.monotonic() < self.interrupted + TWICE_SECONDS:
            raise Ended(STOPPED)
        self.interrupted = time.monotonic()
        self.is_typed = False
        if self.at < len(self.commands):
            with contextlib.suppress(shells.Failure):  # It may have been closed.
                self.pane().send('C-c')
        print('  ^C is sent to the pane; ^C again ends the demo', flush=True)

    def leave_line(self):
        """Takes back what stands at the prompt."""
        if self.is_typed:
            self.pane().send('C-u')
            self.is_typed = False

    def move(self, by):
        self.leave_line()
        self.at = max(0, min(len(self.commands), self.at + by))
        self.show()

    def next_part(self):
        if self.at < len(self.commands):
            here = self.commands[self.at][0]
            self.move(sum(heading == here for heading, _ in self.commands[self.at:]))

    def key(self, key):
        if key == ' ':
            self.go_on()
        elif key in ('s', 'b'):
            self.move(1 if key == 's' else -1)
        elif key == 'n':
            self.next_part()
        elif key == 'o' and self.at < len(self.commands):
            self.open()
            print('  new panes')
        elif key == INTERRUPT:
            self.interrupt()

    def until_quit(self):
        self.show()
        while True:
            files = {pane.process: pane for pane in self.panes.values()}
            ready = select.select([sys.stdin, *files], [], [])[0]
            for file in ready:
                if file in files:
                    files[file].listen()
            # Last, for it listens to the panes as well.
            if sys.stdin in ready:
                key = os.read(sys.stdin.fileno(), 1).decode(errors='replace')
                try:
                    self.key(key)
                except shells.Failure as error:
                    print(f'  \x1b[31m{error}\x1b[0m\n  o opens new panes; {PLAN_B}')
                    self.is_typed = False
                if key in ENDING or not key or self.late:
                    raise Ended(0)


def end():
    """The shells' terminals go, so they end, and what runs in them tidies up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # Not by halves.
    subprocess.run([*TMUX, 'kill-server'], capture_output=True, check=False)
    namespaces.outlive_children(5)


def size():
    """How large the audience's terminal is, and whether that will do."""
    columns, lines = os.get_terminal_size()
    said = f'a smaller font, please. The demos need {recording.COLUMNS} and ' \
        f'{recording.LINES}.'
    return f'{columns} columns, {lines} lines: ' + (
        'good.' if columns >= recording.COLUMNS and lines >= recording.LINES else said)


def watch():
    """Each demo as it comes, until ^C, which in a demo goes to its shells."""
    environment = {name: value for name, value in os.environ.items() if name != 'TMUX'}
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            print(f'\x1b[2J\x1b[HThe next demo appears here.\n{size()}', flush=True)
            while not is_on():
                time.sleep(0.5)
            termios.tcflush(sys.stdin, termios.TCIFLUSH)  # Keys meant for nobody.
            subprocess.run([*TMUX, 'attach'], check=False, env=environment)


def main():
    words = sys.argv[1:]
    if len(words) != 1 or words[0] not in [*recording.STEPS, '--watch']:
        sys.exit(__doc__)
    if os.geteuid() != 0:
        sys.exit('demo: it takes root: sudo scripts/demo ' + words[0])
    if not shutil.which('tmux'):
        sys.exit('demo: there is no tmux: scripts/setup slides')
    if words == ['--watch']:
        return watch()
    if not sys.stdin.isatty():
        sys.exit('demo: there is nobody at the keyboard')
    if sandbox.INSIDE not in os.environ and is_on():
        sys.exit('demo: one is running already: sudo tmux -L demo kill-server ends it')
    text = recording.text_of(words[0])
    # The audience is out here, and the demo's host has a /tmp of its own.
    directory = sandbox.outside(os.environ.get('TMUX_TMPDIR', '/tmp'))
    with sandbox.entered() as scratch:
        os.environ['TMUX_TMPDIR'] = directory
        before = termios.tcgetattr(sys.stdin)
        try:
            tty.setcbreak(sys.stdin)
            state = termios.tcgetattr(sys.stdin)
            state[3] &= ~termios.ISIG  # ^C is a key.
            termios.tcsetattr(sys.stdin, termios.TCSANOW, state)
            demo = Demo(words[0], text, scratch)
            print('The audience: sudo scripts/demo --watch\n'
                  'space types, and runs · s skip · n next part · b back · o opens anew · q')
            demo.until_quit()
        except Ended as ended:
            return ended.args[0]
        except (shells.Failure, OSError) as error:
            sys.exit(f'demo: {error}')
        finally:
            end()
            with contextlib.suppress(termios.error):  # Its window may be gone.
                termios.tcsetattr(sys.stdin, termios.TCSANOW, before)
    return 0
