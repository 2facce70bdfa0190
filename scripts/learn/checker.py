"""Checks a step that a learner wrote, and yields its promises, each with its result.

check(step, piece) is for other programs: see scripts/learn/__init__.py.
"""

import collections
import concurrent.futures
import contextlib
import functools
import itertools
import json
import os
import secrets
import signal
import subprocess

from learn.files import BUILD, STEPS, STEP_TESTS, program, read
from learn.promise import BROKEN, HOLDS, NO_ROOT, THE_REST, UNCHECKED, Promise
from learn.task import pieces_of, task, wanted
from learn.throwaway import (GIVE_UP, LEFT, MOST_OUTPUT, TIMEOUT_SECONDS, Root, renew_rootfs,
                             rootfs, run, short)
from learn.words import attack_in_words, failure_in_words, how_it_ended, plain

FIRST_TIMEOUT_SECONDS = int(os.environ.get('LEARN_TIMEOUT') or 30)  # For an echo.
MOST_WITHOUT_END = 3  # Tests that have no end: nobody waits for more.
NO_END = 'It does not end '
AT_A_TIME = 12  # So many of the promises of earlier steps share a throw-away host.
# Without these, no other promise has a meaning.
RUNS, ENTERS, LEAVES_NOTHING = ('it runs a command', 'the command runs in the rootfs',
                                'it leaves nothing on the host')
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE,
           signal.SIGTRAP)
AFTERWARDS = 'nothing is left after the attacks (root)'


def no_end(outcome, timeout):
    if len(outcome.out) + len(outcome.err) >= MOST_OUTPUT:
        return NO_END + 'by itself: it has printed 16 MiB.'
    return NO_END + (f'within {timeout} seconds. Does a process wait for something that no process '
                     'does?')


def own_lines(text, name):
    """What the program said of itself, each line once."""
    return list(dict.fromkeys(plain(line) for line in text.splitlines()
                              if line.startswith(name + ':')))


@functools.lru_cache(maxsize=None)
def all_tests():
    """What each test of the steps says of itself: see Promise in steps/tests/host.hpp."""
    return json.loads(subprocess.run([STEP_TESTS, '--promises'], stdout=subprocess.PIPE,
                                     check=True).stdout)


def keeps(step, kept):
    """Whether a step is one of "03-06 08", for example."""
    ranges = [part.partition('-') for part in kept.split()]
    return any(first <= step <= (last or first) for first, _, last in ranges)


# ---- First of all --------------------------------------------------------------------

# Runs a program as an ordinary user, who has a copy of the rootfs where a user can go to. If the
# program itself is ended by a signal, a shell says so; if its child is, only the status does.
AS_ROOT = '"$0" "$@"; exit $?'
AS_USER = '''place=$(mktemp -d /tmp/box-test.XXXXXX) && chmod 755 "$place" &&
cp -a "$2" "$place/rootfs" && cp "$1" "$place/" && chown -Rh 54321:54321 "$place/rootfs" || exit
program=$place/${1##*/} options=$3
shift 3
setpriv --reuid 54321 --regid 54321 --clear-groups "$program" $options "$place/rootfs" "$@"
status=$?
rm -rf "$place"
exit $status'''


def run_step(step, who, options, command):
    """Runs the program in the rootfs as root or as an ordinary user, whom root plays."""
    if who == 'user' and Root.find():
        words = ['sh', '-c', AS_USER, 'sh', program(step), rootfs(), ' '.join(options), *command]
    else:
        words = ['sh', '-c', AS_ROOT, program(step), *options, rootfs(), *command]
    return run(words, root=who == 'root' or bool(Root.find()), timeout=FIRST_TIMEOUT_SECONDS)


def crashed(step, who, options, command, number):
    """Which process crashed, and where: its last action, as -v tells it."""
    lines = run_step(step, who, ['-v', *options], command).err.splitlines()
    process = 'program itself' if any(line.startswith(signal.strsignal(number)) for line in lines) \
        else 'child'
    # The other process goes on meanwhile, and prints, too.
    actions = [line for line in lines if line.startswith('[pid ')]
    actions = [line for line in actions
               if line.startswith('[pid 1]') == (process == 'child')] or actions
    return [f'It crashed: {number.name} in the {process}. ' +
            (f'The last action that -v tells: {plain(actions[-1])}' if actions else
             'With -v, it tells no action before.')]


