// Light or dark: what the device says, until somebody chooses.

/** Change to the other theme, and keep it. */
export function nextTheme() {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = root.dataset.theme ?? (dark ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
  document.cookie = `theme=${root.dataset.theme}; max-age=31536000; path=/; samesite=lax`;
}
