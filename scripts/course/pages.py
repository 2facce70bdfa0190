"""The pages of the course: each text as HTML. Served, a lesson has terminals beside it; as a file,
it has a recording."""

import functools
import html
import json
import os
import re
import string

from markdown_it import MarkdownIt

from learn import task
from talk import deck, recording
from texts import links, palette, sources, transcript

TOP = deck.TOP
HERE = os.path.dirname(os.path.abspath(__file__))
LESSONS = [f'steps/{name}/README.md' for name in deck.STEPS.values()]
# In this order one reads; the others are found by links.
COURSE = ['README.md', 'steps/README.md', *LESSONS, 'steps/docker.md', 'steps/oci/README.md']
LABELS = {'README.md': 'Start', 'steps/README.md': 'Intro', 'steps/docker.md': 'Docker',
          'steps/oci/README.md': 'OCI'}
WHERE = {'host#': 'host, root', 'host$': 'host, you', 'box#': 'container', '$': 'your terminal'}
COMMENT = re.compile(r'<!--.*?-->\n?', re.S)
SLIDES, SLIDES_FILE = 'slides.html', TOP + '/build/slides.html'
PROMPT = re.compile(r'((?:host|box)[#$]|\$) (.*)')


class Served:
    """Where the terminals are, if the pages are served."""
    address = ''


def path_of(place, name):
    """The path, from the top of the project, of a file that is named in the text at `place`."""
    return os.path.normpath(os.path.join(os.path.dirname(place), name))


def page_of(path):
    """What the page of a file is called."""
    for pattern, name in ((r'README\.md', 'index'), (r'steps/README\.md', 'intro'),
                          (r'steps/([\w-]+)/README\.md', r'\1'), (r'(?:.*/)?([\w-]+)\.md', r'\1')):
        if found := re.fullmatch(pattern, path):
            return found.expand(name) + '.html'
    return path.replace('/', '-') + '.html'


def step_of(path):
    """'03' for what is below steps/03-userns; '' for what is of no step."""
    found = re.match(r'steps/(\d\d)-', path)
    return found[1] if found else ''


