import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api/client";
import "./style/all.css";
import { mlflowAddress } from "./shell/mlflow_address";
import { router } from "./router";
import { applyTheme } from "./shell/theme";

applyTheme();

const address = mlflowAddress(location.hash);
if (address !== undefined) history.replaceState(null, "", address);

const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (failures, error) => failures < 2 && (!(error instanceof ApiError) || error.passing),
      retryDelay: (failures) => 400 * 2 ** failures,
    },
  },
});

const element = document.getElementById("app");
if (element !== null) {
  createRoot(element).render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  );
}
