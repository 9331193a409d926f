import { playwright } from "@vitest/browser-playwright";
import { loadEnv } from "vite";
import { defineConfig } from "vitest/config";

const launchOptions = {
  executablePath: loadEnv("test", ".", "").CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
  ],
};

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", environment: "node", include: ["test/unit/**/*.test.ts"] } },
      {
        test: {
          name: "browser",
          include: ["explorer", "playground", "timeline"].map((widget) => `test/${widget}/**/*.test.ts`),
          setupFiles: ["test/patience.ts"],
          testTimeout: 30_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({ launchOptions }),
            instances: [{ browser: "chromium", viewport: { width: 1100, height: 1200 } }],
          },
        },
      },
    ],
  },
});
