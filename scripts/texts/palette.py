"""The layers' colours. The slides' style sheet sets them; pictures elsewhere take the same."""

import html
import os
import re

from texts import sources
from texts.sources import TOP


def colours(dark=False):
    """All by their names, on a light or a dark page."""
    looks = sources.read(TOP + '/slides/palette.css').partition(':root[data-look=dark]')
    return dict(re.findall(r'--([\w-]+): (#\w+);', looks[2 if dark else 0]))


def layers(dark=False):
    """For each step's number its colour on a light or a dark page."""
    return {name[-2:]: colour for name, colour in colours(dark).items() if name[:6] == 'layer-'}


DARK = re.compile(r'@media *\(prefers-color-scheme: *dark\) *\{(?:[^{}]*\{[^{}]*\})*\s*\}')
COMMENT = re.compile(r'<!--.*?-->\n?', re.S)
# What the drawings that programs make have instead of these colours.
OTHERS = {'white': 'page', '#fff': 'page', '#eaeef2': 'no-soft', '#cf222e': 'hits',
          '#fff1f0': 'hits-soft', '#1a7f37': 'own', '#dafbe1': 'own-soft'}


def inlined(path, alt):
    """A drawing as a part of a page: its colours are the page's variables, --text for example, so
    it follows when the page becomes dark."""
    svg = sources.read(f'{TOP}/{path}')
    svg = DARK.sub('', COMMENT.sub('', svg[svg.index('<svg'):]))
    names = {**{colour: name for name, colour in colours().items()}, **OTHERS}
    svg = re.sub(r'(?<=["\':])(#[0-9a-f]{3,6}|white)\b',
                 lambda found: f'var(--{names.get(found[1], found[1])})', svg)
    if 'aria-labelledby' in svg:
        return svg
    # A program made it. It has no description, and its style would be that of the whole page.
    mark = 'd-' + os.path.basename(path)[:-4]
    head, rest = re.sub(r'<title>.*?</title>', '', svg, flags=re.S).split('>', 1)
    head = re.sub(r' (width|height|role|aria-label)="[^"]*"', '', head)
    rest = re.sub(r'<style>(.*?)</style>', lambda found: '<style>' + re.sub(
        r'([^{}]+)\{', rf'.{mark} \1{{', found[1]) + '</style>', rest, flags=re.S)
    return f'{head} class="{mark}" role="img" aria-label="{html.escape(alt)}">{rest}'
