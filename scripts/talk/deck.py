"""The deck: slides/slides.md as data, and as one HTML page with nothing outside it.

Slides are parted by lines of ---. Each begins with what it is and how long it takes,

    <!-- 03, 2 min -->               of step 03; "intro" and "end" are of none
    <!-- 03, 5 min, half day -->     left out of the talk of 90 minutes

and has, behind a line "Note:", what is said and typed. Three kinds of fenced block
are filled in from elsewhere, and the build fails if what they name is gone:

    ```cpp 03: void map_ids          code of a step, cut as sources.py cuts it
    light: uid_map | gid_map         and lit, click by click, by the words of lines;
    light: new                       or what the step before does not have
    bare                             without the comment above it
    ```
    ```demo 03: Run it               the first transcript below that heading of its README
    cut: box# id ... box# exit       of it, from a command to a command | and so on
    ```
    ```matrix 03                     the matrix as far as that step, and what has turned
    ```

Their order is that of the lines above. Diagrams are ![text](diagrams/name.dot).
"""

import base64
import dataclasses
import glob
import html
import itertools
import json
import os
import re
import subprocess

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments.lexer import inherit
from pygments.lexers.c_cpp import CppLexer
from pygments.token import Comment, Keyword, Name, String

from talk import npm, recording
from texts import sources, transcript

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEAD = re.compile(r'<!-- (\w+), (\d+) min(?:, (.*?))? -->\n')
STEPS = {os.path.basename(path)[:2]: os.path.basename(path)
         for path in sorted(glob.glob(TOP + '/steps/0*-*'))}
WIDTH, HEIGHT = 1108, 530     # Pixels that a block has on a slide of 1280 by 720.
SIZES = (30, 28, 26, 24, 22, 20, 19)  # Of a fixed font; what is smaller nobody can read.


class Wrong(Exception):
    """What is wrong with the deck, and where."""


@dataclasses.dataclass
class Slide:
    part: str      # '01' to '08', 'intro' or 'end'.
    minutes: int
    classes: list
    text: str
    notes: str

    @property
    def optional(self):
        return 'half-day' in self.classes

    @property
    def title(self):
        found = re.search(r'^##? (.*)$', self.text, re.M)
        return found[1] if found else ''


def parse(text):
    """The slides of a deck."""
    slides = []
    for piece in re.split(r'^---\n', text, flags=re.M):
        head = HEAD.match(piece.lstrip())
        if not head:
            raise Wrong(f'a slide does not begin with its part and minutes: {piece[:60]!r}')
        body, _, notes = piece.lstrip()[head.end():].partition('\nNote:\n')
        classes = [word.strip().replace(' ', '-') for word in (head[3] or '').split(',')]
        slide = Slide(head[1], int(head[2]), [c for c in classes if c], body.strip(),
                      notes.strip())
        for what, there in (('title', slide.title), ('notes', slide.notes)):
            if not there:
                raise Wrong(f'a slide has no {what}: {piece[:60]!r}')
        slides.append(slide)
    return slides


def minutes(slides):
    """Of the talk, and of half a day."""
    return (sum(slide.minutes for slide in slides if not slide.optional),
            sum(slide.minutes for slide in slides))


# ---- What is filled in --------------------------------------------------------

def source_of(step):
    """A step's program, or a file beside it: 08/seccomp.cpp."""
    number, _, name = step.partition('/')
    if number not in STEPS:
        raise Wrong(f'there is no step {number}')
    return f'steps/{STEPS[number]}/{name or "main.cpp"}'


