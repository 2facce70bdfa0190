"""The layers' colours. The slides' style sheet sets them; pictures elsewhere take the same."""

import os
import re

from texts import sources

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def colours(dark=False):
    """All by their names, on a light or a dark page."""
    looks = sources.read(TOP + '/slides/theme.css').partition(':root[data-look=dark]')
    return dict(re.findall(r'--([\w-]+): (#\w+);', looks[2 if dark else 0]))


def layers(dark=False):
    """For each step's number its colour on a light or a dark page."""
    return {name[-2:]: colour for name, colour in colours(dark).items() if name[:6] == 'layer-'}
