"""A transcript, read command by command: it is typed into terminals, and what comes out is
compared. The check of the texts, the recordings and the demo do so, each with its terminals.
"""

from texts import shells, transcript


class Terminals:
    """As many as the containers of a text need, and one more. `start` makes a shell of root, '#',
    or of an ordinary user, '$'."""

    def __init__(self, start):
        self.start, self.shells = start, {'#': [], '$': []}
        self.entered = []  # Those that are in a container, the last one last.

    def choose(self, command):
        """A container's is the one that went in last; the host's is the first free."""
        if command.place == 'box':
            if not self.entered:
                raise shells.Failure('no container is open')
            return self.entered[-1]
        opened = self.shells[command.sign]
        for shell in opened:
            if not shell.inside:
                return shell
        opened.append(self.start(command.sign))
        return opened[-1]

    def run(self, command, typed):
        """Types these lines, and returns those that they print."""
        shell = self.choose(command)
        lines = shell.run(typed)
        self.entered = [other for other in self.entered if other is not shell]
        if shell.inside:
            self.entered.append(shell)
        return lines

    def close(self):
        for shell in self.shells['#'] + self.shells['$']:
            shell.close()


class Reading:
    """Of a transcript, in terminals: anything that has a run() such as above."""

    def __init__(self, script, terminals):
        self.terminals, self.same = terminals, transcript.Comparison(script.vary)
        self.taught = {}  # The words that each command's output has taught, by its line.

    def typed_today(self, command):
        """The lines of a command, with the words learned so far as they are today."""
        return [self.same.typed_today(line) for line in command.typed]

    def run(self, command):
        """What a command prints, and what is wrong with that: '' if nothing is. If it is run once
        more, what varies in its output may be something else."""
        self.same.forget(self.taught.pop(command.line, ()))
        known = set(self.same.today)
        printed = self.terminals.run(command, self.typed_today(command))
        expected = [line for line in command.expected if line.strip()]
        why = self.same.lines(expected, printed)
        self.taught[command.line] = set(self.same.today) - known
        return printed, why
