"""The deck: slides/slides.md as data, and as one HTML page with nothing outside it.

Slides are parted by lines of ---. Each begins with what it is and how long it takes,

    <!-- 03, 2 min -->               of step 03; "intro" and "end" are of no step
    <!-- 03, 5 min, three hours -->  left out of the talk of 90 minutes
    <!-- 03, 5 min, half day -->     left out of the three hours, too

and has, behind a line "Note:", what is said and typed. The fenced blocks are filled in from
elsewhere, and the build fails if what they name is gone:

    ```cpp 03: void map_ids          code of a step, cut as sources.py cuts it, or pieces: a | b;
                                     without comments, and with messages as an ellipsis
    light: uid_map | gid_map         lit, click by click, by the words of lines, and at last all
    light: new                       what the step before does not have
    layers: 02 NEWPID | 07 limit     lines with these words in the colour of a step
    ```
    ```demo 03: Run it               the first transcript below that heading of its README
    ask: What will it refuse?        what the room guesses first; commands and outputs are clicks
    cut: box# id ... box# exit       of it, from a command to a command | and so on
    ```
    ```picture 03: ids               ids.svg beside the README of step 03
    24 84 672 316: part part         a view: x, y, width and height of it, and the parts that appear
    part                             a click, with which another part appears
    ```
    ```matrix 03                     the rows that have changed since the step before
    but: makes a new                 a row that has changed for the worse
    ```
    ```matrix all                    the whole of it
    ```

Other diagrams are ![text](diagrams/name.svg).
"""

import base64
import dataclasses
import glob
import html
import itertools
import json
import os
import re

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments.lexer import inherit
from pygments.lexers.c_cpp import CppLexer
from pygments.token import Comment, Keyword, Name, String

from talk import npm, recording
from texts import sources, transcript

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEAD = re.compile(r'<!-- (\w+), ([\d.]+) min(?:, (.*?))? -->\n')
STEPS = {os.path.basename(path)[:2]: os.path.basename(path)
         for path in sorted(glob.glob(TOP + '/steps/0*-*'))}
WIDTH, HEIGHT = 1124, 536     # Pixels that a block has on a slide of 1280 by 720.
SIZES = (44, 40, 36, 32, 30, 28)  # Of a fixed font; the last row cannot read what is smaller.
PRINTS = ('slides', 'notes', 'handout')  # Of the slides.
SHEETS = ('sheet', 'helpers')  # Of paper: see below.
PLANS = {'talk': (), 'three': ('three-hours',), 'all': ('three-hours', 'half-day')}


class Wrong(Exception):
    """What is wrong with the deck, and where."""


@dataclasses.dataclass
class Slide:
    part: str      # '01' to '08', 'intro' or 'end'.
    minutes: float
    classes: list
    text: str
    notes: str

    def is_in(self, plan):
        return set(self.classes) & set(PLANS['all']) <= set(PLANS[plan])

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
        slide = Slide(head[1], float(head[2]), [c for c in classes if c], body.strip(),
                      notes.strip())
        for what, there in (('title', slide.title), ('notes', slide.notes)):
            if not there:
                raise Wrong(f'a slide has no {what}: {piece[:60]!r}')
        slides.append(slide)
    return slides


def minutes(slides):
    """Of each plan."""
    return {plan: sum(slide.minutes for slide in slides if slide.is_in(plan)) for plan in PLANS}


# ---- What is filled in --------------------------------------------------------

def source_of(step):
    """A step's program, or a file beside it: 08/seccomp.cpp."""
    number, _, name = step.partition('/')
    if number not in STEPS:
        raise Wrong(f'there is no step {number}')
    return f'steps/{STEPS[number]}/{name or "main.cpp"}'