def font(lines, where, wraps=False):
    """The largest font in which these lines fit. Code does not wrap."""
    for size in SIZES:
        columns = int(WIDTH / (size * 0.6))
        rows = sum(1 + max(0, len(line) - 1) // columns for line in lines)
        if (wraps or rows == len(lines)) and rows * size * 1.34 <= HEIGHT:
            return size
    raise Wrong(f'{where}: {len(lines)} lines are too much for a slide')


class Lexer(CppLexer):
    """C++, in which calls of the kernel, ours and flags differ from other names."""
    tokens = {'statements': [
        (r'(?<![\w:])::\w+', Name.Kernel), (r'\bsys::\w+', Name.Ours),
        (r'\b[A-Z][A-Z_0-9]{3,}\b', Name.Flag), inherit]}


LEXER = Lexer(stripnl=False, stdlibhighlighting=False, c99highlighting=False,
              platformhighlighting=False)
COLOURS = {Comment.Preproc: '', Comment.PreprocFile: '', Comment: 'comment', String: 'string',
           Keyword: 'word', Name.Builtin: 'word', Name.Kernel: 'kernel', Name.Ours: 'ours',
           Name.Flag: 'flag'}


def colour(token):
    """The class of a token of the lexer, or ''."""
    return next((name for kind, name in COLOURS.items() if token[0] in kind), '')


def coloured(lines):
    """Lines of C++ in HTML."""
    made = ''
    for name, tokens in itertools.groupby(LEXER.get_tokens('\n'.join(lines)), colour):
        text = html.escape(''.join(text for _, text in tokens))
        made += re.sub('.+', rf'<i class="{name}">\g<0></i>', text) if name else text
    return made.split('\n')[:-1]


def lit(spec, lines, old):
    """The clicks of a `light:` line, each a list of line numbers from 0."""
    if spec == 'new':
        return [[n for n, line in enumerate(lines) if line.strip() not in old]]
    clicks = []
    for words in spec.split(' | '):
        if ' ... ' in words:
            first, last = words.split(' ... ')
            start = sources.find(lines, first)
            clicks.append(list(range(start, sources.find(lines, last, start) + 1)))
        else:
            clicks.append([sources.find(lines, words)])
    return clicks


def code(what, body):
    step, _, words = what.partition(': ')
    path = source_of(step)
    text = sources.read(f'{TOP}/{path}').split('\n')
    try:
        first, last = sources.place(text, words)
        if 'bare\n' in body:
            while text[first].startswith('//'):
                first += 1
        lines = text[first:last + 1]
        margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
        lines = [line[margin:] for line in lines]
        spec = re.search(r'^light: (.*)$', body, re.M)
        before = f'{int(step[:2]) - 1:02}'
        old = {line.strip() for line in sources.read(f'{TOP}/{source_of(before)}').split('\n')} \
            if before in STEPS else set()
        clicks = lit(spec[1], lines, old) if spec else []
    except sources.Missing as error:
        raise Wrong(f'{path}: {error}') from error
    size = font([' ' * 6 + line for line in lines], f'{path}: {words}')
    rows = ''.join(f'<span class="line" data-n="{first + n + 1}">{line or " "}</span>'
                   for n, line in enumerate(coloured(lines)))
    # The first click's lines are lit from the start: only the others wait.
    waits = ''.join('<span class="fragment light"></span>' for _ in clicks[1:])
    return (f'<figure class="code"><pre style="--size:{size}px" data-light="{json.dumps(clicks)}" '
            f'tabindex="0">{rows}</pre>{waits}<figcaption>{path}:{first + 1}</figcaption></figure>')


def between(commands, words):
    """The commands of a block, from one to another, each by words of it; and again."""
    prompts = [f'{c.place}{c.sign} {c.typed[0]}' for c in commands]
    found, end = [], 0
    for piece in words.split(' | '):
        first, _, last = piece.partition(' ... ')
        start = sources.find(prompts, first, end)
        end = sources.find(prompts, last or first, start) + 1
        found += commands[start:end]
    return found


def demo(what, body):
    step, _, heading = what.partition(': ')
    readme = f'steps/{STEPS[step]}/README.md' if step in STEPS else 'steps/README.md'
    try:
        words = re.search(r'^cut: (.*)$', body, re.M)
        commands = transcript.below(sources.read(f'{TOP}/{readme}'), heading, bool(words))
        if words:
            commands = between(commands, words[1])
    except (sources.Missing, ValueError) as error:
        raise Wrong(f'{readme}: {error}') from error
    lines = [line for command in commands for line in transcript.as_text(command)]
    size = font(lines, f'{readme}: {heading}', wraps=True)
    shown = []
    for command in commands:
        prompt, *rest = transcript.as_text(command)
        shown.append(f'<span class="line {command.place}"><b>{command.place}{command.sign}</b>'
                     f'<kbd>{html.escape(prompt[5:] if command.place == "host" else prompt[4:])}'
                     '</kbd></span>')
        shown += [f'<span class="line out">{html.escape(line) or " "}</span>' for line in rest]
    return (f'<figure class="demo"><pre style="--size:{size}px" tabindex="0">{"".join(shown)}</pre>'
            f'<figcaption>{readme}: {heading}</figcaption></figure>')


SIGNS = {'hits the host': ('hits', '✗'), 'refused': ('no', '–'), 'its own': ('own', '✓')}


def matrix_rows():
    """What matrix.json says of root: for each attack its name, and a verdict a step."""
    return [(row['label'], list(row['root'].values()))
            for row in json.loads(sources.read(TOP + '/steps/matrix.json'))]


def matrix(what, _):
    last = int(what)
    rows, body = matrix_rows(), ''
    for name, verdicts in rows:
        now = verdicts[last - 1]
        turned = last > 1 and now != verdicts[last - 2]
        cells = ''
        for number, verdict in enumerate(verdicts, 1):
            kind, sign = SIGNS[verdict]
            cells += f'<td class="{kind}{" now" if number == last else ""}">{sign}</td>' \
                if number <= last else '<td></td>'
        said = f' <em>{now}</em>' if turned else ''
        body += f'<tr{" class=turned" if turned else ""}><th>{html.escape(name)}{said}</th>{cells}</tr>'
    head = ''.join(f'<th class="layer-{step}">{step}</th>' for step in STEPS)
    open_now = sum(verdicts[last - 1] == 'hits the host' for _, verdicts in rows)
    legend = ' '.join(f'<b class="{kind}">{sign}</b> {verdict}'
                      for verdict, (kind, sign) in SIGNS.items())
    return (f'<p class="count"><b class="{"hits" if open_now else "own"}">{open_now}</b> of {len(rows)} hit the host</p>'
            f'<table class="matrix{" all" if last == 1 else ""}"><thead><tr>'
            f'<th class="legend">{legend}</th>{head}</tr></thead><tbody>{body}</tbody></table>')


def picture(alt, name):
    if not alt:
        raise Wrong(f'{name} has no text for who cannot see it')
    path = f'{TOP}/slides/{name}'
    if not os.path.exists(path):
        raise Wrong(f'{name} is not there')
    svg = subprocess.run(['dot', '-Tsvg', path], check=True, capture_output=True, text=True).stdout
    svg = re.sub(r'<title>.*?</title>|<!--.*?-->', '', svg[svg.index('<svg'):], flags=re.S)
    svg = re.sub(r'(<svg) width="[^"]*" height="[^"]*"',
                 rf'\1 role="img" aria-label="{html.escape(alt)}"', svg)
    # class="fragment at-2" in the .dot appears with the second click.
    svg = re.sub(r'class="([^"]*) at&#45;(\d)"', r'class="\1" data-fragment-index="\2"', svg)
    # Its boxes take the page's colours, in the light and in the dark.
    svg = re.sub(r' font-family="[^"]*"', '', svg).replace('\n', ' ')
    return f'<div class="diagram">{svg}</div>'


FILLED = {'cpp': code, 'demo': demo, 'matrix': matrix}


def fence(_, tokens, number, *__):
    """A fenced block in HTML."""
    kind, _, what = tokens[number].info.partition(' ')
    if kind in FILLED:
        return FILLED[kind](what, tokens[number].content)
    return f'<pre class="plain">{html.escape(tokens[number].content)}</pre>'


# ---- Markdown -----------------------------------------------------------------

def on_clicks(state):
    """What begins with + appears on a click: an item, a cell or a quotation. A step has its
    colour. What is a block by itself stands in no paragraph."""
    quote, tokens = None, state.tokens
    for number, token in enumerate(tokens):
        before = tokens[max(number - 1, 0)]
        if token.type.startswith('blockquote'):
            quote = token if token.nesting == 1 else None
        elif quote and token.type != 'inline':
            token.hidden = True
            if token.markup == '+':
                quote.attrSet('class', 'fragment')
        elif token.type == 'bullet_list_open' and before.type == 'bullet_list_close':
            token.hidden = before.hidden = True  # Markdown begins another list where + follows -.
        elif token.type == 'list_item_open' and token.markup == '+':
            token.attrSet('class', 'fragment')
        elif token.type == 'inline' and token.content.startswith('!['):
            before.hidden = tokens[number + 1].hidden = True
        elif before.type == 'td_open' and token.content in STEPS:
            before.attrSet('class', f'layer-{token.content}')
            token.children = [piece(f'<b class="step">{token.content}</b>')]
        elif before.type == 'td_open' and token.content.startswith('+ '):
            token.children[0].content = token.children[0].content[2:]
            token.children = [piece('<span class="fragment">'), *token.children, piece('</span>')]


def piece(text):
    """A token that is HTML already."""
    return Token('html_inline', '', 0, content=text)


MARKDOWN = MarkdownIt('commonmark').enable('table').disable('html_inline')
MARKDOWN.core.ruler.push('on_clicks', on_clicks)
MARKDOWN.add_render_rule('fence', fence)
MARKDOWN.add_render_rule('image', lambda _, tokens, number, *__: picture(
    tokens[number].content, tokens[number].attrs['src']))
for name in ('link_open', 'link_close'):  # Where would it lead, offline?
    MARKDOWN.add_render_rule(name, lambda *_: '')


def to_html(text):
    """A text of a slide, or what is said to it."""
    return MARKDOWN.render(text)


# ---- The page -----------------------------------------------------------------

def section(slide, number):
    notes = f'<p class="time">{slide.minutes} min</p>' + \
        re.sub(r'<p>(\w+:)', r'<p><b>\1</b>', to_html(slide.notes))
    layers = ''.join(f'<i class="layer-{step}{" on" if step <= slide.part else ""}"></i>'
                     for step in STEPS) if slide.part in STEPS else ''
    chip = f'<p class="chip">{STEPS[slide.part]}<span class="layers">{layers}</span></p>' \
        if layers else ''
    mark = '<p class="mark">half day</p>' if slide.optional else ''
    classes = ' '.join([f'layer-{slide.part}'] + slide.classes)
    try:
        body = to_html(slide.text)
    except Wrong as error:
        raise Wrong(f'slide {number} ({slide.title}): {error}') from error
    heading, _, rest = body.partition('\n')  # parse() has seen that there is one.
    player = ''
    if ': Run it</figcaption>' in body:
        player = f'<button class="play" data-cast="{slide.part}">▶ recording (V)</button>'
    return (f'<section class="{classes}" id="slide-{number}" data-timing="{slide.minutes * 60}">'
            f'{chip}{mark}{heading}<div class="body">{rest}</div>{player}<aside class="notes">{notes}</aside></section>')


def asset(path):
    if not os.path.exists(f'{npm.MODULES}/{path}'):
        raise Wrong(f'{path} is not there: make slides')
    text = sources.read(f'{npm.MODULES}/{path}')
    return re.sub(r'(?m)^(//|/\*)# sourceMappingURL=.*$', '', text)


def fonts():
    made = ''
    for family, name, styles in (('Sans', 'ibm-plex-sans', ('400-normal', '400-italic', '600-normal')),
                                 ('Mono', 'ibm-plex-mono', ('400-normal', '600-normal'))):
        for style in styles:
            weight, slant = style.split('-')
            with open(f'{npm.MODULES}/@fontsource/{name}/files/{name}-latin-{style}.woff2', 'rb') as file:
                data = base64.b64encode(file.read()).decode()
            made += (f'@font-face{{font-family:"Deck {family}";font-weight:{weight};font-style:{slant};'
                     f'src:url(data:font/woff2;base64,{data})}}\n')
    return made


# The page may load nothing: what CI saw is what a room without a network sees. The
# player runs in a worker and in WebAssembly, both out of this file; it "connects" to
# what is written in here.
POLICY = ("default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' blob: data:; "
          "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
          "connect-src data:; worker-src blob: data:; frame-src 'self' file:; form-action 'none'")


def page(slides, live=None):
    """The page. With live, (the shell's origin, its columns, its rows), it has a terminal,
    and may connect to that and to nothing else."""
    styles = [asset('reveal.js/dist/reset.css'), asset('reveal.js/dist/reveal.css'),
              asset('asciinema-player/dist/bundle/asciinema-player.css'), fonts(),
              sources.read(TOP + '/slides/theme.css')]
    scripts = [asset('reveal.js/dist/reveal.js'), asset('reveal.js/dist/plugin/notes.js'),
               asset('asciinema-player/dist/bundle/asciinema-player.min.js'),
               sources.read(TOP + '/slides/deck.js')]
    casts = {step: recording.cast(step, recording.of_step(step)) for step in STEPS}
    facts, policy = {'CASTS': casts}, POLICY
    if live:
        origin, columns, rows = live
        facts['LIVE'] = {'columns': columns, 'rows': rows}
        policy = POLICY.replace('connect-src', f'connect-src {origin}')
        styles.append(asset('@xterm/xterm/css/xterm.css'))
        scripts += [asset('@xterm/xterm/lib/xterm.js'), sources.read(TOP + '/slides/live.js')]
    sections = '\n'.join(section(slide, number) for number, slide in enumerate(slides, 1))
    talk, day = minutes(slides)
    constants = ''.join(f'const {name} = {json.dumps(value)};' for name, value in facts.items())
    return '\n'.join([
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<title>{html.escape(slides[0].title)}</title>',
        *(f'<style>{text}</style>' for text in styles),
        f'</head><body data-talk="{talk}" data-day="{day}"><div class="reveal"><div class="slides">',
        sections, '</div></div>',
        '<script>' + constants.replace('</', '<\\/') + '</script>',
        *('<script>' + text.replace('</script', '<\\/script') + '</script>' for text in scripts),
        '</body></html>'])


def read():
    return parse(sources.read(TOP + '/slides/slides.md'))
