// Print the licenses of the packages whose code is in the bundle. Argument: the metafile of esbuild.
const fs = require("node:fs");
const path = require("node:path");

const inputs = Object.keys(JSON.parse(fs.readFileSync(process.argv[2])).inputs);
const names = inputs.map((input) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1]).filter(Boolean);
for (const name of [...new Set(names)].sort()) {
  const folder = path.join("node_modules", name);
  const { version, license } = JSON.parse(fs.readFileSync(path.join(folder, "package.json")));
  const file = fs.readdirSync(folder).find((each) => /^licen[sc]e/i.test(each));
  console.log(`${name} ${version} (${license})\n`);
  if (file) console.log(`${fs.readFileSync(path.join(folder, file), "utf8").trim()}\n`);
}
