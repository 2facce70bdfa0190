"""Runs commands, several at a time, and ends them all if we are ended."""

import concurrent.futures
import os
import signal
import subprocess
import sys


def jobs():
    """How many at a time: as many as there are processors, or JOBS=N."""
    return int(os.environ.get('JOBS') or len(os.sched_getaffinity(0)))


def jobs_that_wait():
    """The same for what waits as long as it computes: two for each processor, or JOBS=N."""
    return jobs() * (1 if os.environ.get('JOBS') else 2)


class Commands:
    def __init__(self):
        self.running, self.ended = set(), False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self.end)

    def end(self, number, _):
        self.ended = True
        for program in list(self.running):
            program.send_signal(number)
        sys.exit(128 + number)

    def run(self, words):
        """The status of a command, and what it prints."""
        if self.ended:
            return 1, ''
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, encoding='utf-8',
                              errors='replace') as program:
            self.running.add(program)
            text, _ = program.communicate()
            self.running.remove(program)
        return program.returncode, text

    def run_all(self, commands, at_once):
        """Each command with its status and what it printed, as they end."""
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            work = {pool.submit(self.run, words): words for words in commands}
            for done in concurrent.futures.as_completed(work):
                yield work[done], *done.result()
