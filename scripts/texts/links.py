"""The headings of a text as links name them."""

import re

from markdown_it import MarkdownIt

MARKDOWN = MarkdownIt('commonmark').enable('table')


def anchors(text):
    """The names of its headings in a link, in lower case and with hyphens between the words."""
    tokens = MARKDOWN.parse(text)
    for token, inline in zip(tokens, tokens[1:]):
        if token.type == 'heading_open':
            plain = ''.join(piece.content for piece in inline.children).strip().lower()
            yield re.sub(r'[^\w\- ]', '', plain).replace(' ', '-')