class Text:
    """One text as a page: its HTML, what it leads to, and what the search finds in it."""

    def __init__(self, path):
        self.path, self.leads_to, self.cut = path, [], None
        self.has_player, self.toc, self.sections = False, [], []
        text = sources.read(f'{TOP}/{path}')
        self.blocks, self.words = {}, transcript.Comparison(()).words
        try:
            script = transcript.parse(text)
            self.words = transcript.Comparison(script.vary).words
            for command in script.commands:
                self.blocks.setdefault(command.block, []).append(command)
        except ValueError:  # README.md and hosts.md show other terminals.
            pass
        self.anchors = links.anchors(text)
        markdown = MarkdownIt('commonmark', {'html': True}).enable('table')
        self.renderer = markdown.renderer
        for rule in ('fence', 'code_block', 'image', 'heading_open', 'heading_close', 'link_open',
                     'table_open', 'table_close', 'html_block', 'html_inline', 'code_inline',
                     'text'):
            self.renderer.rules[rule] = getattr(self, rule)
        tokens = markdown.parse(text)
        self.html = self.renderer.render(tokens, markdown.options, {})

    def vary(self, text, tag='span'):
        """Text, escaped already; the words that vary can be replaced by the reader's own."""
        return self.words.sub(rf'<{tag} class="vary" data-name="\g<0>">\g<0></{tag}>', text)

    def escaped(self, text):
        return self.vary(html.escape(text))

    def find(self, text):
        """Puts a text where the search finds it."""
        if self.sections:
            self.sections[-1][2].append(text)

    # ---- How the tokens of Markdown are written

    def text(self, tokens, number, *_):
        self.find(tokens[number].content)
        return self.escaped(tokens[number].content)

    def code_inline(self, tokens, number, *_):
        self.find(tokens[number].content)
        is_short = len(tokens[number].content) <= 22  # It stays on one line.
        return (f'<code{" class=short" if is_short else ""}>{self.escaped(tokens[number].content)}'
                '</code>')

    def code_block(self, tokens, number, *_):
        self.find(tokens[number].content)
        return f'<pre class="plain" tabindex="0">{self.escaped(tokens[number].content)}</pre>'

    def fence(self, tokens, number, *_):
        token = tokens[number]
        if token.info != 'cpp' and not token.info.startswith('console'):
            return self.code_block(tokens, number)
        self.find(token.content)
        if token.info != 'cpp':
            return self.console(token)
        cut, self.cut = self.cut, None
        if not cut:
            return source(token.content.split('\n')[:-1])
        path = path_of(self.path, cut[0])
        first = sources.place(sources.read(f'{TOP}/{path}').split('\n'), cut[1])[0] + 1
        self.leads_to.append(path)
        return source(token.content.split('\n')[:-1], first,
                      f'<a href="{page_of(path)}#line-{first}">{path}:{first}</a>')

    def console(self, token):
        known = self.blocks.get(token.map[0] + 1)
        if known:
            commands = [(one.place + one.sign, one.typed, one.expected, one.line) for one in known]
        else:
            commands = []
            for line in token.content.split('\n')[:-1]:
                if found := PROMPT.match(line):
                    commands.append((found[1], [found[2]], [], 0))
                else:
                    commands[-1][2].append(line)
        condition = known[0].condition if known else ''
        where = ' · '.join(dict.fromkeys(WHERE[prompt] for prompt, *_ in commands))
        kind, does = 'copy', 'Copy'
        if Served.address and known:
            kind, does = 'all', f'Run all {len(commands)}' if len(commands) > 1 else 'Run it'
        button = f'<button type="button" class="{kind}">{does}</button>'
        return (f'<figure class="console"><figcaption>{where}'
                f'{f" · for {condition}" if condition else ""}{button}</figcaption>' +
                ''.join(self.command(*command) for command in commands) + '</figure>')

    def command(self, prompt, typed, printed, line):
        prompts = [prompt + ' '] + ['> '] * len(typed)
        lines = ''.join(f'<kbd data-prompt="{before}">{self.escaped(one)}</kbd>'
                        for before, one in zip(prompts, typed))
        lines += ''.join(f'<samp>{self.escaped(one) or "&nbsp;"}</samp>' for one in printed)
        run = '<button type="button" class="run" ' \
              f'aria-label="Run {html.escape(typed[0])}"></button>'
        return (f'<div class="command {prompt.rstrip("#$")}" data-line="{line}">'
                f'{run if Served.address and line else ""}<pre>{lines}</pre></div>')

    def image(self, tokens, number, *_):
        token = tokens[number]
        path = path_of(self.path, token.attrs['src'])
        if path.endswith('recording.svg'):
            return self.player()
        svg = palette.inlined(path, token.content)
        # Numbers that vary can be replaced here, too.
        return '<div class="drawing">' + re.sub(
            r'(<(?:text|tspan)\b[^>]*>)([^<]+)',
            lambda found: found[1] + self.vary(found[2], 'tspan'), svg) + '</div>'

    def player(self):
        self.has_player = True
        return '<div class="recording" id="player"></div>'

    def heading_open(self, tokens, number, *_):
        level, name = int(tokens[number].tag[1]), next(self.anchors)
        heading = tokens[number + 1].content.replace('`', '')
        self.sections.append((name, heading, []))
        if level == 2:
            self.toc.append((name, heading))
        return f'<h{level} id="{name}">'

    def heading_close(self, tokens, number, *_):
        is_shown = tokens[number - 1].content == 'Run it' and self.path in LESSONS and \
            not Served.address
        return f'</{tokens[number].tag}>{self.player() if is_shown else ""}'

    def link_open(self, tokens, number, options, *_):
        link = tokens[number].attrs['href']
        if not re.match(r'[a-z]+:|#', link):
            name, _, place = link.partition('#')
            path = path_of(self.path, name)
            self.leads_to.append(path)
            tokens[number].attrSet('href', page_of(path) + (f'#{place}' if place else ''))
        return self.renderer.renderToken(tokens, number, options, {})

    def table_open(self, tokens, number, *_):
        """On a phone, a row with many cells is a list: so each cell says what it is."""
        end = next(n for n in range(number, len(tokens)) if tokens[n].type == 'table_close')
        heads = [tokens[n + 1].content for n in range(number, end) if tokens[n].type == 'th_open']
        cells = [token for token in tokens[number:end] if token.type == 'td_open']
        for n, cell in enumerate(cells):
            cell.attrSet('data-label', heads[n % len(heads)])
        return '<div class="table" tabindex="0" role="group" aria-label="Table"><table>'

    def table_close(self, *_):
        return '</table></div>'

    def html_block(self, tokens, number, *_):
        if found := re.match(r'<!-- code (\S+): (.*?) -->', tokens[number].content):
            self.cut = found.groups()
        return COMMENT.sub('', tokens[number].content)

    def html_inline(self, tokens, number, *_):
        return COMMENT.sub('', tokens[number].content)


