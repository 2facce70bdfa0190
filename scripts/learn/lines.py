"""The checker for another program, such as the page beside a lesson: a line of JSON for each
result. What the compiler says comes as it is."""

import json

from learn import task, watch
from learn.build import build
from learn.promise import BROKEN, HOLDS


def tell(**what):
    print(json.dumps(what), flush=True)


def check(step, jobs):
    """From the piece at hand on, as `watch` does, and at last the whole step, which is the piece
    None. Stops at the first promise that is broken."""
    if not build(step):
        tell(state='unbuilt')
        return
    for piece in [*watch.from_hand(step), None]:
        tell(piece=piece, state='running')
        found = watch.check_part(step, piece, jobs)
        is_broken = found[-1].verdict == BROKEN
        tell(piece=piece, state='broken' if is_broken else 'holds', promise=found[-1]._asdict(),
             number=sum(promise.verdict == HOLDS for promise in found), of=len(found))
        if is_broken:
            return


def hint(step):
    found = task.hint(step)
    tell(state='hint', hint=found and found._asdict())
