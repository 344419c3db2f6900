// Builds the pages' scripts and styles into the wheel's static folder, under hashed names, with a manifest for the
// templates and the licences of what came from npm packages. A running server never finds its files gone half-way.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "src", "cubbyhole", "ui", "static");
const manifest = {};

const result = await build({
  absWorkingDir: here,
  entryPoints: ["src/app.ts", "css/app.css"],
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome123", "firefox120", "safari17.5"],
  entryNames: "[name]-[hash]",
  metafile: true,
  write: false,
});

const files = new Map(result.outputFiles.map((file) => [basename(file.path), file.contents]));
for (const [file, about] of Object.entries(result.metafile.outputs)) {
  if (about.entryPoint) manifest[basename(about.entryPoint).replace(/\.ts$/, ".js")] = basename(file);
}
for (const file of readdirSync(join(here, "assets"))) {
  const content = readFileSync(join(here, "assets", file));
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 8).toUpperCase();
  manifest[file] = `${basename(file, extname(file))}-${hash}${extname(file)}`;
  files.set(manifest[file], content);
}
files.set("third-party-licenses.txt", licences(Object.keys(result.metafile.inputs)));

mkdirSync(out, { recursive: true });
for (const [name, content] of files) writeFileSync(join(out, name), content);
writeFileSync(join(out, "manifest.json.new"), JSON.stringify(manifest, null, 1) + "\n");
renameSync(join(out, "manifest.json.new"), join(out, "manifest.json"));
for (const old of readdirSync(out)) if (!files.has(old) && old !== "manifest.json") rmSync(join(out, old));

// The licence texts of all packages that any of these inputs came from.
function licences(inputs) {
  const packages = new Set(inputs.map((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]).filter(Boolean));
  const texts = [...packages].sort().map((folder) => {
    const about = JSON.parse(readFileSync(join(here, folder, "package.json"), "utf8"));
    const file = ["LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE"].map((name) => join(here, folder, name)).find(existsSync);
    if (!file) throw new Error(`${about.name} has no licence file: leave it out, or add its licence here`);
    return `${about.name} ${about.version} (${about.license})\n\n${readFileSync(file, "utf8").trim()}\n`;
  });
  return texts.length ? texts.join("\n\n----\n\n") : "These files contain no code of others.\n";
}
