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
PROMPT = re.compile(r'((?:host|box)[#$]|\$) (.*)')
CUT = re.compile(r'<!-- code (\S+): (.*?) -->')
COMMENT = re.compile(r'<!--.*?-->\n?', re.S)
SLIDES, SLIDES_FILE = 'slides.html', TOP + '/build/slides.html'
DRIVER = 'driver.html'  # A terminal in the speaker's view of the slides.
HEADING = re.compile(r'<h(\d) id="(.*?)">(.*?)</h\d>')
SHORT = 22  # Letters of code that stay on one line.
PLAYER = '<div class="recording" id="player" role="group" aria-label="A recording"></div>'
# A page may load files beside it, and nothing else. The player runs in a worker and in WebAssembly.
POLICY = ("default-src 'none'; script-src 'self' file: 'wasm-unsafe-eval' blob: data:; "
          "style-src 'self' file: 'unsafe-inline'; font-src data:; img-src data: blob:; "
          "connect-src 'self' data:; worker-src blob: data:; base-uri 'none'; form-action 'none'")


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
    """One text as a page: its HTML, its commands, and what it leads to."""

    def __init__(self, path):
        self.path, self.leads_to = path, []
        text = sources.read(f'{TOP}/{path}')
        try:
            self.script = transcript.parse(text)
        except ValueError:  # README.md and hosts.md show other terminals.
            self.script = transcript.Transcript([], ())
        self.words = transcript.Comparison(self.script.vary).words
        self.anchors = links.anchors(text)
        markdown = MarkdownIt('commonmark', {'html': True}).enable('table')
        for rule in ('fence', 'code_block', 'image', 'heading_open', 'code_inline', 'text'):
            markdown.renderer.rules[rule] = getattr(self, rule)
        made = COMMENT.sub('', markdown.render(text))
        made = re.sub(f'<a href="[^"]*">({PLAYER})</a>', r'\1', made)
        made = re.sub(r'(?<=<a href=")(?![a-z]+:|#)([^"#]+)', self.link, made)
        made = made.replace('</table>', '</table></div>').replace(
            '<table>', '<div class="table" tabindex="0" role="group" aria-label="Table"><table>')
        if path in LESSONS:
            made = re.sub(r'(?<=>Run it)</h\d>', rf'\g<0>{PLAYER}', made, count=1)
        self.html = made

    def vary(self, text, tag='var'):
        """Text, escaped already; the words that vary can be replaced by the reader's own."""
        return self.words.sub(rf'<{tag} class="vary" data-name="\g<0>">\g<0></{tag}>', text)

    def escaped(self, text):
        return self.vary(html.escape(text))

    def sections(self):
        """The place, the heading and the words of each, for the search."""
        _, *parts = HEADING.split(re.sub(r'<(svg|figcaption).*?</\1>', '', self.html, flags=re.S))
        for place, heading, body in zip(parts[1::4], parts[2::4], parts[3::4]):
            yield place, words(heading), words(body)

    # ---- How the tokens of Markdown are written

    def link(self, found):
        path = path_of(self.path, found[1])
        self.leads_to.append(path)
        return page_of(path)

    def text(self, tokens, number, *_):
        return self.escaped(tokens[number].content)

    def code_inline(self, tokens, number, *_):
        text = tokens[number].content
        return f'<code{" class=short" * (len(text) <= SHORT)}>{self.escaped(text)}</code>'

    def code_block(self, tokens, number, *_):
        return f'<pre class="plain">{self.escaped(tokens[number].content)}</pre>'

    def heading_open(self, tokens, number, *_):
        return f'<{tokens[number].tag} id="{next(self.anchors)}">'

    def fence(self, tokens, number, *_):
        token = tokens[number]
        if token.info.startswith('console'):
            return self.console(token)
        if token.info != 'cpp':
            return self.code_block(tokens, number)
        lines = token.content.split('\n')[:-1]
        cut = CUT.match(tokens[number - 1].content)
        if not cut:
            return source(lines)
        path = path_of(self.path, cut[1])
        first = sources.place(sources.read(f'{TOP}/{path}').split('\n'), cut[2])[0] + 1
        return source(lines, first, f'<a href="{cut[1]}#line-{first}">{path}:{first}</a>')

    def console(self, token):
        known = [one for one in self.script.commands if one.block == token.map[0] + 1]
        commands = [(one.place + one.sign, one.typed, one.expected, one.line) for one in known]
        for line in [] if known else token.content.split('\n')[:-1]:
            if found := PROMPT.match(line):
                commands.append((found[1], [found[2]], [], 0))
            else:
                commands[-1][2].append(line)
        where = ' · '.join(dict.fromkeys(WHERE[prompt] for prompt, *_ in commands))
        if known and known[0].condition:
            where += f' · for {known[0].condition}'
        return (f'<figure class="console"><figcaption>{where}'
                '<button type="button" class="copy">Copy</button></figcaption>' +
                ''.join(self.command(*command) for command in commands) + '</figure>')

    def command(self, prompt, typed, printed, line):
        prompts = [prompt + ' '] + ['> '] * len(typed)
        lines = ''.join(f'<kbd data-prompt="{before}">{self.escaped(one)}</kbd>'
                        for before, one in zip(prompts, typed))
        lines += ''.join(f'<samp>{self.escaped(one) or "&nbsp;"}</samp>' for one in printed)
        return (f'<div class="command {prompt.rstrip("#$")}" data-line="{line}">'
                f'<pre>{lines}</pre></div>')

    def image(self, tokens, number, *_):
        path = path_of(self.path, tokens[number].attrs['src'])
        if path.endswith('recording.svg'):
            return PLAYER
        # Numbers that vary can be replaced here, too.
        return '<div class="drawing">' + re.sub(
            r'(<(?:text|tspan)\b[^>]*>)([^<]+)',
            lambda found: found[1] + self.vary(found[2], 'tspan'),
            palette.inlined(path, tokens[number].content)) + '</div>'


