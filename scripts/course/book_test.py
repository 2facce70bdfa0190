#!/usr/bin/python3
"""Tests of the book in Chromium, from files. Ends with a line that sums all.

  needs   scripts/setup slides
"""

import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from course import book, pages
from talk import browser, npm

WIDTHS = (1440, 1024, 390)
# All that is seen: its colour and what is behind it, as the browser has computed them.
UNREADABLE = '''(() => {
  const parts = colour => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c =>
    c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
  const found = new Set(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement, style = getComputedStyle(node);
    if (!walker.currentNode.data.trim() || !node.checkVisibility({ checkOpacity: true }) ||
        node.closest('svg, #player, script, .skip, .xterm, option')) continue;
    let ground;
    for (let behind = node; behind; behind = behind.parentElement) {
      ground = parts(getComputedStyle(behind).backgroundColor);
      if (ground.length === 3 || ground[3] > 0) break;
    }
    const [dark, bright] = [light(parts(style.color)), light(ground)].sort((a, b) => a - b);
    const ratio = (bright + 0.05) / (dark + 0.05);
    if (ratio < LEAST)
      found.add(`${node.tagName} ${ratio.toFixed(1)}: ${node.textContent.slice(0, 30)}`);
  }
  return [...found];
})()'''.replace('LEAST', str(browser.LEAST_CONTRAST))
WINDOW = 3600  # Pixels. What lies between two windows is seen in both.
# What stands out of the page, and no part of it that scrolls by itself.
SIDEWAYS = 'document.documentElement.scrollWidth - innerWidth'


