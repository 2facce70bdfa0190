"""Puts into words what a test or an attack saw: no C++, no path that only we know."""

import re
import signal
import textwrap

from learn.files import STEPS, program
from learn.throwaway import rootfs

MOST = 300  # Letters of what a program printed.
FAILED = 125  # The status of a program that failed itself.
# How two values that a test compares ought to be. It expects the second.
OUGHT = {' == ': '{}', ' != ': 'anything but {}', ' >= ': '{} or more', ' <= ': '{} or less',
         ' > ': 'more than {}', ' < ': 'less than {}'}


def printable(text):
    """What a program says may be anything: none of it moves the cursor, or hides."""
    return ''.join(letter if letter.isprintable() else '?' for letter in text)


def plain(text):
    """One short line, with ROOTFS in the place of the paths that it has here."""
    text = text.replace(f"'{rootfs()}'", 'ROOTFS').replace(rootfs(), 'ROOTFS')
    text = re.sub(r"'?/tmp/box-test\.\w+/rootfs\b'?", 'ROOTFS', text)
    text = re.sub(r'/tmp/box-test\.\w+/', '/tmp/', text)
    for step, name in STEPS.items():
        text = re.sub(rf'(?<!\S)\S*({re.escape(program(step))}|/{name})(?!\S)', name, text)
    text = text.replace('setpriv --reuid 54321 --regid 54321 --clear-groups ', '')
    return printable(textwrap.shorten(text, MOST, placeholder=' ...'))


def how_it_ended(status):
    """A status in words."""
    if status is None:
        return 'no end'
    if status > 128:
        try:
            return f'status {status} ({signal.Signals(status - 128).name})'
        except ValueError:
            pass
    return f'status {status}'


def what_ran(ran, step):
    """What was done last with the program, and after that on the host, and what was printed."""
    with_program = [one for one in ran if STEPS[step] in one['line']]
    for words, one in zip(('We ran', 'Then we ran'),
                          dict.fromkeys(map(ran.index, with_program[-1:] + ran[-1:]))):
        one = ran[one]
        user = ' as an ordinary user' if 'setpriv --reuid' in one['line'] else ''
        yield f'{words}{user}: {plain(one["line"])}'
        printed = one['out'].strip()
        if printed:
            yield f'It printed: {plain(printed)}'
        if one['err'].strip():
            yield f'On standard error: {plain(one["err"])}'
        if one['status'] >= 0:
            yield ('It ended with ' if printed or one['err'].strip() else
                   'It printed no text, and ended with ') + how_it_ended(one['status']) + '.'


NOT_FOUND = '18446744073709551615'  # What std::string has for the place of a text it does not hold.


def compared(values, ran, expression=''):
    """Two values that a test compared. Of the first we know what it is if the last program that ran
    ended with it, or printed it."""
    text = re.search(r'find\("((?:[^"\\]|\\.)*)"\)', expression)
    text = ': ' + plain(text[1].replace('\\"', '"')) if text else '.'
    for sign, ought in OUGHT.items():
        found, between, wanted = values.partition(sign)
        if not between or sign in wanted:
            continue
        found, wanted = found.strip(), wanted.strip()
        if found == NOT_FOUND:
            return ['The text that was expected was not there' + text]
        if wanted == NOT_FOUND:
            return ['A text was found that must not be there' + text]
        if found == wanted or {found, wanted} & {'true', 'false'}:
            break
        last = ran[-1] if ran else {'status': '', 'out': '', 'err': ''}
        ought = ought.format(plain(wanted) or 'no text')
        if re.search(r'lines\(.*err\)\.size\(\)', expression):
            return [f'Lines on standard error: {plain(found)}', f'Expected: {ought}']
        if found == str(last['status']):
            return [f'Expected: status {ought}']
        if ran and found == last['out'].strip() == last['err'].strip():
            return [f'Expected text: {ought}']
        if ran and found == last['out'].strip():
            return [f'Expected output: {ought}']
        if found and found == last['err'].strip():
            return [f'Expected on standard error: {ought}']
        return [f'Found: {plain(found) or "no text"}', f'Expected: {ought}']
    return []


def capital(text):
    """A sentence that begins with a word, and not with a name such as rp_filter or rm:."""
    return text[:1].upper() + text[1:] if re.match(r'[a-z]+( |$)', text) else text


def failure_in_words(failure, step, may_fail=False):
    """What a check of a test saw, as steps/tests/reporter.cpp tells it. The words of a capture are
    C++, as in "net := veth". If the program failed and not `may_fail`, that comes first."""
    told = [text for text in failure.get('told', []) if ' := ' not in text]
    values, ran, first, error = failure.get('values', ''), failure.get('ran', []), [], ''
    last = next((one for one in reversed(ran) if STEPS[step] in one['line']), None)
    if last and last['status'] == FAILED and not may_fail:
        lines = [line for line in last['err'].splitlines() if line.startswith(STEPS[step] + ':')]
        error = plain(lines[-1]) if lines else ''
        first = ['The program itself failed, with status 125' +
                 (f': {error}' if error else ', and said nothing.')]
        told.pop() if told else None  # It is about a command that has not run.
    if told:
        found = [plain(capital(text)) for text in told]
    elif values.startswith('exception: '):
        found = ['The test cannot read what it sees: it expects another text there.']
    else:
        found = compared(values, ran, failure.get('expression', ''))
    return [*first, *(line for line in what_ran(ran, step)
                      if not error or line != f'On standard error: {error}'), *found]


# How an attack ended that should have ended otherwise.
OTHERWISE = {
    'hits the host': 'The attack reaches the host.',
    'refused': 'The kernel refuses it, but it should succeed, and reach only the container.',
    'its own': 'It succeeds, and reaches only the container, but should be refused.',
    'broken': 'It came to no result.',
}


def attack_in_words(cell):
    """What an attack did, as scripts/matrix/matrix --json tells it."""
    return [OTHERWISE[cell['verdict']], f'The kernel answered: {plain(cell["answer"])}',
            f'The host saw: {plain(cell["saw"])}']