def font(lines, where, wraps=False, high=HEIGHT):
    """The largest font in which these lines fit. Code wraps only in the smallest."""
    for size in SIZES:
        columns = int(WIDTH / (size * 0.6))
        rows = sum(1 + max(0, len(line) - 1) // columns for line in lines)
        if (wraps or rows == len(lines) or size == SIZES[-1]) and rows * size * 1.34 <= high:
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
    """The clicks of a `light:` line, each a list of line numbers from 0; the last is all."""
    if spec == 'new':
        return [[n for n, line in enumerate(lines) if line.strip() not in old]]
    clicks = []
    for words in spec.split(' | '):
        first, _, last = words.partition(' ... ')
        start = sources.find(lines, first)
        clicks.append(list(range(start, (sources.find(lines, last, start) if last else start) + 1)))
    return clicks


def shortened(lines):
    """Numbered lines of C++ without what the lesson has and the last row need not read: comments,
    narration, and messages with what fills their braces. What the kernel reads stays."""
    made = []
    for number, line in lines:
        line = re.sub('"[^"]*"', lambda text: '…' if re.search('[a-z].* ', text[0]) else text[0],
                      re.sub(r'\s*// .*', '', line))
        before, bare = made[-1][1] if made else '', line.strip()
        if bare.startswith('…') and before.endswith('…'):
            made[-1] = made[-1][0], before + bare[1:]
        elif bare.startswith('…') and before.endswith((',', '(')) or before.endswith('…,'):
            made[-1] = made[-1][0], before + (' ' if before.endswith(',') else '') + bare
        elif bare and not re.match(r'sys::narrate\(.*\);$', bare):
            if before and not before.endswith(('{', ';', '}')):  # Not below its parenthesis.
                deep = len(before) - len(before.lstrip()) + 4
                line = ' ' * min(deep, len(line) - len(bare)) + bare
            made.append((number, line))
    return [(number, re.sub('(.*…), .*;$', lambda text: text[1] + ')' * (
        text[1].count('(') - text[1].count(')')) + ';', line)) for number, line in made]


def by_step(spec, lines):
    """Lines of the steps that `spec` names by words of them, each with its number or ''. A line of
    several steps has the colours in it, and the others are of one colour."""
    rows, words_of = [], [[] for _ in lines]
    for one in spec.split(' | '):
        step, words = one.split(' ', 1)
        words_of[sources.find(lines, words)].append((step, words))
    for line, known in zip(lines, words_of):
        text = html.escape(line)
        for step, words in known if len(known) > 1 else ():
            words = html.escape(words)
            text = text.replace(words, f'<b class="layer-{step}"><sup>{step}</sup>{words}</b>')
        number = known[0][0] if len(known) == 1 else ''
        rows.append((number, f'<b class="layer-{number}">{text}</b>' if number else text))
    return rows


def code(what, body):
    step, _, words = what.partition(': ')
    path = source_of(step)
    text = sources.read(f'{TOP}/{path}').split('\n')
    try:
        numbered = []
        for words_of_piece in re.split(r' \| ', words):
            first, last = sources.place(text, words_of_piece)
            piece_of_it = [(n + 1, text[n]) for n in range(first, last + 1)]
            numbered += shortened(piece_of_it) if path.endswith('.cpp') else [
                (number, line.strip()) for number, line in piece_of_it]
        margin = min(len(line) - len(line.lstrip()) for _, line in numbered)
        lines = [line[margin:] for _, line in numbered]
        steps = re.search(r'^layers: (.*)$', body, re.M)
        rows = by_step(steps[1], lines) if steps else list(zip(
            (number for number, _ in numbered), coloured(lines)))
        spec = re.search(r'^light: (.*)$', body, re.M)
        before = f'{int(step[:2]) - 1:02}'
        old = {line.strip() for _, line in shortened(enumerate(
            sources.read(f'{TOP}/{source_of(before)}').split('\n')))} if before in STEPS else set()
        clicks = lit(spec[1], lines, old) if spec else []
    except sources.Missing as error:
        raise Wrong(f'{path}: {error}') from error
    digits = max(len(str(number)) for number, _ in rows)
    size = font([' ' * (digits + 1) + line for line in lines], f'{path}: {what}')
    if clicks:
        clicks.append(list(range(len(lines))))
    shown = ''.join(f'<span class="line" data-n="{number}">{row}</span>' for number, row in rows)
    shown = re.sub(r',(?=\w)', ',<wbr>', shown)
    # The first click's lines are lit from the start: only the others wait.
    waits = ''.join('<span class="fragment light"></span>' for _ in clicks[1:])
    return (f'<figure class="code"><pre style="--size:{size}px;--digits:{digits}" '
            f'data-light="{json.dumps(clicks)}" tabindex="0">{shown}</pre>{waits}'
            f'<figcaption>{path}:{numbered[0][0]}</figcaption></figure>')


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
    readme = 'README.md' if step == 'README' else \
        f'steps/{STEPS[step]}/README.md' if step in STEPS else 'steps/README.md'
    ask, cut, high = (re.search(rf'^{word}: (.*)$', body, re.M) for word in ('ask', 'cut', 'high'))
    if not ask or not ask[1].endswith('?'):
        raise Wrong(f'{what}: no question to the room')
    try:
        text = re.sub(r'^\$ ', 'host$ ', sources.read(f'{TOP}/{readme}'), flags=re.M)
        commands = transcript.below(text, heading, bool(cut))
        if cut:
            commands = between(commands, cut[1])
    except (sources.Missing, ValueError) as error:
        raise Wrong(f'{readme}: {error}') from error
    columns = int(WIDTH / (SIZES[-1] * 0.6))
    lines, shown = [], []
    for command in commands:
        typed = transcript.as_text(command)[:len(command.typed)]
        # A banner differs from machine to machine, and a long line is in the lesson.
        printed = [line if len(line) <= columns else line[:columns - 2].rpartition(' ')[0] + ' …'
                   for line in (line.expandtabs().rstrip() for line in command.expected)
                   if line.strip() != '...']
        lines += typed + printed
        prompt = command.place + command.sign
        whole = [html.escape(line).replace('-', '-&#8288;') for line in command.typed]  # Unbroken.
        shown.append(f'<span class="fragment {command.place}">' + ''.join(
            f'<span class="line"><b>{html.escape(sign)}</b> <kbd>{line}</kbd></span>'
            for sign, line in zip([prompt] + ['>'] * len(typed), whole)) + '</span>')
        if printed:
            shown.append('<span class="fragment out">' + ''.join(
                f'<span class="line">{html.escape(line)}</span>' for line in printed) + '</span>')
    size = font(lines, f'{readme}: {heading}', wraps=True, high=int(high[1]) if high else 410)
    return (f'<p class="ask">{to_html(ask[1])[3:-5]}</p><figure class="demo">'
            f'<pre style="--size:{size}px" tabindex="0">{"".join(shown)}</pre>'
            f'<figcaption>{readme}: {heading}</figcaption></figure>')


SIGNS = {'hits the host': ('hits', '✗'), 'refused': ('no', '–'), 'its own': ('own', '✓')}


def matrix_rows():
    """What matrix.json says of root: for each attack its name, and a verdict a step."""
    return [(row['label'], list(row['root'].values()))
            for row in json.loads(sources.read(TOP + '/steps/matrix.json'))]


def cell(verdict, words='', classes=''):
    kind, sign = SIGNS[verdict]
    return f'<td class="{kind}{classes}"><span aria-hidden="true">{sign}</span> ' \
           f'<span class="{"" if words else "read"}">{words or verdict}</span></td>'


def matrix(what, body):
    """What a step changes, large, and all steps so far as a map of colours; or the whole table."""
    rows = matrix_rows()
    if what == 'all':
        head = ''.join(f'<th scope="col" class="layer-{step}">{step}</th>' for step in STEPS)
        body = ''.join(f'<tr><th scope="row">{html.escape(name)}</th>'
                       f'{"".join(map(cell, verdicts))}</tr>' for name, verdicts in rows)
        return ('<table class="matrix"><caption class="read">Each attack in each step</caption>'
                f'<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>')
    at = int(what) - 1
    worse = re.search(r'^but: (.*)$', body, re.M)
    if worse:
        sources.find([name for name, _ in rows], worse[1])
    changed = ''
    for name, verdicts in rows:
        if at and verdicts[at] != verdicts[at - 1] or not at and verdicts[0] != 'hits the host':
            mark = ' but' if worse and worse[1] in name else ''
            before = cell(verdicts[at - 1], verdicts[at - 1]) + '<td aria-label="becomes">→</td>'
            changed += (f'<tr><th scope="row">{html.escape(name)}</th>{before if at else ""}'
                        f'{cell(verdicts[at], verdicts[at], mark)}</tr>')
    counts = [column.count('hits the host') for column in zip(*(verdicts for _, verdicts in rows))]
    was = f'<s>{counts[at - 1]}</s> → ' if at and counts[at - 1] != counts[at] else ''
    squares = ''.join(
        f'<rect x="{34 * step}" y="{22 * row}" width="31" height="19" class="'
        f'{SIGNS[verdicts[step]][0] if step <= at else "none"}"/>'
        for row, (_, verdicts) in enumerate(rows) for step in range(len(STEPS)))
    high, so_far = 22 * len(rows), ', '.join(map(str, counts[:at + 1]))
    return (f'<p class="count">{was}<b class="{"hits" if counts[at] else "own"}">{counts[at]}</b> '
            f'of {len(rows)} attacks hit the host</p><div class="delta"><table>'
            f'<caption class="read">What step {what} changes</caption>'
            f'<tbody>{changed}</tbody></table><svg viewBox="-3 -3 278 {high + 3}" role="img" '
            f'aria-label="All attacks in the steps up to {what}: {so_far} hit the host">{squares}'
            f'<rect class="now" x="{34 * at - 1.5}" y="-1.5" width="34" height="{high}"/></svg></div>')


def rings(lit_up_to):
    """The cover's eight walls, one in another, lit up to a step."""
    made = ''
    for step in STEPS:
        made = f'<i class="layer-{step}{" on" if step <= lit_up_to else ""}">{made}</i>'
    return f'<div class="cover" aria-hidden="true">{made}</div>'


def drawing(what, body):
    """A drawing of a lesson, a view and a part after the other."""
    step, _, name = what.partition(': ')
    path = f'steps/{STEPS.get(step, step)}/{name}.svg'
    try:
        svg = sources.read(f'{TOP}/{path}')
    except OSError as error:
        raise Wrong(f'{path} is not there') from error
    prefix, views, box, parts = f'd{step}-{name}-', [], '', []
    for line in body.strip().split('\n'):
        if ':' in line:
            box, _, line = line.partition(': ')
            parts = []
        parts = parts + [prefix + part for part in line.split()]
        views.append({'box': box, 'parts': parts})
        if missing := [part for part in parts if f'id="{part}"' not in svg]:
            raise Wrong(f'{path} has no part {missing[0]}')
    says = ' '.join(re.findall(r'<(?:title|desc)[^>]*>(.*?)</(?:title|desc)>', svg))
    svg = re.sub(r'<title.*?</title>|<desc.*?</desc>|<!--.*?-->|^<rect class="bg".*?/>$', '', svg,
                 flags=re.S | re.M)
    # The slides choose the dark by themselves.
    svg = re.sub(r'@media \(prefers-color-scheme:dark\)\{(.*?)\n\}', lambda found: re.sub(
        rf'\.d{step}-{name}(?![\w-])', r':root[data-look=dark] \g<0>', found[1]), svg, flags=re.S)
    svg = re.sub(r'(<svg[^>]*?) width="\d+" height="\d+"([^>]*?) aria-labelledby="[^"]*"',
                 lambda found: f'{found[1]}{found[2]} aria-label="{says}"', svg)
    waits = ''.join('<span class="fragment light"></span>' for _ in views[1:])
    return (f'<div class="diagram drawn" data-views="{html.escape(json.dumps(views))}">'
            f'{svg.strip()}</div>{waits}').replace('\n', ' ')


def picture(alt, name):
    """A drawing of slides/. A group with class="fragment" in it appears with a click."""
    if not alt:
        raise Wrong(f'{name} has no text for who cannot see it')
    try:
        svg = sources.read(f'{TOP}/slides/{name}')
    except OSError as error:
        raise Wrong(f'{name} is not there') from error
    svg = re.sub('<!--.*?-->', '', svg).replace('\n', ' ')
    return '<div class="diagram placed">' + svg.replace(
        '<svg', f'<svg role="img" aria-label="{html.escape(alt)}"', 1) + '</div>'


FILLED = {'cpp': code, 'sh': code, 'demo': demo, 'matrix': matrix, 'picture': drawing}


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
    notes = f'<p class="time">{slide.minutes:g} min</p>' + \
        re.sub(r'<p>(\w+:)', r'<p><b>\1</b>', to_html(slide.notes))
    layers = ''.join(f'<i class="layer-{step}{" on" if step <= slide.part else ""}"></i>'
                     for step in STEPS) if slide.part in STEPS else ''
    chip = f'<p class="chip">{STEPS[slide.part]}<span class="layers">{layers}</span></p>' \
        if layers else ''
    mark = ''.join(f'<p class="mark">{one.replace("-", " ")}</p>'
                   for one in slide.classes if one in PLANS['all'])
    classes = ' '.join([f'layer-{slide.part}'] + slide.classes)
    try:
        body = to_html(slide.text)
    except Wrong as error:
        raise Wrong(f'slide {number} ({slide.title}): {error}') from error
    heading, _, rest = body.partition('\n')  # parse() has seen that there is one.
    if heading.startswith('<h1>'):
        rest = rings(slide.part if slide.part in STEPS else max(STEPS)) + rest
    player = ''
    if ': Run it</figcaption>' in body:
        player = f'<button class="play" data-cast="{slide.part}">▶ recording (V)</button>'
    return (f'<section class="{classes}" id="slide-{number}" data-part="{slide.part}" '
            f'data-timing="{slide.minutes * 60:.0f}">'
            f'{chip}{mark}{heading}<div class="body">{rest}</div>{player}'
            f'<aside class="notes">{notes}</aside></section>')


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


def theme():
    return fonts() + sources.read(TOP + '/slides/palette.css') + sources.read(
        TOP + '/slides/theme.css')


# The page may load nothing: what CI saw is what a room without a network sees. The
# player runs in a worker and in WebAssembly, both out of this file; it "connects" to
# what is written in here.
POLICY = ("default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' blob: data:; "
          "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
          "connect-src data:; worker-src blob: data:; frame-src 'self' file:; form-action 'none'")


def page(slides):
    """The page."""
    styles = [asset('reveal.js/dist/reset.css'), asset('reveal.js/dist/reveal.css'),
              asset('asciinema-player/dist/bundle/asciinema-player.css'), theme()]
    scripts = [asset('reveal.js/dist/reveal.js'), asset('reveal.js/dist/plugin/notes.js'),
               asset('asciinema-player/dist/bundle/asciinema-player.min.js'),
               sources.read(TOP + '/slides/deck.js')]
    casts = {step: recording.cast(step, recording.of_step(step)) for step in STEPS}
    facts = {'CASTS': casts}
    sections = '\n'.join(section(slide, number) for number, slide in enumerate(slides, 1))
    facts['PLANS'] = {plan: [minutes(slides)[plan], list(PLANS[plan])] for plan in PLANS}
    constants = ''.join(f'const {name} = {json.dumps(value)};' for name, value in facts.items())
    return '\n'.join([
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<title>{html.escape(slides[0].title)}</title>',
        *(f'<style>{text}</style>' for text in styles),
        '</head><body><div class="reveal"><div class="slides">',
        sections, '</div></div>',
        '<script>' + constants.replace('</', '<\\/') + '</script>',
        *('<script>' + text.replace('</script', '<\\/script') + '</script>' for text in scripts),
        '</body></html>'])


def sheet(name):
    """A page to print: slides/sheet.md for the audience, slides/helpers.md for who helps."""
    text = to_html(sources.read(f'{TOP}/slides/{name}.md'))
    return ('<!doctype html><html lang="en" data-look="light"><meta charset="utf-8">'
            f'<title>{name}</title><style>{theme()}</style>'
            f'<body class="sheet {name}" data-ready="yes">{text}</body></html>')


def read():
    return parse(sources.read(TOP + '/slides/slides.md'))
