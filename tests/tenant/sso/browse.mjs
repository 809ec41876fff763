// SPDX-License-Identifier: Apache-2.0
// Somebody logs in with a browser. The argument is JSON: the browser's `program` and an empty `profile` folder, where to
// `start`, as whom (`login`), whether he agrees (`consent`), and the `origin` to which he must come back. Prints where he
// ended up, what the page says, and his cookies.
import { chromium } from "playwright-core";

const { program, profile, start, login, consent, origin } = JSON.parse(process.argv[1]);
const flags = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const context = await chromium.launchPersistentContext(profile, { executablePath: program, args: flags });
try {
  const page = await context.newPage();
  await page.goto(start);
  if (login && new URL(page.url()).origin !== origin) {
    await page.fill("input[name=login]", login);
    await page.fill("input[name=password]", "any");
    await page.click("button[type=submit]");
    await page.waitForLoadState();
    if (new URL(page.url()).origin !== origin) {
      await page.click(consent ? "button[type=submit]" : "a[href*=abort]");
    }
    await page.waitForURL((url) => url.origin === origin);
  }
  const answer = { url: page.url(), text: await page.evaluate(() => document.body.innerText) };
  console.log(JSON.stringify({ ...answer, cookies: await context.cookies(origin) }));
} finally {
  await context.close();
}
