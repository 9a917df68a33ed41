// A sender with nodemailer: it asks a resolver of its own for the exchangers of the recipient's domain, and hands the
// message to the first that takes it. The lab is put up and failed over its API.
//
//   npm install nodemailer
//   mxdrill up --control 127.0.0.1:8025
//   MXDRILL_CONTROL=http://127.0.0.1:8025 node send.js
"use strict";

const { Resolver } = require("node:dns").promises;
const nodemailer = require("nodemailer");

const ZONE = `
$ORIGIN example.test.
@    IN MX 10 mx1
@    IN MX 20 mx2
mx1  IN A  192.0.2.1
mx2  IN A  192.0.2.2
`;
const CONTROL = process.env.MXDRILL_CONTROL ?? "http://127.0.0.1:8025";

/** Asks the API of mxdrill. */
async function lab(method, path, body, media = "application/json") {
  const answer = await fetch(CONTROL + path, { method, body, headers: body ? { "content-type": media } : {} });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.detail);
  return told;
}

/** The sender: what you would test of your own. `socketFor` says where to connect for an address. */
async function send(resolver, socketFor, mail) {
  const exchangers = await resolver.resolveMx(mail.to.split("@")[1]);
  let last = new Error(`no exchanger for ${mail.to}`);
  for (const { exchange } of exchangers.sort((a, b) => a.priority - b.priority)) {
    for (const address of await resolver.resolve4(exchange)) {
      try {
        return await nodemailer.createTransport({ ...socketFor(address), name: "sender.test", ignoreTLS: true }).sendMail(mail);
      } catch (error) {
        console.log(`${exchange}: ${error.message}`);
        last = error;
      }
    }
  }
  throw last;
}

async function main() {
  const up = await lab("PUT", "/v1/lab", ZONE, "text/dns");
  const resolver = new Resolver();
  resolver.setServers([up.resolver]);
  const socketFor = (address) => {
    const [host, port] = up.hosts.find((one) => one.answered === address).listens.split(":");
    return { host, port: Number(port) };
  };

  await lab("POST", "/v1/faults", JSON.stringify({ host: "mx1.example.test", stage: "connect", effect: "refuse" }));
  await send(resolver, socketFor, { from: "sender@sender.test", to: "alice@example.test", subject: "Hello", text: "Hello" });

  const message = await lab("GET", "/v1/messages/wait?recipient=alice@example.test");
  console.log(`${message.host} took "${message.subject}"`);
  const verdict = await lab("GET", "/v1/verdict");
  // nodemailer closes its connections without QUIT, which is found out; a test of your own would say what it minds.
  for (const { level, claim, cites } of verdict.findings) console.log(`${level}: ${claim} (${cites.join(", ")})`);
  process.exitCode = message.host === "mx2.example.test" ? 0 : 1;
}

main().catch((error) => { console.error(error); process.exitCode = 1; });
