"""Checks a step that a learner wrote, and yields its promises, each with its result."""

import collections
import concurrent.futures
import contextlib
import functools
import json
import os
import re
import secrets
import subprocess
import xml.etree.ElementTree as xml

from learn.files import BUILD, STEPS, STEP_TESTS, program, read
from learn.task import wanted
from learn.throwaway import (GIVE_UP, LEFT, MOST_OUTPUT, TIMEOUT_SECONDS, Root, renew_rootfs,
                             rootfs, run, short)

# One of a test has that test's pieces of the task, and its sentence for when it is broken.
Promise = collections.namedtuple('Promise', 'name verdict saw said pieces fails',
                                 defaults=[[], ''])

FIRST_TIMEOUT_SECONDS = int(os.environ.get('LEARN_TIMEOUT') or 30)  # For an echo.
MOST_WITHOUT_END = 3  # Tests that have no end: nobody waits for more.
NO_END = 'no end '
# Promises that are checked whatever --only says; and what is not one.
RUNS, LEAVES_NOTHING = 'it runs a command', 'it leaves nothing on the host'
AFTERWARDS = 'nothing is left after the attacks (root)'
THE_REST = 'all the rest'
HOLDS, BROKEN, UNCHECKED = 'holds', 'does not hold', 'not checked'


def no_end(outcome, timeout):
    if len(outcome.out) + len(outcome.err) >= MOST_OUTPUT:
        return f'{NO_END}of what it prints'
    return f'{NO_END}after {timeout} seconds: does a process wait for something that no process does?'


def own_lines(text, name):
    """What the program said of itself, each line once."""
    return list(dict.fromkeys(line for line in text.splitlines() if line.startswith(name + ':')))


@functools.cache
def all_tests():
    """What each test of the steps says of itself: see Promise in steps/tests/host.hpp."""
    return json.loads(subprocess.run([STEP_TESTS, '--promises'], stdout=subprocess.PIPE,
                                     check=True).stdout)


def keeps(step, kept):
    """Whether a step is one of "03-06 08", for example."""
    ranges = [part.partition('-') for part in kept.split()]
    return any(first <= step <= (last or first) for first, _, last in ranges)


def run_test(step, test):
    """Its promise."""
    name, suite = test['name'], test['suite']

    def promise(verdict, saw, said):
        return Promise(name, verdict, saw, said, test['pieces'], test['fails'])

    if name.endswith(' (root)') and not Root.find():
        return promise(UNCHECKED, 'it needs root, and there is no sudo here', [])
    environment = {f'STEP_{step}': program(step), 'SHOW_ERRORS': '1',
                   'ONLY_STEP': STEPS[step],  # In place of all.
                   'TEST_ROOTFS': rootfs()}
    if suite[:2] in STEPS:  # Whose promise it keeps, too.
        environment[f'STEP_{suite[:2]}'] = program(step)
    outcome = run(  # In names, a comma would end a pattern.
        [STEP_TESTS, f'--test-suite={suite}', '--test-case=' + name.replace(',', '?'),
         '--reporters=xml'], root=name.endswith(' (root)'), **environment)
    status, log, err, left = outcome
    said = own_lines(err, STEPS[step])
    if status is None:
        return promise(BROKEN, no_end(outcome, TIMEOUT_SECONDS), said)
    try:
        tree = xml.fromstring(re.sub('[\x00-\x08\x0b-\x1f]', '?', log))
        case = next(one for one in tree.iter('TestCase') if one.get('name') == name)
    except (xml.ParseError, StopIteration):
        return promise(BROKEN, f'the test ended without a result, with status {status}: ' +
                       short(err), said)
    if case.get('skipped') == 'true':
        return promise(UNCHECKED, 'it cannot be tried on this host', said)
    passed = case.find('OverallResultsAsserts').get('test_case_success') == 'true'
    if status == 0 and passed and not left:
        return promise(HOLDS, '', said)
    saws = [failed_check(one) for one in case.iter('Expression') if one.get('success') == 'false']
    saws += [short(one.findtext('Text', '')) for one in case.iter('Message')
             if one.get('type') != 'WARNING']
    saws += ['the test broke off: ' + short(one.text or '') for one in case.iter('Exception')]
    saws += told_left(left)
    return promise(BROKEN, '\n'.join(list(dict.fromkeys(saws))[:3]) or 'it failed', said)


def failed_check(expression):
    """Its own sentence, or what was found and expected; and where it stands. What doctest captured
    is no sentence: "net := veth", for example."""
    words = [info.text or '' for info in expression.iter('Info')]
    if all(' := ' in word for word in words):
        words.append(expression.findtext('Expanded', ''))
    return (f'{"; ".join(map(short, words))} '
            f'[{expression.get("filename")}:{expression.get("line")}]')


def told_left(left):
    return [f'it is left on the host: {short(", and ".join(left))}'] if left else []


def runs_at_all(step):
    """Without this, nothing else has a meaning."""
    word = secrets.token_hex(4)
    options = {'07': ['--memory', 'none']}
    for who in ['root'] if step < '03' else ['root', 'user']:
        name = f'{RUNS} ({who})'
        if who == 'root' and not Root.find():
            yield Promise(name, UNCHECKED, 'it needs root, and there is no sudo here', [])
            continue
        if who == 'user' and os.geteuid() == 0:
            continue  # Tried by the tests, which play one.
        outcome = run(
            [program(step)] + (options.get(step, []) if who == 'user' else []) +
            [rootfs(), 'echo', word], root=who == 'root', timeout=FIRST_TIMEOUT_SECONDS)
        status, out, err, left = outcome
        if status is None:
            yield Promise(name, BROKEN, no_end(outcome, FIRST_TIMEOUT_SECONDS),
                          own_lines(err, STEPS[step]))
        elif (status, out) != (0, word + '\n'):
            saws = [f'echo {word} printed {short(repr(out))}, and the status is {status}',
                    *told_left(left)]
            yield Promise(name, BROKEN, '\n'.join(saws), [
                line for line in err.splitlines() if not line.startswith(LEFT)][:3])
        else:
            yield Promise(name, HOLDS, '', [])
            name = f'{LEAVES_NOTHING} ({who})'
            if Root.find():
                yield Promise(name, BROKEN if left else HOLDS, '\n'.join(told_left(left)),
                              own_lines(err, STEPS[step]))
            else:
                yield Promise(name, UNCHECKED, 'it needs root to make a throw-away host, and there is '
                              'no sudo here', [])


