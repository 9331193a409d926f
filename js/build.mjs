/** Builds the modules of widgets.json into attnwidget/static: `node build.mjs [--watch]`. */
import { createHash } from "node:crypto";
import { build } from "vite";
import widgets from "./widgets.json" with { type: "json" };

/**
 * A module of several widgets on a page is evaluated once: what it holds is kept under the digest of its text.
 * Its last line, and only that, exports: without it the same text can stand in a page, where nothing is imported.
 */
const onceAPage = (name) => ({
  name: "once-a-page",
  generateBundle(_, bundle) {
    for (const chunk of Object.values(bundle)) {
      const digest = createHash("sha256").update(chunk.code).digest("hex").slice(0, 16);
      const held = `globalThis[Symbol.for("attnwidget/${name}@${digest}")]`;
      chunk.code = `${held} ??= (() => {\n${chunk.code.trim()}\nreturn attnwidget;\n})();\nexport default ${held};\n`;
    }
  },
});

// One self-contained module a widget: the host evaluates it as a string, so nothing may be imported or fetched.
for (const name of widgets) {
  await build({
    configFile: false,
    logLevel: "warn",
    plugins: [onceAPage(name)],
    build: {
      target: "es2022",
      outDir: "../attnwidget/static",
      emptyOutDir: false,
      watch: process.argv.includes("--watch") ? {} : null,
      // A library is left readable by default; this one is sent to the browser as it is.
      // The colour maps that nobody uses are made by functions whose calls do nothing else.
      rolldownOptions: { output: { minify: true }, treeshake: { manualPureFunctions: ["colors", "ramp"] } },
      lib: {
        entry: `src/${name}/index.tsx`,
        formats: ["iife"],
        name: "attnwidget",
        fileName: () => `${name}.js`,
      },
    },
  });
}
