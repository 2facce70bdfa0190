"""Checks the links of a text. Each leads to a file of this project, and to a heading in it."""

import os
import re
import urllib.parse

from markdown_it import MarkdownIt

from texts import sources

MARKDOWN = MarkdownIt('commonmark').enable('table')


def anchors(text):
    """The names of its headings in a link, in lower case and with hyphens between the words."""
    tokens = MARKDOWN.parse(text)
    for token, inline in zip(tokens, tokens[1:]):
        if token.type == 'heading_open':
            plain = ''.join(piece.content for piece in inline.children).strip().lower()
            yield re.sub(r'[^\w\- ]', '', plain).replace(' ', '-')


def is_foreign(path, name):
    """Whether a link leads to no file of the project. Such a path begins with a slash, leads out
    of the project, or leads to a file that is built."""
    first = os.path.normpath(os.path.join(os.path.dirname(path), name)).split(os.sep)[0]
    return os.path.isabs(name) or first in ('..', 'build')


def is_broken(path, link):
    """Whether a relative link leads nowhere, or out of the project."""
    name, _, place = urllib.parse.unquote(link).partition('#')
    target = os.path.join(os.path.dirname(path), name) if name else path
    return not os.path.exists(target) or bool(name) and is_foreign(path, name) or \
        bool(place) and place not in anchors(sources.read(target))


def broken_links(path, text):
    """Links that lead nowhere or out of the project, links in HTML, and references without a
    definition."""
    found = {}
    tokens = MARKDOWN.parse(text, found)
    tokens += [piece for token in tokens for piece in token.children or []]
    links = [token.attrs.get('href') or token.attrs.get('src') for token in tokens]
    links += [reference['href'] for reference in found.get('references', {}).values()]
    broken = [link for link in links
              if link and not re.match(r'[a-z]+:', link) and is_broken(path, link)]
    return broken + [token.content for token in tokens
                     if token.type == 'text' and '][' in token.content or
                     token.type in ('html_inline', 'html_block') and '<a ' in token.content]
