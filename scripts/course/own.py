"""What the reader writes beside a lesson: my/NN.cpp is checked at each save, by scripts/learn."""

import asyncio
import json
import os
import signal
import subprocess

from learn.watch import saved

GLANCE = 0.4  # Seconds between two looks at the files.


class Own:
    """The steps whose lessons are open. What is found is told in these."""

    def __init__(self, sessions):
        self.sessions, self.seen, self.process = sessions, {}, None
        self.watching = asyncio.create_task(self.watch())

    async def watch(self):
        """What is there at the first look is not checked, because its reader might only read."""
        while True:
            for session in self.sessions.values():
                if session.step and session.pages:
                    before, now = self.seen.get(session, 0), saved(session.step)
                    self.seen[session] = now
                    if now and before not in (0, now):
                        self.obey('check', session)
                    elif now != before:
                        session.forget('own')
                        session.tell('own', state='there' if now else 'missing')
            await asyncio.sleep(GLANCE)

    def obey(self, do, session):
        if session.step and (do == 'begin' or saved(session.step)):
            asyncio.create_task(self.run(do, session))

    async def run(self, do, session):
        """A check ends the one before; a hint is about the last check."""
        if do == 'check':
            await self.end_check()
            session.forget('own')
            session.tell('own', state='there')
        words = ['start', session.step] if do == 'begin' else [do, session.step, '--json']
        process = await asyncio.create_subprocess_exec(
            'scripts/learn/learn', *words, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=os.setpgrp)
        if do == 'check':
            self.process = process
        said = ''
        async for line in process.stdout:
            if do == 'check' and process is not self.process:
                return
            try:
                session.tell('own', **json.loads(line))
            except ValueError:  # What the compiler says, for example.
                said += line.decode(errors='replace')
        if said:
            session.tell('own', state='ended', text=said.strip())

    async def end_check(self):
        process, self.process = self.process, None
        if process and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()

    async def end(self):
        self.watching.cancel()
        await self.end_check()
