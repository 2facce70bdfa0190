"""Shells on pseudo-terminals, typed to as a person would.

Those of the host end each output with a mark that no program prints. The shell in a
container is busybox's and has none: its prompt, then silence, is the end.
"""

import os
import re
import signal
import time

import pexpect

MARK = '\x1b]7;prompt\x07'
ESCAPES = re.compile(r'\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07|\r')
PROMPT = re.compile(r'(host[#$]|box#|>) ?$')
BOX_PROMPT = re.compile(r'(?:^|\n)box# ?$')
SILENCE = 0.06  # Seconds.
MUCH = 1 << 20  # Who prints more does not come to an end.
DECODING = {'encoding': 'utf-8', 'codec_errors': 'replace'}


class Failure(Exception):
    """A shell did not come back to its prompt."""


def login():
    """As login(1) starts a shell: what we or our caller ignore would stay so over an exec."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)


class Shell:
    """A bash on a terminal, started by a command line such as setpriv ... bash."""

    def __init__(self, words, environment, columns=200):
        self.process = pexpect.spawn(words[0], words[1:], env=environment, preexec_fn=login,
                                     dimensions=(50, columns), **DECODING)
        self.process.delaybeforesend = None
        self.inside = False  # Of a container.
        self.wait()

    def type(self, text):
        self.process.send(text)

    def read(self, before=''):
        """What comes next; '' if that is silence."""
        try:
            text = self.process.read_nonblocking(65536, SILENCE)
        except pexpect.TIMEOUT:
            return ''
        except pexpect.EOF as error:  # Its last process has ended.
            raise Failure(f'the shell has ended:\n{before}') from error
        if '\x1b[6n' in text:  # "Where is the cursor?"
            self.type('\x1b[1;1R')
        return text

    def wait(self, seconds=30):
        """What is printed up to the next prompt, the host's or a container's."""
        text, silences = '', 0
        # Not by the clock: a machine that was paused has let nobody print.
        while silences * SILENCE < seconds and len(text) < MUCH:
            more = self.read(text)
            text += more
            silences += not more
            # What a job in the background prints behind the prompt is not of it.
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
        # The terminal shows what was typed.
        return [line.rstrip() for line in text.split('\n')[1:] if line.strip()]

    def close(self):
        self.process.ptyproc.fileobj.close()  # No terminal: SIGHUP to all that is on it.
        self.process.wait()


# Not exported: the shell in a container has a prompt of its own.
SETTINGS = f"PS1='host\\$ \\[{MARK}\\]'; PS2='> \\[{MARK}\\]'; unset HISTFILE\n"


def host_shell(settings, by_hand=False):
    """The words that start one, which reads SETTINGS from a file. Who types by hand
    wants to edit the line."""
    return ['bash', '--rcfile', settings] + ([] if by_hand else ['--noediting']) + ['-i']


def host_environment(home, term='dumb', path=None):
    return {'TERM': term, 'LC_ALL': 'C.UTF-8', 'HOME': home, 'PATH': path or os.environ['PATH']}
