/** The mark: a laboratory flask, a matraz. */
export function Flask({ size = 24 }: { size?: number }) {
  return (
    <svg className="flask" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <path className="flask-liquid" d="M10.6 20.5h10.8l2.6 4.4a1.3 1.3 0 0 1-1.1 2H9.1a1.3 1.3 0 0 1-1.1-2z" />
      <path
        className="flask-glass"
        d="M12.5 3.5h7M13.8 3.5v9.2L6.4 24.4A2.8 2.8 0 0 0 8.8 28.7h14.4a2.8 2.8 0 0 0 2.4-4.3L18.2 12.7V3.5"
      />
      <circle className="flask-bubble" cx="17.6" cy="17" r="1.3" />
    </svg>
  );
}
