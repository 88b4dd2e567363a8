import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { createExperiment, deleteExperiment, renameExperiment, type Experiment } from "../api/experiment";
import { Confirm } from "../part/Confirm";
import { Icon } from "../part/Icon";

function NameField({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  return (
    <label className="labelled">
      Name
      <input className="field" value={value} maxLength={500} required autoFocus onChange={(event) => onChange(event.target.value)} />
    </label>
  );
}

/** Rename and delete of one experiment. */
export function ExperimentMenu({ experiment }: { experiment: Experiment }) {
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const [renaming, setRenaming] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const [name, setName] = useState(experiment.name);
  const changed = () =>
    Promise.all([
      queryClient.invalidateQueries({ queryKey: ["experiments"] }),
      queryClient.invalidateQueries({ queryKey: ["experiment", experiment.experiment_id] }),
    ]);
  return (
    <>
      <button
        type="button"
        className="icon-button"
        aria-label={`Rename ${experiment.name}`}
        title="Rename"
        onClick={() => {
          setName(experiment.name);
          setRenaming(true);
        }}
      >
        <Icon name="edit" />
      </button>
      <button
        type="button"
        className="icon-button"
        aria-label={`Delete ${experiment.name}`}
        title="Delete"
        onClick={() => setDeleting(true)}
      >
        <Icon name="trash" />
      </button>
      <Confirm
        open={renaming}
        onClose={() => setRenaming(false)}
        title="Rename the experiment"
        action="Rename"
        dangerous={false}
        ready={name.trim() !== "" && name.trim() !== experiment.name}
        onConfirm={async () => {
          await renameExperiment(experiment.experiment_id, name.trim());
          await changed();
        }}
      >
        <NameField value={name} onChange={setName} />
      </Confirm>
      <Confirm
        open={deleting}
        onClose={() => setDeleting(false)}
        title={`Delete ${experiment.name}?`}
        action="Delete"
        onConfirm={async () => {
          await deleteExperiment(experiment.experiment_id);
          await changed();
          void navigate({ to: "/experiments" });
        }}
      >
        <p>
          The experiment and its runs disappear from the lists. Bring them back with{" "}
          <code>mlflow experiments restore -x {experiment.experiment_id}</code>.
        </p>
      </Confirm>
    </>
  );
}

export function CreateExperiment() {
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const [open, setOpen] = useState(false);
  const [name, setName] = useState("");
  return (
    <>
      <button
        type="button"
        className="button"
        onClick={() => {
          setName("");
          setOpen(true);
        }}
      >
        <Icon name="plus" /> New experiment
      </button>
      <Confirm
        open={open}
        onClose={() => setOpen(false)}
        title="New experiment"
        action="Create"
        dangerous={false}
        ready={name.trim() !== ""}
        onConfirm={async () => {
          const id = await createExperiment(name.trim());
          await queryClient.invalidateQueries({ queryKey: ["experiments"] });
          void navigate({ to: "/experiments/$experimentId", params: { experimentId: id } });
        }}
      >
        <NameField value={name} onChange={setName} />
      </Confirm>
    </>
  );
}
