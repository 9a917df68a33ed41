// The page of `mxdrill up --control` in headless Chromium: fail an exchanger by a click, send a message, see it go to
// the backup. Any error on the console fails it.
//
//   node page.js BINARY CHROMIUM [FOLDER FOR SCREENSHOTS]
"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const { createInterface } = require("node:readline");
const net = require("node:net");
const path = require("node:path");
const { chromium } = require("playwright-core");

const ZONE = `
$ORIGIN example.test.
@    IN MX 10 mx1
@    IN MX 20 mx2
mx1  IN A  192.0.2.1
mx2  IN A  192.0.2.2
`;
// What a message says is text, and nothing of it runs.
const SUBJECT = "<img src=x onerror=console.error(1)>Hello";
const TEXT = "<script>console.error(2)</script>";

/** Sends a message by the first exchanger that takes it; a connection that is refused is the next one's turn. */
async function send(places) {
  for (const place of places) {
    const [host, port] = place.split(":");
    const socket = net.connect(Number(port), host);
    try {
      await once(socket, "connect");
    } catch (error) {
      assert.equal(error.code, "ECONNREFUSED");
      continue;
    }
    const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
    const said = ["", "EHLO sender.test", "MAIL FROM:<sender@sender.test>", "RCPT TO:<alice@example.test>", "DATA",
      `Subject: ${SUBJECT}\r\nFrom: sender@sender.test\r\n\r\n${TEXT}\r\n.`, "QUIT"];
    for (const line of said) {
      if (line) socket.write(`${line}\r\n`);
      let reply;
      do reply = (await lines.next()).value; while (reply[3] === "-");
      assert.match(reply, /^[23]/, line);
    }
    socket.end();
    return place;
  }
  throw new Error("nobody took it");
}

async function main([binary, browserPath, shots]) {
  const up = spawn(binary, ["up", "--control", "127.0.0.1:0", "--format", "json", "--until-eof"], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: up.stdout });
  const [first] = await once(lines, "line");
  const { control } = JSON.parse(first);
  const lab = await (await fetch(`${control}/v1/lab`, { method: "PUT", body: ZONE, headers: { "content-type": "text/dns" } })).json();
  const listens = (name) => lab.hosts.find((host) => host.names.includes(name)).listens;
  const places = ["mx1.example.test", "mx2.example.test"].map(listens);

  const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
  const wrong = [];
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.setDefaultTimeout(10_000);
    page.on("console", (message) => { if (["error", "warning"].includes(message.type())) wrong.push(message.text()); });
    page.on("pageerror", (error) => wrong.push(String(error)));
    await page.goto(control);
    await page.getByText("live", { exact: true }).waitFor();

    // By a click.
    const tile = page.locator('[data-host="mx1.example.test"]');
    await tile.getByRole("button", { name: "Fail mx1.example.test" }).click();
    await tile.getByText("fails", { exact: true }).waitFor();
    await tile.getByText("connect: refuse").waitFor();
    assert.equal(await send(places), places[1]);

    // It goes to the backup, and is read as text.
    const message = page.locator("#messages button", { hasText: "Hello" });
    await message.waitFor();
    assert.match(await message.innerText(), /mx2\.example\.test/);
    await message.click();
    await page.locator("#message:not([hidden])").waitFor();
    assert.equal(await page.locator("#message-subject").innerText(), SUBJECT);
    assert.equal((await page.locator("#message-text").innerText()).trim(), TEXT);
    await page.locator("#attempts tr", { hasText: "mx2.example.test" }).getByText("accepted").waitFor();
    await page.locator("#verdict-sum", { hasText: "nothing is wrong" }).waitFor();

    // By the keyboard: the button has the focus that can be seen, and restores.
    await page.keyboard.press("Escape");
    await tile.getByRole("button", { name: "Restore mx1.example.test" }).focus();
    await page.keyboard.press("Enter");
    await tile.getByText("up", { exact: true }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Fail");
    assert.equal(await send(places), places[0]);
    await page.locator("#messages button", { hasText: "mx1.example.test" }).waitFor();

    // Narrow, nothing runs out of the window.
    for (const [name, width, scheme] of [["wide", 1280, "light"], ["narrow", 360, "light"], ["dark", 1280, "dark"]]) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme: scheme });
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `${name}: ${over} pixels too wide`);
      if (shots) await page.screenshot({ path: path.join(shots, `${name}.png`), fullPage: true });
    }
    assert.deepEqual(wrong, []);
  } finally {
    await browser.close();
    up.stdin.end();
  }
  const [status] = await once(up, "exit");
  assert.equal(status, 0);
  console.log("page.js: 1 passed, 0 failed");
}

main(process.argv.slice(2)).catch((error) => { console.error(error); process.exit(1); });
