"""Types the commands of a transcript into terminals, one by one, and compares the output. The check
of the texts, the recordings and the demo use this, each with its terminals.
"""

import re

from texts import shells, transcript

# A program that is given no command opens a shell: 02-pidns, 07 --memory 7M, 04 2>/dev/null.
OPENS = re.compile(r'build/\d\d-\S+( --\S+ \S+)*( 2>\S+)?$')


class Terminals:
    """The terminals that a text needs, one for each container and one more. `start` makes a shell
    of root, '#', or of an ordinary user, '$'."""

    def __init__(self, start):
        self.start, self.shells = start, {'#': [], '$': []}
        self.entered = []  # The shells in containers, in the order of their start.

    def choose(self, command):
        """For a container, the shell that entered last; for the host, the first that is in none."""
        if command.place == 'box':
            if not self.entered:
                raise shells.Failure('no container is open')
            if not self.entered[-1].ready:
                raise shells.Failure('the container is busy')
            return self.entered[-1]
        opened = self.shells[command.sign]
        for shell in opened:
            if shell.ready and not shell.inside:
                return shell
        opened.append(self.start(command.sign))
        return opened[-1]

    def notice(self, shell):
        """Must be called when a shell might have entered or left a container."""
        self.entered = [other for other in self.entered if other is not shell]
        if shell.inside:
            self.entered.append(shell)

    def run(self, command, typed):
        """Types these lines, and returns the lines of the output."""
        shell = self.choose(command)
        lines = shell.run(typed)
        self.notice(shell)
        return lines

    def close(self):
        for shell in self.shells['#'] + self.shells['$']:
            shell.close()


class Reading:
    """Reads a transcript. `terminals` is an object with a run() as above."""

    def __init__(self, script, terminals):
        self.terminals, self.same = terminals, transcript.Comparison(script.vary)
        self.taught = {}  # For the line of a command, the words that its output defined.
        self.commands = {command.line: command for command in script.commands}
        self.shown = {}   # For each word that varies, the line of the command that shows it first.
        for command in script.commands:
            for word in self.same.words.findall('\n'.join(command.expected)):
                self.shown.setdefault(word, command.line)

    def typed_today(self, command):
        """The lines of a command, with the values that the words have today."""
        return [self.same.typed_today(line) for line in command.typed]

    def run(self, command):
        """Returns the output of a command, and the fault in it or ''. If a command is run again,
        the words that vary in its output can get other values."""
        self.same.forget(self.taught.pop(command.line, ()))
        known = set(self.same.today)
        printed = self.terminals.run(command, self.typed_today(command))
        expected = [line for line in command.expected if line.strip()]
        why = self.same.lines(expected, printed)
        self.taught[command.line] = set(self.same.today) - known
        return printed, why

    def unknown(self, command):
        """The varying words of a command that only an earlier command can show, each with the line
        of that."""
        words = set(self.same.words.findall('\n'.join(command.typed))) - self.same.today.keys()
        return {word: self.shown[word] for word in sorted(words)
                if self.shown.get(word, command.line) < command.line}

    def begin(self, line):
        """The line to begin with, so that the command of this line has all that it needs: the
        first of a block."""
        block = [one for one in self.commands.values()
                 if one.block == self.commands[line].block and one.line <= line]
        first = block[0].line
        return min([first] + [self.begin(shown) for one in block
                              for shown in self.unknown(one).values() if shown < first])

    def needs(self, command):
        """What a command needs that is not there, in words, and the line to begin with; or None."""
        for word, shown in self.unknown(command).items():
            return (f'{word} is a number of another machine. An earlier command shows yours.',
                    self.begin(shown))
        if command.place == 'box' and not self.terminals.entered:
            openers = [line for line, one in self.commands.items()
                       if line < command.line and (OPENS.match(one.typed[0]) or
                                                   'PS1="box# ' in one.typed[0])]
            return 'No container is open.', self.begin((openers or [command.line])[-1])
        return None
