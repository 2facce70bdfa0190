"""What came last of checks and of hints, as my/.progress.json remembers it, and the walls that
are built."""

import contextlib
import hashlib
import json
import os

from learn.files import MY, STEPS, course, mine, read, write

MEMORY = MY + '/.progress.json'


def recall():
    """What is not as we wrote it is as good as nothing."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        memory = json.loads(read(MEMORY))
        return {'hints': dict(memory['hints']),
                'checks': {step: check for step, check in memory['checks'].items()
                           if {'of', 'broken', 'seen', 'needs_root'} <= check.keys() and
                           isinstance(check['seen'], dict)}}
    return {'checks': {}, 'hints': {}}


def remember(memory):
    write(MEMORY, json.dumps(memory, indent=1) + '\n')


def fingerprint(step):
    return hashlib.sha256(read(mine(step)).encode()).hexdigest()


def as_remembered(promise):
    return {'name': promise.name, 'saw': promise.saw, 'said': '\n'.join(promise.said),
            'pieces': promise.pieces}


def brought_up_to_date(earlier, some):
    """What is known of a step after some of its promises were checked: not all of any one
    file, unless it is still the one of which all were."""
    if earlier is None:
        return dict(some, of='')
    broken = [one for one in earlier['broken'] if one['name'] not in some['seen']]
    same = earlier['of'] == some['of']
    return dict(earlier if same else some, of=some['of'] if same else '',
                broken=broken + some['broken'], seen={**earlier['seen'], **some['seen']})


def progress():
    memory = recall()
    for step, name in STEPS.items():
        last = memory['checks'].get(step)
        if not os.path.exists(mine(step)):
            state, note = '.', 'not yet'
        elif last is None:
            state, note = '~', f'started; not checked yet: make check-{step}'
        else:
            broken = len(last['broken'])
            hold = len(last['seen']) - broken
            state, note = '~', f'started: {hold} hold, {broken} do not'
            if not last['broken']:
                state, note = '#', f'built, and holds: {hold} promises'
            if last['needs_root'] and not last['broken']:
                state, note = '~', (f'started: {hold} hold, {last["needs_root"]} '
                                    'not checked, for want of root')
            if not last['of']:
                state, note = '~', note + '; not all checked'
            elif last['of'] != fingerprint(step):
                state, note = '~', note + '; changed since'
        if state == '~' and os.path.exists(mine(step)) and read(mine(step)) == read(course(step)):
            state, note = '=', 'the course\'s own'
        wall = {'#': '[####]', '=': '[====]', '~': '[##  ]', '.': '[    ]'}[state]
        print(f'{wall} {name:<16} {note}')
