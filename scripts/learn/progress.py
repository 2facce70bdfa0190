"""What came last of checks and of hints, as my/.progress.json remembers it, and the walls that
are built."""

import contextlib
import hashlib
import json
import os

from learn.files import MY, STEPS, course, mine, read, write
from learn.promise import BROKEN, BUILDS, HOLDS, NO_ROOT

MEMORY = MY + '/.progress.json'


def recall():
    """What is not as we wrote it is as good as nothing."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        memory = json.loads(read(MEMORY))
        return {'hints': dict(memory['hints']),
                'checks': {step: check for step, check in memory['checks'].items()
                           if {'of', 'broken', 'seen', 'needs_root', 'number'} <= check.keys() and
                           isinstance(check['seen'], dict)}}
    return {'checks': {}, 'hints': {}}


def remember(memory):
    write(MEMORY, json.dumps(memory, indent=1) + '\n')


def fingerprint(step):
    return hashlib.sha256(read(mine(step)).encode()).hexdigest()


def as_remembered(promise):
    return {'name': promise.name, 'saw': '\n'.join(promise.saw), 'said': '\n'.join(promise.said),
            'pieces': promise.pieces}


def remember_check(step, found, number, is_whole):
    """Notes the promises that a check has found, of the `number` that the step has. After only some
    of them, what is known of the others stays known, but not that all of this file were checked."""
    memory = recall()
    some = {'of': fingerprint(step), 'number': number,
            'broken': [as_remembered(one) for one in found if one.verdict == BROKEN],
            'needs_root': sum(one.saw == [NO_ROOT] for one in found),
            'seen': {one.name: one.pieces for one in found if one.verdict in (HOLDS, BROKEN)}}
    earlier = memory['checks'].get(step)
    if not is_whole and earlier:
        is_same = earlier['of'] == some['of']
        broken = [one for one in earlier['broken'] if one['name'] not in {BUILDS, *some['seen']}]
        some.update(of=some['of'] if is_same else '', broken=some['broken'] + broken,
                    needs_root=earlier['needs_root'] if is_same else some['needs_root'],
                    seen={**earlier['seen'], **some['seen']})
    elif not is_whole:
        some['of'] = ''
    memory['checks'][step] = some
    remember(memory)


def standing(last, step):
    """A sign and words for the last check of a step."""
    hold = len(last['seen']) - len(last['broken'])
    note = f'{hold} of {last["number"]} promises hold'
    if last['of'] and last['of'] != fingerprint(step):
        return '~', note + '; changed since'
    if last['needs_root'] and not last['broken']:
        return '~', note + f', {last["needs_root"]} not checked, because they need root'
    if last['broken'] or not last['of']:
        return '~', note
    return '#', f'done: {hold} promises hold'


def progress():
    memory = recall()
    for step, name in STEPS.items():
        last = memory['checks'].get(step)
        if not os.path.exists(mine(step)):
            state, note = '.', 'not yet'
        elif last is None:
            state, note = '~', f'started; not checked yet: make check-{step}'
        else:
            state, note = standing(last, step)
        if state == '~' and os.path.exists(mine(step)) and read(mine(step)) == read(course(step)):
            state, note = '=', 'the course\'s own'
        wall = {'#': '[####]', '=': '[====]', '~': '[##  ]', '.': '[    ]'}[state]
        print(f'{wall} {name:<16} {note}')
