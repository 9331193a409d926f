/** The two ways out of a page: the clipboard and a download. Both may be refused. */

/** True where the clipboard has taken the text. */
export async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Not there outside of secure pages, or refused to a frame.
    return false;
  }
}

/** A frame that is nobody's origin may be refused downloads, and is not told. */
const isBoxed = (): boolean => window.origin === "null" && window.parent !== window;

/** Whether a file went out, as far as a page can tell. */
export function downloaded(blob: Blob, name: string): "yes" | "perhaps" | "no" {
  try {
    const address = URL.createObjectURL(blob);
    const link = document.createElement("a");
    link.href = address;
    link.download = name;
    link.click();
    // Some browsers read it only after this.
    window.setTimeout(() => URL.revokeObjectURL(address), 60_000);
    return isBoxed() ? "perhaps" : "yes";
  } catch {
    return "no";
  }
}
