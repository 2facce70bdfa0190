"""Shells on pseudo-terminals, in which commands are typed as by a person.

A shell of the host ends each output with a mark that no program prints. The shell in a container
prints no mark, so there the output ends with a prompt and silence.
"""

import os
import re
import signal
import time

import pexpect

MARK = '\x1b]7;prompt\x07'
ESCAPES = re.compile(r'\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07|\r')
# busybox prints its prompt again in the same line if the terminal says late where the cursor is.
PROMPT = re.compile(r'(host[#$]|(box# )*box#|>) ?$')
BOX_PROMPT = re.compile(r'(?:^|\n)(?:box# )*box# ?$')
SILENCE = 0.06  # Seconds.
LONGEST = 120 if 'LAB' in os.environ else 30  # Of silences in all, while a command runs.
MUCH = 1 << 20  # A program that prints more does not end.
DECODING = {'encoding': 'utf-8', 'codec_errors': 'replace'}


class Failure(Exception):
    """A shell did not come back to its prompt."""


def login():
    """Sets all signals to their defaults, as login(1) does, because execve(2) keeps ignored
    signals."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)


def spawn(words, environment, rows=50, columns=200):
    """A program on a terminal, such as setpriv ... bash."""
    process = pexpect.spawn(words[0], words[1:], env=environment, preexec_fn=login,
                            dimensions=(rows, columns), **DECODING)
    process.delaybeforesend = None
    return process


def behind_echo(text, typed):
    """What a command has printed. Before that, the terminal shows what was typed, and folds a line
    that is wider, so there might be something between two letters. A terminal whose shell was
    killed shows only the end of the line."""
    at = 0
    for letter in ''.join(typed.split()):
        at = text.find(letter, at, at + 4) + 1
        if at == 0:
            break
    return text[at:].partition('\n')[2]


class Shell:
    """A bash on a terminal, started by a command line such as setpriv ... bash."""
    inside = False  # Whether it is in a container.
    ready = True    # Whether it is at its prompt, when nothing is run.

    def __init__(self, words, environment):
        self.process = spawn(words, environment)
        self.wait()

    def type(self, text):
        self.process.send(text)

    def read(self, before=''):
        """The text that comes next, or '' after a silence."""
        try:
            text = self.process.read_nonblocking(65536, SILENCE)
        except pexpect.TIMEOUT:
            return ''
        except pexpect.EOF as error:  # Its last process has ended.
            raise Failure(f'the shell has ended:\n{before}') from error
        if '\x1b[6n' in text:  # "Where is the cursor?"
            self.type('\x1b[1;1R')
        return text

    def wait(self, seconds=LONGEST):
        """The text up to the next prompt of the host or of a container."""
        text, silences = '', 0
        # A clock does not help, because no program prints while the machine is paused.
        while silences * SILENCE < seconds and len(text) < MUCH:
            more = self.read(text)
            text += more
            silences += not more
            # A job in the background can print after the prompt.
            if more and MARK not in text:
                continue
            before, mark, _ = text.partition(MARK)
            plain = ESCAPES.sub('', before)
            if mark or BOX_PROMPT.search(plain):
                self.inside = not mark
                return PROMPT.sub('', plain)
        raise Failure(f'no prompt after {seconds} s of silence, but:\n{text[-4096:]}')

    def run(self, typed):
        """Types the lines of a command, and returns the lines that it prints."""
        for line in typed:
            self.type(line + '\n')
            text = self.wait()
        if typed[-1].endswith('&'):
            time.sleep(1)  # As a person does before the next line.
        return [line.rstrip() for line in behind_echo(text, typed[-1]).split('\n') if line.strip()]


    def close(self):
        self.process.ptyproc.fileobj.close()  # The kernel sends SIGHUP to its processes.
        self.process.wait()


# Not exported, because the shell in a container has another prompt.
SETTINGS = f"PS1='host\\$ \\[{MARK}\\]'; PS2='> \\[{MARK}\\]'; unset HISTFILE\n"


def host_shell(settings, term=None):
    """The words that start one, which reads SETTINGS from a file. A person who types into a
    terminal of this kind wants to edit the line."""
    return ['bash', '--rcfile', settings] + ([] if term else ['--noediting']) + ['-i']


def host_environment(home, term=None, path=None):
    # On some machines g++ is ccache(1), whose files would count as left behind by a text.
    return {'TERM': term or 'dumb', 'LC_ALL': 'C.UTF-8', 'HOME': home,
            'PATH': path or os.environ['PATH'], 'CCACHE_DISABLE': '1'}