def source(lines, first=1, caption='', colour=True, mark=''):
    """Code with the numbers of its lines; with a mark, a link can lead to a line."""
    coloured = deck.coloured(lines) if colour else map(html.escape, lines)
    rows = ''.join(f'<span class="line" {f"id={mark}{n} " if mark else ""}data-n="{n}">'
                   f'{line or " "}</span>' for n, line in enumerate(coloured, first))
    caption = f'<figcaption>{caption}</figcaption>' if caption else ''
    return f'<figure class="source"><pre class="code" tabindex="0">{rows}</pre>{caption}</figure>'


class Source:
    """A file of the project that a text leads to, as a page."""
    leads_to, toc, sections, blocks, has_player = (), (), (), {}, False

    def __init__(self, path):
        self.path = path

    @property
    def html(self):
        """It takes long, and few are looked at."""
        lines = sources.read(f'{TOP}/{self.path}').rstrip('\n').split('\n')
        is_cpp = self.path.endswith(('.cpp', '.hpp'))
        return f'<h1>{self.path}</h1>' + source(lines, colour=is_cpp, mark='line-')


@functools.lru_cache(maxsize=None)
def title(path):
    """The title of a text, or None. Slides are Markdown, too, but have none, and are shown as they
    are."""
    found = path.endswith('.md') and re.search(r'^# (.*)', sources.read(f'{TOP}/{path}'), re.M)
    return found[1].replace('`', '') if found else None


@functools.lru_cache(maxsize=None)
def read(path):
    """The page of a file."""
    return (Text if title(path) else Source)(path)


@functools.lru_cache(maxsize=None)
def all_pages():
    """The names of all pages, each with its file: what the course leads to, and no other file."""
    found, wanted = {}, list(reversed(COURSE))
    while wanted:
        path = wanted.pop()
        if page_of(path) not in found:
            found[page_of(path)] = path
            wanted += read(path).leads_to
    return found


def find(name):
    """The file of a page, or None. Those that one reads are known before all others are made."""
    known = {page_of(path): path for path in COURSE}
    return known.get(name) or all_pages().get(name)


# ---- Whole pages --------------------------------------------------------------

def steps(path):
    """The way through the course, and where on it one is."""
    shown = ''
    for other in COURSE:
        label = LABELS.get(other) or step_of(other)
        here = ' aria-current="page"' if other == path else ''
        shown += (f'<a href="{page_of(other)}" class="layer-{step_of(other) or "intro"}"{here} '
                  f'title="{html.escape(title(other))}">{label}</a>')
    return shown


def around(path):
    """The pages before and after."""
    if path not in COURSE:
        return ''
    made, at = '', COURSE.index(path) + 1
    for word, rel, others in (('Before', 'prev', COURSE[:at - 1][-1:]),
                              ('Next', 'next', COURSE[at:at + 1])):
        for to in others:
            made += (f'<a class="layer-{step_of(to) or "intro"}" rel="{rel}" href="{page_of(to)}">'
                     f'<small>{word}</small>{html.escape(title(to))}</a>')
    return f'<nav class="around" aria-label="Before and after">{made}</nav>'


def contents(page):
    """The headings of a page."""
    if len(page.toc) < 2:
        return ''
    items = ''.join(f'<li><a href="#{name}">{html.escape(heading)}</a></li>'
                    for name, heading in page.toc)
    return f'<nav class="toc" aria-label="On this page"><b>On this page</b><ul>{items}</ul></nav>'


# A page may load files beside it, and nothing else. The player runs in a worker and in WebAssembly.
POLICY = ("default-src 'none'; script-src 'self' file: 'wasm-unsafe-eval' blob: data:; "
          "style-src 'self' file: 'unsafe-inline'; font-src data:; img-src data: blob:; "
          "connect-src data:; worker-src blob: data:; base-uri 'none'; form-action 'none'")