def runs_at_all(step, who):
    """That it runs a command, in the rootfs, and leaves nothing."""
    word = secrets.token_hex(4)
    # Up to 07, and in some pieces of 08, a limit on memory that cannot be set is an error.
    options = ['--memory', 'none'] if step >= '07' and who == 'user' else []
    command = ['sh', '-c', f'echo {word}; cat /etc/rootfs-mark']
    outcome = run_step(step, who, options, command)
    said = own_lines(outcome.err, STEPS[step])
    ran = {'line': ' '.join([program(step), *options, rootfs(), 'sh -c', f"'{command[2]}'"]),
           'status': -1 if outcome.status is None else outcome.status, 'out': outcome.out,
           'err': '\n'.join(line for line in outcome.err.splitlines() if not line.startswith(LEFT))}
    saw = failure_in_words({'ran': [ran]}, step)
    lines = outcome.out.splitlines()

    name = f'{RUNS} ({who})'
    fails = f'As {"root" if who == "root" else "an ordinary user"}, we run a shell that prints ' \
            f'"{word}" in the container and expect this word and status 0, because before that ' \
            'no other promise can be checked.'
    if outcome.status is None:
        yield Promise(name, BROKEN, [no_end(outcome, FIRST_TIMEOUT_SECONDS)], said, [], fails)
    elif lines[:1] != [word] or outcome.status > 1:
        saw += [line for number in CRASHES if outcome.status == 128 + number
                for line in crashed(step, who, options, command, number)]
        yield Promise(name, BROKEN, saw + told_left(outcome.left), said, [], fails)
    else:
        yield Promise(name, HOLDS)
        name = f'{ENTERS} ({who})'
        if (outcome.status, lines[1:]) == (0, read(f'{BUILD}/rootfs/etc/rootfs-mark').splitlines()):
            yield Promise(name, HOLDS)
        else:
            yield Promise(
                name, BROKEN, saw, said, [],
                'We read a file that only the rootfs has and expect its text, because a command in '
                'another root directory is not in the container.')
            return
        if Root.find():
            left = told_left(outcome.left)
            yield Promise(f'{LEAVES_NOTHING} ({who})', BROKEN if left else HOLDS, left, said, [],
                          'We look at the host after the command has ended and expect it as it '
                          'was, because what is left there adds up with each container.')


def first_of_all(step, who):
    """Without these, nothing else has a meaning."""
    if who == 'root' and not Root.find():
        return [Promise(f'{RUNS} (root)', UNCHECKED, [NO_ROOT])]
    return list(runs_at_all(step, who))


def callers(step):
    """Who can run a step."""
    return ['root'] if step < '03' else ['root', 'user']


def told_left(left):
    return [f'It is left on the host: {short(", and ".join(left))}'] if left else []


# ---- Tests ---------------------------------------------------------------------------

def promise_of(test, verdict, saw=(), said=()):
    return Promise(test['name'], verdict, list(saw), list(said), test['pieces'], test['fails'])


def is_roots(test):
    return test['name'].endswith(' (root)')


def run_tests(step, tests, stops=False):
    """Runs some tests on one throw-away host, up to the first that is broken if that `stops`;
    returns how that ended, and what each test has told: see steps/tests/reporter.cpp. One that has
    not ended is missing."""
    environment = {f'STEP_{step}': program(step),
                   'ONLY_STEP': STEPS[step],  # In place of all.
                   'TEST_ROOTFS': rootfs()}
    for suite in {test['suite'][:2] for test in tests} & set(STEPS):  # Whose promise it keeps, too.
        environment[f'STEP_{suite}'] = program(step)
    outcome = run(  # In names, a comma would end a pattern.
        [STEP_TESTS, '--test-case=' + ','.join(test['name'].replace(',', '?') for test in tests),
         '--reporters=checker', f'--abort-after={int(bool(stops))}'],
        root=is_roots(tests[0]), **environment)
    told, failures = {}, collections.defaultdict(list)
    for line in outcome.out.splitlines():
        with contextlib.suppress(ValueError):  # A program prints what it likes.
            one = json.loads(line)
            if 'failed' in one:
                failures[one['failed']].append(one)
            else:
                told[one['test']] = one['holds']
    return outcome, told, failures


