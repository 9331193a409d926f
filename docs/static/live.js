// Frames of live pages are as high as what they show, and as dark as the page around them.
const system = matchMedia("(prefers-color-scheme: dark)");
const highest = 4000;

function theme() {
  const chosen = document.body.dataset.theme;
  return chosen === "light" || chosen === "dark" ? chosen : system.matches ? "dark" : "light";
}

function frames() {
  return [...document.querySelectorAll("figure.live iframe")];
}

function tell(frame) {
  frame.contentWindow?.postMessage({ liveTheme: theme() }, "*");
}

addEventListener("message", ({ source, data }) => {
  const frame = frames().find(({ contentWindow }) => contentWindow === source);
  if (!frame || !Number.isFinite(data?.liveHeight)) return;
  frame.style.height = `${Math.min(data.liveHeight + 2, highest)}px`;
  tell(frame);
});
addEventListener("DOMContentLoaded", () => {
  new MutationObserver(() => frames().forEach(tell)).observe(document.body, { attributeFilter: ["data-theme"] });
});
system.addEventListener("change", () => frames().forEach(tell));
