import { defineConfig } from "vite";

// One self-contained module a widget: the host evaluates it as a string, so nothing may be imported or fetched.
export default defineConfig({
  build: {
    target: "es2022",
    outDir: "../attnwidget/static",
    emptyOutDir: false,
    // A library is left readable by default; this one is sent to the browser as it is.
    rolldownOptions: { output: { minify: true } },
    lib: { entry: "src/explorer.tsx", formats: ["es"], fileName: () => "explorer.js" },
  },
});
