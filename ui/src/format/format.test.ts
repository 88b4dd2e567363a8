import { describe, expect, it } from "vitest";
import { bytes, columnNumber, count, shortNumber } from "./number";
import { duration, timeAgo } from "./time";

describe("shortNumber", () => {
  it.each([
    [0.931, "0.931"],
    [0.930123456, "0.9301"],
    [0.0123456, "0.01235"],
    [0.00099999, "0.001"],
    [1.2e-7, "1.2e-7"],
    [12.3456, "12.346"],
    [123.456, "123.46"],
    [1234.56, "1234.6"],
    [48213.4, "48,213"],
    [210_000_000, "210,000,000"],
    [3.2e12, "3.2e12"],
    [-0.5, "−0.5"],
    [0, "0"],
    [100, "100"],
    [Number.NaN, "NaN"],
    [Number.MAX_VALUE, "∞"],
    [-Number.MAX_VALUE, "−∞"],
  ])("writes %d as %s", (value, text) => expect(shortNumber(value)).toBe(text));
});

describe("columnNumber", () => {
  it.each([
    [0.931, "0.9310"],
    [1, "1"],
    [20, "20"],
    [12.5, "12.500"],
    [0, "0"],
  ])("writes %d as %s", (value, text) => expect(columnNumber(value)).toBe(text));
});

describe("bytes and counts", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [263_104, "263 kB"],
    [9_120_332, "9.1 MB"],
  ])("writes %d bytes as %s", (value, text) => expect(bytes(value)).toBe(text));

  it("knows one from many", () => {
    expect(count(1, "run")).toBe("1 run");
    expect(count(2, "run")).toBe("2 runs");
    expect(count(3, "entry", "entries")).toBe("3 entries");
  });
});

describe("duration", () => {
  it.each([
    [20, "20 ms"],
    [1800, "1.8 s"],
    [42_000, "42 s"],
    [192_000, "3 m 12 s"],
    [7_500_000, "2 h 05 m"],
    [273_600_000, "3 d 4 h"],
  ])("writes %d ms as %s", (value, text) => expect(duration(value)).toBe(text));
});

describe("timeAgo", () => {
  const now = Date.UTC(2026, 5, 15, 12);
  it.each([
    [now, "just now"],
    [now - 5 * 60_000, "5 min ago"],
    [now - 3 * 3_600_000, "3 h ago"],
    [now - 2 * 86_400_000, "2 d ago"],
    [Date.UTC(2026, 2, 4, 12), "4 Mar"],
    [Date.UTC(2024, 2, 4, 12), "4 Mar 2024"],
  ])("of %d is %s", (at, text) => expect(timeAgo(at, now)).toBe(text));
});