def filled(name, **what):
    """A template beside this file, with its words filled in."""
    return string.Template(sources.read(f'{HERE}/{name}')).substitute(what)


def beside(step):
    """What stands beside a lesson that is served."""
    pieces = ''.join(f'<li data-piece="{html.escape(piece)}">{html.escape(piece)}</li>'
                     for piece in (task.pieces(step) if step else ()))
    return filled('beside.html', step=step, pieces=pieces, hidden='' if step else 'hidden')


def whole(path):
    """A page, from its doctype on."""
    page, step = read(path), step_of(path)
    is_live = bool(Served.address and page.blocks)
    facts = {'page': page_of(path), 'step': step}
    styles, scripts, policy = ['fonts.css', 'course.css'], ['course.js'], POLICY
    if Served.address:
        policy = policy.replace('file:', '').replace('connect-src', f'connect-src {Served.address}')
    if page.has_player:
        facts['cast'] = recording.cast(step or '08', recording.of_step(step or '08'))
        styles, scripts = ['player.css', *styles], ['player.js', *scripts]
    if is_live:
        styles, scripts = ['xterm.css', *styles], ['xterm.js', *scripts, 'terminals.js', 'live.js']
    return filled(
        'page.html', layer=step or 'intro', policy=policy, title=html.escape(title(path) or path),
        styles=''.join(f'<link rel="stylesheet" href="{name}">' for name in styles),
        scripts=''.join(f'<script src="{name}"></script>' for name in scripts),
        steps=steps(path), around=around(path), columns='two' if is_live else 'one',
        text=page.html, aside=beside(step) if is_live else contents(page),
        facts=json.dumps(facts).replace('</', '<\\/'))


def index():
    """For the search: of each section its place, its step, its page and heading, and its words. It
    is a script, because a page that is a file may load nothing else."""
    found = [[f'{name}#{place}', step_of(path) or 'intro', title(path), section,
              re.sub(r'\s+', ' ', ' '.join(words))]
             for name, path in all_pages().items()
             for place, section, words in read(path).sections]
    return f'found({json.dumps(found, ensure_ascii=False)});'


def theme():
    """The colours of the slides, and of the layers."""
    light, dark = (';'.join(f'--{name}:{colour}' for name, colour in palette.colours(dark).items())
                   for dark in (False, True))
    made = f':root {{{light}}}\n@media screen {{ :root[data-look=dark] {{{dark}}} }}\n'
    return made + ''.join(f'.layer-{step} {{--accent:var(--layer-{step})}}\n'
                          for step in deck.STEPS)


def slides():
    """The slides that were made last, with terminals; None if none were made."""
    if not os.path.exists(SLIDES_FILE):
        return None
    text = sources.read(SLIDES_FILE)
    for old, new in (('script-src', "script-src 'self'"), ('style-src', "style-src 'self'"),
                     ('connect-src', f'connect-src {Served.address}')):
        text = text.replace(old, new, 1)
    return text.rpartition('</body>')[0] + '<link rel="stylesheet" href="xterm.css">' + ''.join(
        f'<script src="{name}"></script>' for name in ('xterm.js', 'terminals.js', 'over.js'))


PLAYER, XTERM = 'asciinema-player/dist/bundle/asciinema-player', '@xterm/xterm'
FILES = {
    'look.js': lambda: sources.read(HERE + '/look.js'),
    'course.js': lambda: sources.read(HERE + '/course.js'),
    'search.js': index,
    'course.css': lambda: theme() + sources.read(HERE + '/course.css'),
    'fonts.css': deck.fonts,
    'player.css': lambda: deck.asset(PLAYER + '.css'),
    'player.js': lambda: deck.asset(PLAYER + '.min.js'),
}
SERVED = {
    **FILES,
    SLIDES: slides,
    'terminals.js': lambda: sources.read(HERE + '/terminals.js'),
    'live.js': lambda: sources.read(HERE + '/live.js'),
    'over.js': lambda: sources.read(TOP + '/slides/live.js'),
    'xterm.css': lambda: deck.asset(XTERM + '/css/xterm.css'),
    'xterm.js': lambda: deck.asset(XTERM + '/lib/xterm.js'),
}


def served(name):
    """The text of a file of the course; None if there is no such file."""
    if name in SERVED:
        return SERVED[name]()
    path = find(name)
    return path and whole(path)
