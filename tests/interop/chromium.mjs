// Real Chromium on one errand, which is JSON in argv[2]: opens `link`, does the `steps` (fill fields, press a button or
// follow a link by its name), waits for the address that `ends` stands in, and prints as JSON what a person, a screen
// reader and the network panel have of the last page. `looks` are light or dark and a size; each that names a file gets a
// screenshot there.

import { chromium } from 'playwright-core';

const order = JSON.parse(process.argv[2]);
const browser = await chromium.launch({
  executablePath: order.executable,
  // Root may not use the sandbox. Names of other machines resolve to nothing: no page gets out.
  args: ['--no-sandbox', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost'],
});
const page = await browser.newPage();
page.setDefaultTimeout(20_000);

// What the page that is shown now has asked for, and what its console says.
let requests = [], complaints = [], answer;
page.on('request', (request) => {
  if (request.isNavigationRequest() && request.frame() === page.mainFrame()) {
    [requests, complaints] = [[], []];
  }
  requests.push(request.url());
});
page.on('response', (response) => {
  if (response.request().isNavigationRequest()) answer = response;
});
page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
page.on('pageerror', (error) => complaints.push(String(error)));

await page.goto(order.link);
for (const { fill = {}, press } of order.steps) {
  for (const [selector, value] of Object.entries(fill)) await page.locator(selector).fill(value);
  const name = { name: press, exact: true };
  await page.getByRole('button', name).or(page.getByRole('link', name)).click();
}
if (order.ends) await page.waitForURL((url) => url.href.includes(order.ends));
await page.waitForLoadState();

const looks = [];
for (const { scheme, width, height, file } of order.looks) {
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
  await page.setViewportSize({ width, height });
  if (file) await page.screenshot({ path: file, fullPage: true });
  looks.push({ scheme, width, ...(await page.evaluate(measured)) });
}
console.log(JSON.stringify({
  url: page.url(),
  status: answer.status(),
  headers: await answer.allHeaders(),
  title: await page.title(),
  heading: (await page.locator('h1').allInnerTexts()).join(' / '),
  text: (await page.locator('body').innerText()).replace(/\s+/g, ' ').trim(),
  tree: await page.locator('body').ariaSnapshot(),
  language: await page.locator('html').getAttribute('lang'),
  requests,
  complaints,
  looks,
}));
await browser.close();

// Runs in the page: the lowest contrast of a text against what is behind it (WCAG 2.2, 1.4.3), and whether lines leave the
// window at the side (1.4.10).
function measured() {
  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((c, i) => c * a + below[i] * (1 - a));
  const behind = (element) => {
    if (!element) return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255];
    return over(channels(getComputedStyle(element).backgroundColor), behind(element.parentElement));
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let lowest = 21, where = '';
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
    const ground = behind(element);
    const [one, other] = [luminance(ground), luminance(over(channels(getComputedStyle(element).color), ground))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < lowest) [lowest, where] = [contrast, texts.currentNode.data.trim().slice(0, 40)];
  }
  const root = document.documentElement;
  return { contrast: lowest, where, overflows: root.scrollWidth > root.clientWidth };
}