def tests(step):
    """Those of the promises that a step keeps: first its own."""
    return sorted((test for test in all_tests() if keeps(step, test['kept'])),
                  key=lambda test: test['suite'] != STEPS[step])


def run_tests(step, wanted_ones, jobs):
    """Each one's name, and how to wait for its promise. Several run at a time."""
    def run_one(test):
        promise = run_test(step, test)
        if promise.verdict == BROKEN:
            renew_rootfs()
        return promise

    pool = concurrent.futures.ThreadPoolExecutor(jobs)
    try:
        for test, done in [(test, pool.submit(run_one, test)) for test in wanted_ones]:
            yield test['name'], done.result
    finally:
        GIVE_UP.set()
        pool.shutdown(cancel_futures=True)
        GIVE_UP.clear()


Row = collections.namedtuple('Row', 'label verdict')


def expected(step):
    """matrix.json's column: (who, attack) to what is tried, and how it ends."""
    rows = json.loads(read('steps/matrix.json'))
    return {(who, row['attack']): Row(row['label'], row[who][step])
            for who in ('root', 'user') for row in rows if step in row[who]}


# How an attack ended that should have ended otherwise.
OTHERWISE = {
    'hits the host': 'it hits the host',
    'refused': 'it is refused, but should succeed, and reach only the container',
    'its own': 'it succeeds, and reaches only the container, but should be refused',
    'broken': 'it came to no result',
}


def attacks(step, only, topics):
    """The probes: all that attack the course's own step in vain."""
    rows = {key: row for key, row in expected(step).items()
            if row.verdict != 'hits the host' and wanted(attack_name(key, row), [], only, topics)}
    if not rows:
        return
    if not Root.find():
        for key, row in rows.items():
            yield Promise(attack_name(key, row), UNCHECKED, 'it needs root to make a host for '
                          'the attacks, and there is no sudo here', [])
        return
    names = {attack for _, attack in rows}
    callers = {who for who, _ in rows}
    _, out, err, left = run(
        ['scripts/matrix/matrix', '--build', BUILD, '--step', step, '--json'] +
        (['--probe', *names] if len(names) == 1 else []) +
        (['--who', *callers] if len(callers) == 1 else []),
        root=True, timeout=300, **{f'STEP_{step}': program(step)})
    cells = {}
    with contextlib.suppress(ValueError):
        cells = {(cell['who'], cell['attack']): cell
                 for cell in json.JSONDecoder().raw_decode(out)[0]}
    for key, row in rows.items():
        cell = cells.get(key)
        name = attack_name(key, row)
        if cell is None:
            yield Promise(name, BROKEN, 'the matrix did not come to an end: ' + short(err), [])
        elif cell['not_decided']:
            yield Promise(name, UNCHECKED, 'it cannot be decided on this host: ' +
                          cell['not_decided'], [])
        elif cell['verdict'] == row.verdict:
            yield Promise(name, HOLDS, '', [])
        else:
            yield Promise(
                name, BROKEN, f'{OTHERWISE[cell["verdict"]]}; '
                f'the kernel answered: {short(cell["answer"])}\n'
                f'the host saw: {cell["saw"]}', own_lines(cell['notes'], STEPS[step]))
    left += [line for line in err.splitlines() if line.startswith('matrix: a step has left')]
    yield Promise(AFTERWARDS, BROKEN if left else HOLDS,
                  '\n'.join(told_left(left)), [])


def is_any_wanted(step, only, topics):
    """Whether --only means any promise of a step."""
    always = [f'{words} ({who})' for words in (RUNS, LEAVES_NOTHING) for who in ('root', 'user')]
    attacked = [attack_name(key, row) for key, row in expected(step).items()
                if row.verdict != 'hits the host']
    return (any(wanted(name, [], only, topics) for name in [*always, AFTERWARDS, *attacked]) or
            any(wanted(test['name'], test['pieces'], only, topics) for test in tests(step)))


def attack_name(key, row):
    how = {'its own': 'reaches only the container'}.get(row.verdict, row.verdict)
    return f'attack {key[1]}: {row.label}: {how} ({key[0]})'


def promises(step, only, topics, jobs, waits):
    """All of a step that --only means. `waits` is told what is waited for."""
    renew_rootfs()
    first = list(runs_at_all(step))
    yield from first
    if any(promise.verdict == BROKEN for promise in first):
        yield Promise(THE_REST, UNCHECKED, 'first of all it has to run a command, and to leave '
                      'nothing', [])
        return
    endless = 0
    chosen = [test for test in tests(step) if wanted(test['name'], test['pieces'], only, topics)]
    for name, result in run_tests(step, chosen, jobs):
        waits(name)
        promise = result()
        yield promise
        endless += promise.saw.startswith(NO_END)
        if endless == MOST_WITHOUT_END:
            yield Promise(THE_REST, UNCHECKED,
                          f'{MOST_WITHOUT_END} had no end, and each takes '
                          f'{TIMEOUT_SECONDS} seconds', [])
            return
    waits('the probes attack')
    yield from attacks(step, only, topics)
