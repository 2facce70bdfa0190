// Runs a browser for a Python program. Each line of the input is JavaScript, as JSON. It can use
// `browser` and `page` of puppeteer. The answer is a line of JSON: `value`, or `error`.
'use strict';
const readline = require('node:readline');
const [program, modules, home, width, height] = process.argv.slice(2);
const puppeteer = require(`${modules}/puppeteer-core`);
const complaints = [];

function listen(page) {
  page.setDefaultTimeout(120000);
  page.on('pageerror', error => complaints.push(`throws: ${error.message}`));
  page.on('console', message => {
    if (['error', 'warn'].includes(message.type())) complaints.push(`logs: ${message.text()}`);
  });
  page.on('request', request => {
    if (!/^(data|blob|file|about):/.test(request.url())) complaints.push(`asks for ${request.url()}`);
  });
  return page;
}

(async () => {
  const browser = await puppeteer.launch({
    executablePath: program, pipe: true, userDataDir: home, protocolTimeout: 120000,
    defaultViewport: { width: +width, height: +height },
    // Root cannot run Chromium's sandbox.
    args: ['--hide-scrollbars', ...(process.geteuid() ? [] : ['--no-sandbox'])],
  });
  let page = listen(await browser.newPage());
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const answer = {};
    try {
      answer.value = await eval(`(async () => { ${JSON.parse(line)} })()`);
    } catch (error) {
      answer.error = error.message;
    }
    console.log(JSON.stringify(answer));
  }
  await browser.close();
})().catch(error => {
  console.error(error.message);
  process.exitCode = 1;
});
