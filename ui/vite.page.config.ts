import { defineConfig } from "vite";

// The script and style of the page that `matraz plots show` writes: one file each, put into the page as they are.
export default defineConfig({
  publicDir: false,
  build: {
    target: "es2022",
    outDir: "dist/plots",
    lib: { entry: "page/plots.ts", formats: ["iife"], name: "MatrazPlots", fileName: () => "plots.js", cssFileName: "plots" },
    chunkSizeWarningLimit: 2000,
  },
});
