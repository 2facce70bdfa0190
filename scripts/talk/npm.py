"""What npm brings for the slides and the browser: slides/package-lock.json pins it."""

import os
import shutil
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLACE = TOP + '/build/npm'
MODULES = PLACE + '/node_modules'


class Missing(Exception):
    """Why it is not there."""


def fetch():
    """Brings what is pinned, if that is not there yet, and runs no program of it."""
    os.makedirs(PLACE, exist_ok=True)
    lock = 'package-lock.json'
    with open(f'{TOP}/slides/{lock}', encoding='utf-8') as file:
        wanted = file.read()
    done = PLACE + '/done'
    if os.path.exists(done) and open(done, encoding='utf-8').read() == wanted:
        return
    for name in ('package.json', lock):
        shutil.copy(f'{TOP}/slides/{name}', PLACE)
    # npm uses what another clone has fetched, and asks a registry again that does not answer.
    words = ['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error',
             '--prefer-offline', '--fetch-retries=5', '--fetch-retry-mintimeout=2000',
             '--fetch-retry-maxtimeout=5000']
    try:
        subprocess.run(words, cwd=PLACE, check=True, stdout=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise Missing('there is no npm: scripts/setup slides') from error
    except subprocess.CalledProcessError as error:
        raise Missing('npm could not fetch what slides/package-lock.json pins. It needs a '
                      'network, once') from error
    with open(done, 'w', encoding='utf-8') as file:
        file.write(wanted)