def run_alone(step, test):
    """Its promise."""
    outcome, told, failures = run_tests(step, [test])
    name = test['name']
    said = own_lines('\n'.join([outcome.err] + [ran['err'] for one in failures[name]
                                                for ran in one['ran']]), STEPS[step])
    if GIVE_UP.is_set():
        return promise_of(test, UNCHECKED, ['nobody waits for it'])
    renew_rootfs()
    if outcome.status is None:
        return promise_of(test, BROKEN, [no_end(outcome, TIMEOUT_SECONDS)], said)
    if name in told and told[name] is None:
        return promise_of(test, UNCHECKED, ['it cannot be tried on this host'])
    if told.get(name) and outcome.status == 0 and not outcome.left:
        return promise_of(test, HOLDS)
    saw = []
    for failure in failures[name][:3]:
        saw += [line for line in failure_in_words(failure, step, '125' in test['fails'])
                if line not in saw]
    if name not in told:
        saw.append(f'The test came to no end, with {how_it_ended(outcome.status)}. Does the '
                   'program end processes that are not its own?')
    if not any('left on the host' in line for line in saw):
        saw += told_left(outcome.left)
    return promise_of(test, BROKEN, saw, said)


def promises_of(step, tests, stops):
    """One after the other, up to the first that is broken if that `stops`. They share a host. What
    does not hold there is tried again on a host of its own, where no other test can be the
    reason."""
    told, left = {}, []
    if is_roots(tests[0]) and not Root.find():
        yield from (promise_of(test, UNCHECKED, [NO_ROOT]) for test in tests)
        return
    if len(tests) > 1:
        outcome, told, _ = run_tests(step, tests, stops)
        left = outcome.left
    for test in tests:
        if GIVE_UP.is_set():
            return
        name = test['name']
        if told.get(name) and not left:
            yield promise_of(test, HOLDS)
        elif name in told and told[name] is None:
            yield promise_of(test, UNCHECKED, ['it cannot be tried on this host'])
        else:
            promise = run_alone(step, test)
            yield promise
            if stops and promise.verdict == BROKEN:
                return


def groups(tests):
    """Those that share a host: root's and an ordinary user's, if these are two."""
    together = [tests] if os.geteuid() == 0 else [
        [test for test in tests if is_roots(test) == roots] for roots in (True, False)]
    for some in together:
        for number in range(0, len(some), AT_A_TIME):
            yield some[number:number + AT_A_TIME]


# ---- Attacks -------------------------------------------------------------------------

Row = collections.namedtuple('Row', 'label verdict')


def expected(step):
    """matrix.json's column: (who, attack) to what is tried, and how it ends."""
    rows = json.loads(read('steps/matrix.json'))
    return {(who, row['attack']): Row(row['label'], row[who][step])
            for who in ('root', 'user') for row in rows if step in row[who]}


def attack_name(key, row):
    how = {'its own': 'reaches only the container'}.get(row.verdict, row.verdict)
    return f'attack {key[1]}: {row.label}: {how} ({key[0]})'


def attacks_of(step):
    """All that attack the course's own step in vain."""
    return {attack_name(key, row): (key, row) for key, row in expected(step).items()
            if row.verdict != 'hits the host'}


def attack(step, rows):
    """Tries some of attacks_of(); returns their promises by name."""
    if not Root.find():
        return {name: Promise(name, UNCHECKED, [NO_ROOT]) for name in rows}
    names = {attack for (_, attack), _ in rows.values()}
    callers = {who for (who, _), _ in rows.values()}
    _, out, _, left = run(
        ['scripts/matrix/matrix', '--build', BUILD, '--step', step, '--json'] +
        [word for name in sorted(names) for word in ('--probe', name)] +
        (['--who', *callers] if len(callers) == 1 else []),
        root=True, timeout=300, **{f'STEP_{step}': program(step)})
    cells = {}
    with contextlib.suppress(ValueError):
        cells = {(cell['who'], cell['attack']): cell
                 for cell in json.JSONDecoder().raw_decode(out)[0]}
    found = {}
    for name, (key, row) in rows.items():
        cell = cells.get(key)
        if cell is None:
            found[name] = Promise(name, BROKEN, ['The attacks did not come to an end.'])
        elif cell['not_decided']:
            found[name] = Promise(name, UNCHECKED, ['it cannot be decided on this host: ' +
                                                    cell['not_decided']])
        elif cell['verdict'] == row.verdict:
            found[name] = Promise(name, HOLDS)
        else:
            how = {'refused': 'the kernel to refuse it'}.get(
                row.verdict, 'it to succeed, and to reach only the container')
            found[name] = Promise(
                name, BROKEN, attack_in_words(cell), own_lines(cell['notes'], STEPS[step]), [],
                f'A program in the container {row.label}, and we expect {how}, because a container '
                'keeps what is in it away from the host.')
    found[AFTERWARDS] = Promise(AFTERWARDS, BROKEN if left else HOLDS, told_left(left))
    return found


