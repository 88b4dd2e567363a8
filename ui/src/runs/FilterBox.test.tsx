import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { ApiError } from "../api/client";
import { FilterBox } from "./FilterBox";

afterEach(cleanup);

const keys = { metrics: ["accuracy", "loss"], params: ["seed"], tags: [] };

function box(filter = "", error: unknown = null) {
  const onFilter = vi.fn();
  render(<FilterBox filter={filter} onFilter={onFilter} error={error} keys={keys} />);
  return { onFilter, input: screen.getByRole<HTMLInputElement>("combobox", { name: "Filter" }) };
}

it("hands the filter over on Enter, not while typing", () => {
  const { onFilter, input } = box();
  fireEvent.change(input, { target: { value: " metrics.accuracy > 0.8 " } });
  expect(onFilter).not.toHaveBeenCalled();
  fireEvent.submit(input);
  expect(onFilter).toHaveBeenCalledExactlyOnceWith("metrics.accuracy > 0.8");
});

it("offers keys and takes the one chosen with the arrows", () => {
  const { onFilter, input } = box();
  fireEvent.change(input, { target: { value: "metrics." } });
  expect(screen.getAllByRole("option").map((option) => option.textContent)).toEqual(["metrics.accuracy", "metrics.loss"]);
  fireEvent.keyDown(input, { key: "ArrowDown" });
  fireEvent.keyDown(input, { key: "ArrowDown" });
  expect(screen.getAllByRole("option")[1]?.getAttribute("aria-selected")).toBe("true");
  fireEvent.keyDown(input, { key: "Enter" });
  expect(input.value).toBe("metrics.loss ");
  expect(onFilter).not.toHaveBeenCalled();
  expect(screen.queryAllByRole("option")).toEqual([]);
});

it("points at what the server refused", () => {
  const message = "Invalid filter: a number is expected\n  metrics.accuracy > abc\n                     ^";
  const { input } = box("metrics.accuracy > abc", new ApiError(400, "INVALID_PARAMETER_VALUE", message));
  const alert = screen.getByRole("alert");
  expect(alert.textContent).toContain("Invalid filter: a number is expected");
  expect(alert.querySelector("mark")?.textContent).toBe("abc");
  expect(input.getAttribute("aria-invalid")).toBe("true");
});

it("leaves the server's own trouble to the page", () => {
  box("metrics.a > 1", new ApiError(500, "INTERNAL_ERROR", "oops"));
  expect(screen.queryByRole("alert")).toBeNull();
});

it("clears", () => {
  const { onFilter, input } = box("metrics.a > 1");
  fireEvent.click(screen.getByRole("button", { name: "Clear the filter" }));
  expect(onFilter).toHaveBeenCalledExactlyOnceWith("");
  expect(input.value).toBe("");
});
