import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// In development the pages come from Vite and the data from a running server:
// MATRAZ_URL=http://127.0.0.1:5000 npm run dev
const server = process.env.MATRAZ_URL ?? "http://127.0.0.1:5000";
const proxied = ["/ajax-api", "/api", "/get-artifact", "/version", "/health"];

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    // Everything is a file of its own: a strict content security policy then needs no `data:`.
    assetsInlineLimit: 0,
    // The files are compiled into the binary and never fetched over a slow network.
    chunkSizeWarningLimit: 400,
  },
  server: {
    proxy: Object.fromEntries(proxied.map((path) => [path, { target: server, changeOrigin: true }])),
  },
  preview: {
    proxy: Object.fromEntries(proxied.map((path) => [path, { target: server, changeOrigin: true }])),
  },
});
