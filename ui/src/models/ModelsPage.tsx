import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { Link, getRouteApi, useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { searchModels, type RegisteredModel } from "../api/model";
import { count } from "../format/number";
import { Command } from "../part/Copy";
import { AliasMark, Ago } from "../part/Marks";
import { Empty, Failure, Loading } from "../part/Notes";
import { SearchBox } from "../part/SearchBox";
import { sortAliases } from "./alias";

const route = getRouteApi("/models/");

function newestVersion(model: RegisteredModel): string | undefined {
  const versions = (model.latest_versions ?? []).map((version) => Number(version.version));
  return versions.length === 0 ? undefined : String(Math.max(...versions));
}

export function ModelsPage() {
  const { q = "" } = route.useSearch();
  const navigate = useNavigate();
  const setSearch = useCallback(
    (next: string) => void navigate({ to: "/models", search: { q: next || undefined }, replace: true }),
    [navigate],
  );
  const query = useInfiniteQuery({
    queryKey: ["models", q],
    queryFn: ({ pageParam, signal }) => searchModels({ name: q, pageToken: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextPageToken,
    placeholderData: keepPreviousData,
  });
  const models = query.data?.pages.flatMap((page) => page.models) ?? [];
  return (
    <div className="page">
      <title>Models · Matraz</title>
      <div className="page-head">
        <h1>Models</h1>
      </div>
      <SearchBox value={q} onChange={setSearch} label="Search models by name" />
      {query.isPending ? (
        <Loading what="models" />
      ) : query.isError ? (
        <Failure error={query.error} what="models" onRetry={() => void query.refetch()} />
      ) : models.length === 0 ? (
        q === "" ? (
          <Empty title="No registered models">
            <p>
              Name the model in <code>matraz.yaml</code>; the newest run that passes the gate is then registered by
            </p>
            <Command>matraz promote</Command>
            <p>or register one from Python:</p>
            <Command>{'mlflow.register_model("runs:/RUN_ID/model", "NAME")'}</Command>
          </Empty>
        ) : (
          <Empty title={`No model has “${q}” in its name`} />
        )
      ) : (
        <>
          <div className="table-frame">
            <table className="list" aria-label="Registered models">
              <thead>
                <tr>
                  <th scope="col">Name</th>
                  <th scope="col">Newest</th>
                  <th scope="col">Aliases</th>
                  <th scope="col" className="wide-only">
                    Updated
                  </th>
                </tr>
              </thead>
              <tbody>
                {models.map((model) => {
                  const newest = newestVersion(model);
                  return (
                    <tr key={model.name}>
                      <th scope="row">
                        <Link to="/models/$name" params={{ name: model.name }} title={model.name}>
                          {model.name}
                        </Link>
                        {model.description && <span className="sub">{model.description}</span>}
                      </th>
                      <td>
                        {newest === undefined ? (
                          <span className="muted">no version</span>
                        ) : (
                          <Link
                            className="quiet"
                            to="/models/$name/versions/$version"
                            params={{ name: model.name, version: newest }}
                          >
                            v{newest}
                          </Link>
                        )}
                      </td>
                      <td>
                        <span className="aliases">
                          {sortAliases(model.aliases ?? []).map(({ alias, version }) => (
                            <Link
                              key={alias}
                              className="quiet"
                              to="/models/$name/versions/$version"
                              params={{ name: model.name, version }}
                            >
                              <AliasMark alias={alias} /> v{version}
                            </Link>
                          ))}
                        </span>
                      </td>
                      <td className="wide-only">
                        <Ago at={model.last_updated_timestamp} />
                      </td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </div>
          <p className="table-note" role="status">
            {count(models.length, "model")}
          </p>
          {query.hasNextPage && (
            <button type="button" className="button" onClick={() => void query.fetchNextPage()}>
              Show more
            </button>
          )}
        </>
      )}
    </div>
  );
}