def words(markup):
    """The text of HTML. Only inside a line no blank stands for a tag."""
    plain = re.sub('<[^>]*>', ' ', re.sub('</?(?:a|code|em|i|strong|var)\\b[^>]*>', '', markup))
    return ' '.join(html.unescape(plain).split())


def source(lines, first=1, caption='', colour=True, mark=''):
    """Code with the numbers of its lines; with a mark, a link can lead to a line."""
    coloured = deck.coloured(lines) if colour else map(html.escape, lines)
    rows = ''.join(f'<span class="line" {f"id={mark}{n} " if mark else ""}data-n="{n}">'
                   f'{line or " "}</span>' for n, line in enumerate(coloured, first))
    caption = f'<figcaption>{caption}</figcaption>' if caption else ''
    return (f'<figure class="source"><pre class="code" tabindex="0" role="group" aria-label="Code">'
            f'{rows}</pre>{caption}</figure>')


def whole_source(path):
    """A file that is no text, as a page."""
    lines = sources.read(f'{TOP}/{path}').rstrip('\n').split('\n')
    return f'<h1>{path}</h1>' + source(lines, colour=path.endswith(('.cpp', '.hpp')), mark='line-')


@functools.lru_cache(maxsize=None)
def title(path):
    """The title of a text, or None. Slides are Markdown, too, but have none, and are shown as they
    are."""
    found = path.endswith('.md') and re.search(r'^# (.*)', sources.read(f'{TOP}/{path}'), re.M)
    return found[1].replace('`', '') if found else None


@functools.lru_cache(maxsize=None)
def read(path):
    """A text; None for another file."""
    return Text(path) if title(path) else None


@functools.lru_cache(maxsize=None)
def all_pages():
    """The names of all pages, each with its file: what the course leads to, and no other file."""
    found, wanted = {}, list(reversed(COURSE))
    while wanted:
        path = wanted.pop()
        if page_of(path) not in found:
            found[page_of(path)] = path
            wanted += read(path).leads_to if read(path) else ()
    return found


def find(name):
    """The file of a page, or None. Those that one reads are known before all others are made."""
    known = {page_of(path): path for path in COURSE}
    return known.get(name) or all_pages().get(name)


# ---- Whole pages --------------------------------------------------------------

def filled(name, **what):
    """A template beside this file, with its words filled in."""
    return string.Template(sources.read(f'{HERE}/{name}')).substitute(what)


def to_page(path, inside, more=''):
    """A link in the colour of a step."""
    return f'<a href="{page_of(path)}" class="layer-{step_of(path) or "intro"}"{more}>{inside}</a>'


def steps(path):
    """The way through the course, and where on it one is."""
    return ''.join(to_page(other, LABELS.get(other) or step_of(other),
                           f' title="{html.escape(title(other))}"' +
                           ' aria-current="page"' * (other == path)) for other in COURSE)