# ---- A whole step --------------------------------------------------------------------

Part = collections.namedtuple('Part', 'piece tests attacks')


def parts(step, only=''):
    """What is checked of a step, and in which order: its pieces, as the task has them; then, with
    None as the piece, what it keeps of earlier steps. --only may mean a few of these."""
    topics = task(step)[2]
    found = {topic.name: Part(topic.name, [], {}) for topic in topics}
    found[None] = Part(None, [], {})

    def place(name, pieces):
        topic = next(iter(pieces_of(name, pieces, topics)[-1:]), None)
        return found[topic.name if topic else None]

    for test in all_tests():
        if keeps(step, test['kept']) and wanted(test['name'], test['pieces'], only, topics):
            place(test['name'], test['pieces']).tests.append(test)
    for name, attempt in attacks_of(step).items():
        if wanted(name, [], only, topics):
            place(name, []).attacks[name] = attempt
    return list(found.values())


def is_any_wanted(step, only):
    """Whether --only means any promise of a step."""
    always = [f'{words} ({who})' for words in (RUNS, ENTERS, LEAVES_NOTHING)
              for who in ('root', 'user')]
    return any(only in name for name in [*always, AFTERWARDS]) or \
        any(part.tests or part.attacks for part in parts(step, only))


def number_of(step, chosen=None):
    """How many promises it has, or some of its parts(): with what comes first of all."""
    return 3 * len(callers(step)) + 1 + sum(len(part.tests) + len(part.attacks)
                                            for part in chosen or parts(step))


def results(step, chosen, jobs, stops):
    """The promises of some parts, in order; if it `stops`, up to the first of a piece that is
    broken, because the pieces behind it cannot hold yet. Several groups run at a time."""
    rows = {name: attempt for part in chosen for name, attempt in part.attacks.items()}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        try:
            work = [(part, [pool.submit(lambda part=part, group=group: list(promises_of(
                step, group, stops and part.piece))) for group in groups(part.tests)])
                    for part in chosen]
            attacked = pool.submit(attack, step, rows) if rows else None
            for part, some in work:
                for promise in itertools.chain(
                        itertools.chain.from_iterable(group.result() for group in some),
                        (attacked.result()[name] for name in part.attacks)):
                    yield promise
                    if stops and part.piece and promise.verdict == BROKEN:
                        return
            if attacked and AFTERWARDS in attacked.result():
                yield attacked.result()[AFTERWARDS]
        finally:
            GIVE_UP.set()
            pool.shutdown(cancel_futures=True)
            GIVE_UP.clear()


def promises(step, chosen, jobs, stops=False):
    """Those that come first of all, and those of some parts(): see results(). Ends where no more
    can be told."""
    renew_rootfs()
    is_ready = True
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for some in pool.map(functools.partial(first_of_all, step), callers(step)):
            for promise in some if is_ready else []:
                yield promise
                is_ready &= promise.verdict != BROKEN
    if not is_ready:
        yield Promise(THE_REST, UNCHECKED, ['first of all it has to run a command in the rootfs, '
                                            'and to leave nothing'])
        return
    endless = 0
    for promise in results(step, chosen, jobs, stops):
        yield promise
        endless += any(line.startswith(NO_END) for line in promise.saw)
        if endless == MOST_WITHOUT_END:
            yield Promise(THE_REST, UNCHECKED, [f'{MOST_WITHOUT_END} did not end, and each needs '
                                                f'{TIMEOUT_SECONDS} seconds'])
            return
