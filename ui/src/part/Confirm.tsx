import { useState, type FormEvent, type ReactNode } from "react";
import { Dialog } from "./Dialog";

interface ConfirmProps {
  open: boolean;
  onClose: () => void;
  title: string;
  /** The verb on the button. */
  action: string;
  /** The dialog closes when it succeeds, and shows the error when it fails. */
  onConfirm: () => Promise<void>;
  children?: ReactNode;
  dangerous?: boolean;
  ready?: boolean;
}

/** A question before something happens; with fields as children, a small form. */
export function Confirm(props: ConfirmProps) {
  const { open, onClose, title, action, onConfirm, children, dangerous = true, ready = true } = props;
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const close = () => {
    setError(undefined);
    onClose();
  };
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await onConfirm();
      onClose();
    } catch (cause) {
      setError(cause instanceof Error ? cause.message : String(cause));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog open={open} onClose={close} title={title}>
      <form onSubmit={submit}>
        {children}
        {error && (
          <p className="error-text" role="alert">
            {error}
          </p>
        )}
        <div className="dialog-foot">
          <button type="button" className="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" className={`button ${dangerous ? "danger" : "primary"}`} disabled={busy || !ready}>
            {action}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
