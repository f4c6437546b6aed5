const { Worker, isMainThread, parentPort } = require("worker_threads");
const http = require("http");
const fs = require("fs");
const { execFile } = require("child_process");

if (!isMainThread) {
  parentPort.postMessage([1, 2, 3].map((number) => number * number).join(" "));
} else {
  main();
}

async function main() {
  const lines = [];
  const server = http.createServer((request, response) => response.end(`you asked ${request.url}`));
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const body = await new Promise((done, failed) => {
    http.get({ port: server.address().port, host: "127.0.0.1", path: "/x", agent: false }, (response) => {
      let text = "";
      response.on("data", (part) => (text += part)).on("end", () => done(text));
    }).on("error", failed);
  });
  server.close();
  lines.push(body);
  lines.push(await new Promise((done) => new Worker(__filename).on("message", done)));
  await fs.promises.writeFile("/tmp/node.part", "part");
  lines.push(await fs.promises.readFile("/tmp/node.part", "utf8"));
  lines.push(await new Promise((done) => execFile("echo", ["child"], (_, text) => done(text.trim()))));
  fs.writeFileSync(process.argv[2], lines.join("\n") + "\n");
}