def around(path):
    """The pages before and after."""
    at = COURSE.index(path) if path in COURSE else len(COURSE) + 1
    made = ''.join(to_page(to, f'<small>{word}</small>{html.escape(title(to))}', f' rel="{rel}"')
                   for word, rel, others in (('Before', 'prev', COURSE[:at][-1:]),
                                             ('Next', 'next', COURSE[at + 1:at + 2]))
                   for to in others if path in COURSE)
    return made and f'<nav class="around" aria-label="Before and after">{made}</nav>'


def contents(text):
    """The headings of a page."""
    items = [f'<li><a href="#{place}">{html.escape(words(heading))}</a></li>'
             for level, place, heading in HEADING.findall(text) if level == '2']
    return filled('contents.html', items=''.join(items)) if len(items) > 1 else ''


def beside(step):
    """What stands beside a lesson that is served."""
    pieces = ''.join(f'<li data-piece="{html.escape(piece)}">{html.escape(piece)}</li>'
                     for piece in (task.pieces(step) if step else ()))
    return filled('beside.html', step=step, pieces=pieces, hidden='' if step else 'hidden')


def whole(path, is_served=False):
    """A page, from its doctype on."""
    page, step = read(path), step_of(path)
    text = page.html if page else whole_source(path)
    is_live = is_served and page and page.script.commands
    facts = {'page': page_of(path), 'step': step}
    styles, scripts = ['fonts.css', 'palette.css', 'course.css'], ['course.js']
    if is_live:
        styles, scripts = ['xterm.css', *styles], ['xterm.js', *scripts, 'terminals.js', 'live.js']
    elif PLAYER in text:
        facts['cast'] = recording.cast(step or '08', recording.of_step(step or '08'))
        styles, scripts = ['player.css', *styles], ['player.js', *scripts]
    return filled(
        'page.html', layer=step or 'intro', policy=POLICY, title=html.escape(title(path) or path),
        styles=''.join(f'<link rel="stylesheet" href="{name}">' for name in styles),
        scripts=''.join(f'<script src="{name}"></script>' for name in scripts),
        steps=steps(path), around=around(path), columns='two' if is_live else 'one',
        text=text, aside=beside(step) if is_live else contents(text),
        facts=json.dumps(facts).replace('</', '<\\/'))


def index():
    """For the search: of each section its place, its step, its page and heading, and its words. It
    is a script, because a page that is a file may load nothing else."""
    found = [[f'{name}#{place}', step_of(path) or 'intro', title(path), heading, text]
             for name, path in all_pages().items() if read(path)
             for place, heading, text in read(path).sections()]
    return f'found({json.dumps(found, ensure_ascii=False)});'


def slides(has_slides=True):
    """The slides that were made last, with terminals, or only a terminal; None if no slides were
    made."""
    if not os.path.exists(SLIDES_FILE):
        return None
    text = re.sub('(?:script|style|connect)-src', r"\g<0> 'self'", sources.read(SLIDES_FILE), count=3)
    head, _, body = text.rpartition('</body>')[0].partition('<body>')
    links = '<link rel="stylesheet" href="xterm.css">' + ''.join(
        f'<script src="{name}"></script>' for name in ('xterm.js', 'terminals.js', 'over.js'))
    return head + '<body>' + (body if has_slides else '') + links


OURS = {name: f'{HERE}/{name}' for name in
        ('look.js', 'course.js', 'course.css', 'terminals.js', 'live.js')}
OURS |= {'palette.css': TOP + '/slides/palette.css', 'over.js': TOP + '/slides/live.js'}
NPM = {'player.css': 'asciinema-player/dist/bundle/asciinema-player.css',
       'player.js': 'asciinema-player/dist/bundle/asciinema-player.min.js',
       'xterm.css': '@xterm/xterm/css/xterm.css', 'xterm.js': '@xterm/xterm/lib/xterm.js'}
MADE = {'search.js': index, 'fonts.css': deck.fonts, SLIDES: slides,
        DRIVER: lambda: slides(has_slides=False)}
# What the pages of the book load.
BOOK = ['look.js', 'course.js', 'course.css', 'palette.css', 'search.js', 'fonts.css',
        'player.css', 'player.js']


def file(name):
    """The text of a file of the course, as it is served; None if there is no such file."""
    if name in OURS:
        return sources.read(OURS[name])
    if name in NPM:
        return deck.asset(NPM[name])
    if name in MADE:
        return MADE[name]()
    path = find(name)
    return path and whole(path, is_served=True)