class Book(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        npm.fetch()
        cls.folder = tempfile.TemporaryDirectory(prefix='book.')
        cls.addClassCleanup(cls.folder.cleanup)
        cls.size = book.make(cls.folder.name + '/book')
        cls.page = browser.Page(cls.address('index.html'))
        cls.addClassCleanup(cls.page.close)

    @classmethod
    def address(cls, name, query=''):
        return browser.address(f'{cls.folder.name}/book/{name}', query)

    def setUp(self):
        self.wide(1440)
        self.go('02-pidns.html?look=light')

    def tearDown(self):
        self.assertEqual(self.page.complaints(), [])

    def go(self, name):
        name, _, query = name.partition('?')
        self.page.run(f'await page.goto({json.dumps(self.address(name, query and "?" + query))})')
        self.page.until('document.body.dataset.ready')

    def wide(self, width, height=900):
        is_phone = json.dumps(width < 500)
        self.page.run(f'await page.setViewport({{ width: {width}, height: {height}, '
                      f'isMobile: {is_phone}, hasTouch: {is_phone} }})')

    def js(self, expression):
        return self.page.js(expression)

    def unreadable(self):
        """The words of the page whose pixels cannot be read."""
        found = []
        for top in range(0, self.js('document.documentElement.scrollHeight'), WINDOW - 60):
            self.js(f'scrollTo({{ top: {top}, behavior: "instant" }})')
            found += self.page.unreadable()
        return found

    def test_each_page_is_drawn_at_each_width_and_can_be_read_in_both_looks(self):
        for width in WIDTHS:
            self.wide(width)
            for name in pages.all_pages():
                self.go(f'{name}?look={"dark" if width == 1024 else "light"}')
                self.assertLessEqual(self.js(SIDEWAYS), 0, f'{name} at {width}')
                self.assertEqual(self.js(UNREADABLE), [], f'{name} at {width}')

    def test_each_word_of_a_lesson_and_its_drawings_can_be_read_from_the_pixels(self):
        for width, look in ((1440, 'light'), (1024, 'dark')):
            self.wide(width, WINDOW)
            for path in ['README.md', *pages.LESSONS, 'steps/matrix.md', 'steps/05-mountns/binds.cpp']:
                name = pages.page_of(path)
                self.go(f'{name}?look={look}')
                self.assertEqual(self.unreadable(), [], f'{name}, {look}')

    def test_it_is_small(self):
        self.assertLess(self.size, 4 << 20)

    def test_unreadable_text_is_found(self):
        self.wide(1440, WINDOW)
        self.js('one("h1").style.color = "rgb(170, 170, 170)"')
        self.assertRegex(' '.join(self.js(UNREADABLE)), r'H1 2\.\d: 02')
        self.js('all(".d02-pids text").forEach(node => node.style.fill = "rgb(170, 170, 170)")')
        found = ' '.join(self.unreadable())
        self.assertRegex(found, r'H1 \S+ 2\.\d')
        self.assertRegex(found, r'text \S+ [12]\.\d')

    def test_the_search_finds_a_section_and_the_keyboard_goes_there(self):
        self.page.press('/')
        self.page.run('await page.keyboard.type("ns_last_pid number")')
        self.page.until('all("#found a").length')
        self.assertEqual(self.js('one("#found a").getAttribute("href")'), '02-pidns.html#exercises')
        self.page.press('ArrowDown')
        self.assertTrue(self.js('document.activeElement === one("#found a")'))
        self.page.run('await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")])')
        self.page.until('document.body.dataset.ready')
        self.assertLess(self.js('one(location.hash).getBoundingClientRect().top'), 200)

    def test_what_is_not_there_is_said_and_escape_ends_the_search(self):
        self.page.run('await page.type("#search", "xyzzy")')
        self.page.until('!one("#found").hidden')
        self.assertIn('No section', self.js('one("#found").textContent'))
        self.page.press('Escape')
        self.assertTrue(self.js('one("#found").hidden && document.activeElement === document.body'))

    def test_a_word_in_a_heading_comes_first(self):
        self.page.run('await page.type("#search", "pitfalls")')
        self.page.until('all("#found a").length')
        self.assertEqual(set(self.js('all("#found b").map(node => node.innerText)')), {'Pitfalls'})

    def test_arrows_go_through_the_course(self):
        for key, name in (('ArrowRight', '03-userns'), ('ArrowLeft', '02-pidns')):
            self.page.run('await Promise.all([page.waitForNavigation(), '
                          f'page.keyboard.press("{key}")])')
            self.assertEqual(self.js('FACTS.page'), name + '.html')

    def test_the_look_is_kept_and_the_drawings_follow(self):
        self.go('02-pidns.html')
        self.js('localStorage.clear()')
        ground = 'getComputedStyle(one(".d02-pids .host")).fill'
        light = self.js(f'look("light"); {ground}')
        self.page.press('t')
        dark = self.js(ground)
        self.assertNotEqual(light, dark)
        self.go('03-userns.html')
        self.assertEqual(self.js('document.documentElement.dataset.look'), 'dark')
        self.js('localStorage.clear()')

    def test_without_a_choice_the_look_is_the_systems(self):
        for scheme in ('dark', 'light'):
            self.page.run('await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: '
                          f'"{scheme}" }}])')
            self.go('02-pidns.html')
            self.assertEqual(self.js('document.documentElement.dataset.look'), scheme)
        self.page.run('await page.emulateMediaFeatures([])')  # As it was.

    def copied(self, how):
        return self.js('(() => { let text; addEventListener("copy", event => { '
                       'text = event.clipboardData.getData("text/plain"); }, { once: true }); '
                       f'{how}; return text; }})()')

    def test_of_a_console_only_what_is_typed_is_copied(self):
        self.assertEqual(self.copied('one("button.copy").click()').split('\n'), [
            'sleep 4711 &', 'build/01-chroot', 'mount -t proc proc /proc', 'cat /proc/4101/comm',
            'kill 4101', 'umount /proc', 'exit', ''])
        self.assertEqual(self.js('one("button.copy").textContent'), 'Copied')

    def test_code_is_copied_without_the_numbers_of_its_lines(self):
        self.js('getSelection().selectAllChildren(all(".source pre")[1])')
        text = self.js('getSelection().toString()')
        self.assertIn('void mount_proc() {\n', text)
        self.assertNotRegex(text, r'^\s*\d')

    def test_answers_are_folded_and_open_on_paper(self):
        self.assertEqual(self.js('all("details[open]").length'), 0)
        self.js('dispatchEvent(new Event("beforeprint"))')
        self.assertEqual(self.js('all("details:not([open])").length'), 0)

    def test_on_paper_there_is_the_text_alone(self):
        self.js('look("dark")')
        self.page.run('await page.emulateMediaType("print")')
        self.assertEqual(self.js('getComputedStyle(document.body).backgroundColor'),
                         'rgb(255, 255, 255)')
        for hidden in ('header', '.toc', '.around', '.copy'):
            self.assertEqual(self.js(f'getComputedStyle(one("{hidden}")).display'), 'none', hidden)
        self.page.run('await page.emulateMediaType("screen")')
        data = self.page.run('const paper = await page.pdf({ format: "A4" });'
                             'return Buffer.from(paper).toString("latin1")')
        self.assertTrue(6 < browser.pages(data.encode('latin1')) < 25)

    def test_the_recording_plays(self):
        self.js('one("#player").scrollIntoView()')
        self.page.until('one("#player .ap-overlay-start, #player .ap-play-button")')
        self.page.run('await page.click("#player .ap-overlay-start, #player .ap-play-button")')
        self.page.until('/00:0[2-9]/.test(one("#player .ap-time-elapsed").textContent)')

    def test_a_reader_without_a_mouse_gets_everywhere(self):
        self.page.press('Tab')
        self.assertEqual(self.js('document.activeElement.className'), 'skip')
        self.page.press('Enter')
        self.page.until('location.hash === "#text"')
        unnamed = '''all("button, a, input, summary, [tabindex='0']").filter(node =>
          node.checkVisibility() && !node.closest("#player") &&
          !(node.ariaLabel || node.textContent.trim())).length'''
        self.assertEqual(self.js(unnamed), 0)

    def test_without_javascript_all_of_the_text_is_there(self):
        self.page.run('await page.setJavaScriptEnabled(false)')
        try:
            self.page.run(f'await page.goto({json.dumps(self.address("02-pidns.html"))})')
            self.assertGreater(self.page.run(
                'return (await page.$eval("article", node => node.innerText)).length'), 10000)
        finally:
            self.page.run('await page.setJavaScriptEnabled(true)')

    def test_the_page_says_where_one_is(self):
        self.js('document.getElementById("the-code").scrollIntoView()')
        self.page.until('one(".toc [aria-current]")?.textContent === "The code"')


if __name__ == '__main__':
    os.chdir(pages.TOP)
    summed.main()
