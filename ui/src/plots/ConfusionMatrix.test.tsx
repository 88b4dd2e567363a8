import { cleanup, fireEvent, render, screen, within } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { ConfusionMatrix } from "./ConfusionMatrix";

afterEach(cleanup);

it("shows counts, and shares of the actual class on request", () => {
  const confusion = { labels: ["cat", "dog"], counts: [[3, 1], [0, 0]], total: 4, agreement: 0.75 };
  render(<ConfusionMatrix confusion={confusion} title="Confusion" />);
  const cells = () => within(screen.getByRole("table")).getAllByRole("cell").slice(1).map((cell) => cell.textContent);
  expect(cells()).toEqual(["3", "1", "0", "0"]);
  expect(screen.getByText("4 samples, 75.0 % on the diagonal")).toBeTruthy();
  fireEvent.click(screen.getByRole("radio", { name: "Row %" }));
  // A class without samples has no shares, and divides nothing by zero.
  expect(cells()).toEqual(["75", "25", "0", "0"]);
});
