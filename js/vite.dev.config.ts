import { defineConfig } from "vite";

// `npm run dev` serves the widget against the mock host of the tests, without a kernel.
export default defineConfig({ root: "dev", server: { fs: { allow: [".."] } } });
