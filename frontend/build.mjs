// Builds the pages' scripts and styles into the wheel's static folder, under hashed names, with a manifest.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "src", "cubbyhole", "ui", "static");

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
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
});
const manifest = {};
for (const [file, about] of Object.entries(result.metafile.outputs)) {
  if (about.entryPoint) {
    const name = basename(about.entryPoint).replace(/\.ts$/, ".js");
    manifest[name] = basename(file);
  }
}
for (const file of ["mark.svg"]) {
  const content = readFileSync(join(here, "assets", file));
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 8).toUpperCase();
  const name = `${basename(file, extname(file))}-${hash}${extname(file)}`;
  writeFileSync(join(out, name), content);
  manifest[file] = name;
}
writeFileSync(join(out, "manifest.json"), JSON.stringify(manifest, null, 1) + "\n");
