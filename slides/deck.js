// Starts the deck. Everything that it needs is in the same file.
//
//   ?print=slides    a slide a page
//   ?print=notes     a slide a page, and below it what is said
//   ?print=handout   two slides a page
//   ?all             with the slides for half a day
//   T                light or dark     V  the recording of this slide
// A phone held upright gets them as a text to scroll, in its own letters' size.
'use strict';
const query = new URLSearchParams(location.search);
const printing = query.get('print');
const all = query.has('all') || printing;
const reading = !printing && innerWidth < 600 && window === top;
const body = document.body;

function look(name) { document.documentElement.dataset.look = name; }
const dark = matchMedia('(prefers-color-scheme: dark)');
look(printing ? 'light' : query.get('look') || (dark.matches ? 'dark' : 'light'));

if (!all) for (const slide of document.querySelectorAll('section.half-day')) slide.remove();

// Lights the lines of the last click. On paper, and without a click, all are lit.
function light(slide) {
  for (const code of slide.querySelectorAll('pre[data-light]')) {
    const clicks = JSON.parse(code.dataset.light);
    const now = code.parentElement.querySelectorAll('.light.visible').length;
    const lines = code.querySelectorAll('.line');
    code.classList.toggle('dim', clicks.length > 0 && !printing && !reading);
    lines.forEach((line, n) => line.classList.toggle('lit', !!clicks[now]?.includes(n)));
  }
}

let player = null;
function stop() {
  document.querySelector('.player')?.remove();
  player?.dispose();
  player = null;
}
function play(slide) {
  if (player) return stop();
  const step = slide.querySelector('.play')?.dataset.cast;
  if (!step) return;
  const box = document.createElement('div');
  box.className = 'player';
  slide.append(box);
  player = AsciinemaPlayer.create({ data: CASTS[step] }, box,
    { fit: reading ? 'width' : 'both', idleTimeLimit: 2, autoPlay: true, controls: true,
      terminalFontFamily: '"Deck Mono", monospace' });
}

function laidOut() { document.fonts.ready.then(() => { body.dataset.ready = 'yes'; }); }

if (printing) {
  document.documentElement.classList.add('print-pdf');  // Else reveal.js has a paper style of its own.
  body.classList.add('flat', 'printing', 'print-' + printing);
  for (const slide of document.querySelectorAll('.slides > section')) {
    const page = document.createElement('article');
    slide.replaceWith(page);
    const notes = slide.querySelector('.notes');
    page.append(slide);
    if (printing === 'notes') page.append(notes);
    light(slide);
  }
  laidOut();
} else if (reading) {
  body.classList.add('flat', 'reading');
  for (const button of document.querySelectorAll('.play'))
    button.onclick = () => play(button.closest('section'));
  laidOut();
} else {
  Reveal.initialize({
    hash: true, controls: false, slideNumber: 'c/t', width: 1280, height: 720, margin: 0, center: false,
    display: 'flex',  // The heading on top, the rest in the middle of what is left: see theme.css.
    transition: 'none', backgroundTransition: 'none', scrollActivationWidth: 0,
    totalTime: 60 * (all ? body.dataset.day : body.dataset.talk), plugins: [RevealNotes],
    keyboard: {
      84: () => look(document.documentElement.dataset.look === 'dark' ? 'light' : 'dark'),
      86: () => play(Reveal.getCurrentSlide()),
    },
  }).then(() => {
    const relight = () => light(Reveal.getCurrentSlide());
    for (const event of ['slidechanged', 'fragmentshown', 'fragmenthidden'])
      Reveal.on(event, relight);
    Reveal.on('slidechanged', stop);
    document.querySelectorAll('.slides section').forEach(light);
    for (const button of document.querySelectorAll('.play'))
      button.onclick = () => { play(button.closest('section')); button.blur(); };
    laidOut();
  });
}
